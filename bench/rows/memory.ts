/** Row 6: what the heap holds for a task that waits. Each run is a process of its own. */
import { below, compare, type Row } from '../measure.ts';
import { waitingIn } from '../waiting/growth.ts';
import { many } from '../waiting/pools.ts';

const program = new URL('../waiting/memory.ts', import.meta.url);
const runs = 5;

export const memory: Row = {
  number: 6,
  name: 'memory',
  work: 'memory of a waiting task',
  measure: async () => {
    const contestants = Object.entries(many).map(([name, waiting]) => waitingIn(program, name, waiting));
    const figures = await compare(contestants, { runs, warmups: 0 });
    return [
      {
        what: 'heap and external memory after a collection, the promises kept',
        chart: 'Memory of a waiting task',
        unit: 'bytes a task',
        better: 'lower',
        runs,
        figures,
        checks: [below(400, 'bytes', figures)],
        notes: [],
      },
    ];
  },
};
