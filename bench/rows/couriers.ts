/** Needs redis-server in the PATH. */
import { type Run, withContestants } from '../couriers/contestants.ts';
import { iterationsPerMs } from '../cpu-work.ts';
import { atLeast, compare, formatNumber, type Measurement, medianOf, type Row } from '../measure.ts';

const bulk = 8_000;
const oneByOne = 500;
const cpuTasks = 500;

function rateOf(count: number, iterations?: number): Run {
  const data = Array.from({ length: count }, (_, n) => ({ n, ...(iterations !== undefined && { iterations }) }));
  return async (client) => {
    const startedAt = performance.now();
    await client.all(data);
    return (count / (performance.now() - startedAt)) * 1_000;
  };
}

const roundTrips: Run = async (client) => {
  const startedAt = performance.now();
  for (let n = 0; n < oneByOne; n += 1) await client.one({ n });
  return (oneByOne / (performance.now() - startedAt)) * 1_000;
};

const common = { unit: 'tasks/s', better: 'higher', runs: 5 } as const;

async function throughput(): Promise<Measurement> {
  const figures = await withContestants({ workers: 1, concurrency: 32 }, rateOf(bulk), compare);
  const what = `${bulk.toLocaleString('en-US')} added in bulk, done and heard of`;
  return { ...common, what, figures, checks: [atLeast(0.9, 'bullmq', figures)], notes: [] };
}

async function latency(): Promise<Measurement> {
  const figures = await withContestants({ workers: 1, concurrency: 1 }, roundTrips, compare);
  const what = 'one by one: added, done, result';
  return { ...common, what, figures, checks: [atLeast(0.9, 'bullmq', figures)], notes: [] };
}

async function growth(): Promise<Measurement[]> {
  const iterations = 10 * (await iterationsPerMs());
  const run = rateOf(cpuTasks, iterations);
  const one = await withContestants({ workers: 1, concurrency: 1 }, run, (all) => compare(all, { runs: 3 }));
  const four = await withContestants({ workers: 4, concurrency: 1 }, run, (all) => compare(all, { runs: 3 }));
  const growths = four.map(({ name, median }) => `${name} ${formatNumber(median / medianOf(one, name))} x`);
  const what = (workers: string) => `${cpuTasks} tasks of 10 ms, ${workers}`;
  return [
    { ...common, runs: 3, what: what('1 worker process'), figures: one, checks: [], notes: [] },
    {
      ...common,
      runs: 3,
      what: what('4 worker processes on 2 cores'),
      figures: four,
      checks: [atLeast(0.9, 'bullmq', four)],
      notes: [`against 1 worker process: ${growths.join(', ')}; there are 2 cores, for Redis and the client, too`],
    },
  ];
}

export const couriers: Row = {
  number: 13,
  name: 'couriers',
  work: 'tasks by way of a Redis, against plain BullMQ; the client and each worker have a process of their own',
  measure: async () => [await throughput(), await latency(), ...(await growth())],
};
