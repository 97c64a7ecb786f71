/** A worker of one contestant, in a process of its own: `run` resolves when it is ready, and it works until it is ended. */
import { Worker } from 'bullmq';
import { BaseWorker, type CourierTask } from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { type Work, work } from '../pools.ts';
import { plainConnection } from './plain-connection.ts';

const { spin } = (await import(work.href)) as Work;

/** Next to nothing, unless it is said how often to spin. */
function perform(data: { readonly n: number; readonly iterations?: number }): number {
  if (data.iterations !== undefined) spin(data.iterations);
  return data.n + 1;
}

class BenchWorker extends BaseWorker<Parameters<typeof perform>[0], number> {
  override performSingleTask({ data }: CourierTask<Parameters<typeof perform>[0]>): number {
    return perform(data);
  }
}

export async function run(library: string, url: string, queueName: string, concurrency: string): Promise<void> {
  if (library === 'taskwarden') {
    const courier = new BullMQTaskCourier(url);
    const maxSimultaneousTasks = Number(concurrency);
    // In a heat, one iteration of all was as fast as two of half on Redis, and a tenth faster on PostgreSQL.
    void new BenchWorker({
      queueName,
      courier,
      maxSimultaneousTasks,
      maxTasksPerIteration: maxSimultaneousTasks,
    }).perform();
  } else {
    const worker = new Worker(queueName, async ({ data }) => perform(data), {
      connection: plainConnection(url),
      concurrency: Number(concurrency),
    });
    await worker.waitUntilReady();
  }
}
