/** What the rows on couriers share: the same work by way of taskwarden's courier and of plain BullMQ, on one server. */
import type { Server } from '../../test/servers/server.ts';
import { iterationsPerMs } from '../cpu-work.ts';
import { atLeast, compare, formatCount, type Measurement, type Pace } from '../measure.ts';
import { type Layout, openContestants, type Run } from './contestants.ts';

const sizes = {
  full: { bulk: 8_000, oneByOne: 500, cpuTasks: 500, workers: 4, runs: 5 },
  quick: { bulk: 200, oneByOne: 30, cpuTasks: 30, workers: 2, runs: 1 },
};

/** @param start Rejects where there is no such server. */
export async function compareCouriers(
  start: () => Promise<Server>,
  pace: Pace,
  notes: readonly string[] = [],
): Promise<Measurement[]> {
  const { bulk, oneByOne, cpuTasks, workers, runs } = sizes[pace];
  await using server = await start();
  const measure = async (what: string, layout: Layout, run: Run): Promise<Measurement> => {
    const figures = await compare(await openContestants(server.url, layout, run), { runs });
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
      `${cpuTasks} tasks of 10 ms on ${workers} worker processes`,
      { workers, concurrency: 1 },
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
