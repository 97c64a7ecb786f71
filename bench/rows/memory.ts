/** Row 6: what the heap holds for a task that waits. Each run is a process of its own. */
import { below, compare, type Measurement, type Pace } from '../measure.ts';
import { peerNames } from '../peer-names.ts';
import { waitingIn } from '../waiting/growth.ts';
import { manyIn } from '../waiting/pools.ts';

const program = new URL('../waiting/memory.ts', import.meta.url);
const sizes = { full: { runs: 5 }, quick: { runs: 1 } };

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { runs } = sizes[pace];
  const contestants = ['taskwarden', ...peerNames].map((name) => waitingIn(program, name, manyIn(name, pace)));
  const figures = await compare(contestants, { runs, warmups: 0 });
  return [
    {
      what: 'heap and external memory after a collection, the promises kept',
      chart: 'Memory of a waiting task',
      unit: 'bytes a task',
      better: 'lower',
      runs,
      figures,
      checks: [below(350, 'bytes', figures)],
      notes: [],
    },
  ];
}
