/** Row 3. */
import { atLeast, formatCount, type Measurement, type Pace } from '../measure.ts';
import { peerNames } from '../peer-names.ts';
import { threadPools } from '../peers.ts';
import { inFlight, measureTinyTasks } from '../tiny-tasks.ts';

const sizes = { full: { tasks: 4_000, runs: 9 }, quick: { tasks: 1_000, runs: 5 } };

export async function measure(pace: Pace): Promise<Measurement[]> {
  const size = sizes[pace];
  const measurement = await measureTinyTasks({
    pace,
    ...size,
    what: `${formatCount(size.tasks)}, each after the one before`,
    chart: 'Tiny tasks, one by one',
    way: inFlight(1),
    pools: threadPools(1),
    checks: (figures) => [atLeast(1, 'piscina', figures), atLeast(1, peerNames, figures)],
  });
  return [measurement];
}
