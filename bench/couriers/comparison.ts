/** What the rows on couriers share: the same work by way of taskwarden's courier and of plain BullMQ, on one server. */
import { iterationsPerMs } from '../cpu-work.ts';
import { atLeast, compare, type Figure, formatCount, type Measurement, type Pace } from '../measure.ts';
import { type Layout, type Run, type StartServer, withContestants } from './contestants.ts';

const sizes = {
  full: { bulk: 8_000, oneByOne: 500, cpuTasks: 500, runs: 5 },
  quick: { bulk: 500, oneByOne: 50, cpuTasks: 50, runs: 2 },
};

/** Each measurement has a server of its own. */
export async function compareCouriers(
  start: StartServer,
  pace: Pace,
  notes: readonly string[] = [],
): Promise<Measurement[]> {
  const { bulk, oneByOne, cpuTasks, runs } = sizes[pace];
  const measure = async (what: string, layout: Layout, run: Run): Promise<Measurement> => {
    const figures = await withContestants(start, layout, run, (contestants): Promise<Figure[]> => {
      return compare(contestants, { runs });
    });
    const checks = [atLeast(1, 'bullmq', figures)];
    return { what, unit: 'tasks/s', better: 'higher', runs, figures, checks, notes };
  };
  const cpuWork = { iterations: 10 * (await iterationsPerMs()) };
  return [
    await measure(
      `${formatCount(bulk)} added in bulk, done, and their results received`,
      { workers: 1, concurrency: 32 },
      inBulk(bulk),
    ),
    await measure('one by one: added, done, result', { workers: 1, concurrency: 1 }, roundTrips(oneByOne)),
    await measure(
      `${cpuTasks} tasks of 10 ms on 4 worker processes`,
      { workers: 4, concurrency: 1 },
      inBulk(cpuTasks, cpuWork),
    ),
  ];
}

function inBulk(count: number, work: { readonly iterations?: number } = {}): Run {
  const data = Array.from({ length: count }, (_, n) => ({ n, ...work }));
  return (client) => rate(count, () => client.all(data));
}

function roundTrips(count: number): Run {
  return (client) =>
    rate(count, async () => {
      for (let n = 0; n < count; n += 1) await client.one({ n });
    });
}

async function rate(count: number, run: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await run();
  return (count / (performance.now() - startedAt)) * 1_000;
}
