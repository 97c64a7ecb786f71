/** The clients of the contestants: taskwarden's courier and plain BullMQ, asked for the same. */
import { Queue, QueueEvents } from 'bullmq';
import { BullMQTaskCourier } from 'taskwarden/bullmq';

interface BenchData {
  readonly n: number;
  /** How often the worker spins. */
  readonly iterations?: number;
}

export interface BenchClient {
  /** Adds one task, and waits for its result. */
  one(data: BenchData): Promise<unknown>;
  /** Adds all in bulk, and waits for their results. */
  all(data: readonly BenchData[]): Promise<unknown>;
  close(): Promise<unknown>;
}

export type Library = 'taskwarden' | 'bullmq';

export async function openClient(library: Library, port: number, queueName: string): Promise<BenchClient> {
  return library === 'taskwarden' ? courierClient(port, queueName) : await plainClient(port, queueName);
}

function courierClient(port: number, queueName: string): BenchClient {
  const courier = new BullMQTaskCourier(`redis://127.0.0.1:${port}`);
  return {
    one: async (data) => courier.waitForTaskResult(queueName, await courier.addTaskToQueue(queueName, data)),
    all: async (data) => {
      const ids = await courier.bulkAddTasksToQueue(queueName, data);
      await Promise.all(ids.map((id) => courier.waitForTaskResult(queueName, id)));
    },
    close: () => courier.close(),
  };
}

/** Results are kept for an hour, as taskwarden's are. */
const opts = { removeOnComplete: { age: 3_600 } };

async function plainClient(port: number, queueName: string): Promise<BenchClient> {
  const connection = { host: '127.0.0.1', port };
  // With fewer events kept, some who wait for a bulk this large never hear of its end.
  const streams = { events: { maxLen: 50_000 } };
  const queue = new Queue<BenchData>(queueName, { connection, streams });
  const events = new QueueEvents(queueName, { connection: { ...connection, maxRetriesPerRequest: null } });
  queue.setMaxListeners(0);
  events.setMaxListeners(0);
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  return {
    one: async (data) => (await queue.add('task', data, opts)).waitUntilFinished(events),
    all: async (data) => {
      const jobs = await queue.addBulk(data.map((each) => ({ name: 'task', data: each, opts })));
      await Promise.all(jobs.map((job) => job.waitUntilFinished(events)));
    },
    close: () => Promise.all([queue.close(), events.close()]),
  };
}
