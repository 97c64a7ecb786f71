/** Row 2. */
import { atLeast, formatCount, type Measurement, type Pace } from '../measure.ts';
import { threadPools } from '../peers.ts';
import { inFlight, measureTinyTasks } from '../tiny-tasks.ts';

const sizes = {
  full: { tasks: 300_000, fewerTasks: 20_000, runs: 5 },
  quick: { tasks: 20_000, fewerTasks: 2_000, runs: 3 },
};

export async function measure(pace: Pace): Promise<Measurement[]> {
  const size = sizes[pace];
  const measurement = await measureTinyTasks({
    pace,
    ...size,
    what: `${formatCount(size.tasks)}, 64 in flight`,
    chart: 'Tiny tasks, 64 in flight',
    way: inFlight(64),
    pools: threadPools(32, 16),
    checks: (figures) => [atLeast(8, 'piscina', figures)],
  });
  return [measurement];
}
