/** Row 1. */
import { atLeast, formatCount, type Measurement, type Pace } from '../measure.ts';
import { threadPools } from '../peers.ts';
import { allAtOnce, measureTinyTasks } from '../tiny-tasks.ts';

const sizes = {
  full: { tasks: 300_000, fewerTasks: 20_000, runs: 5 },
  quick: { tasks: 20_000, fewerTasks: 2_000, runs: 3 },
};

export async function measure(pace: Pace): Promise<Measurement[]> {
  const size = sizes[pace];
  const measurement = await measureTinyTasks({
    pace,
    ...size,
    what: `${formatCount(size.tasks)} at once`,
    chart: 'Tiny tasks, all at once',
    way: allAtOnce,
    pools: threadPools(64, 16),
    checks: (figures) => [atLeast(10, 'piscina', figures), atLeast(1, 'bare postMessage', figures)],
  });
  return [measurement];
}
