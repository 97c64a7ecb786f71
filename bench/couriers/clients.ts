/** The clients of the contestants: taskwarden's courier and plain BullMQ, asked for the same. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, QueueEvents } from 'bullmq';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { losesEvents, plainConnection } from './plain-connection.ts';

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

export async function openClient(library: Library, url: string, queueName: string): Promise<BenchClient> {
  return library === 'taskwarden' ? courierClient(url, queueName) : await plainClient(url, queueName);
}

function courierClient(url: string, queueName: string): BenchClient {
  const courier = new BullMQTaskCourier(url);
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

async function plainClient(url: string, queueName: string): Promise<BenchClient> {
  const connection = plainConnection(url);
  // With fewer events kept, some who wait for a bulk this large never hear of its end.
  const streams = { events: { maxLen: 50_000 } };
  const queue = new Queue<BenchData>(queueName, { connection, streams });
  // From the first event on: else it may begin to listen after its first job has ended, and never hear of that.
  const events = new QueueEvents(queueName, { connection, lastEventId: '0' });
  queue.setMaxListeners(0);
  events.setMaxListeners(0);
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  let added = 0;
  return {
    one: async (data) => {
      added += 1;
      return (await queue.add('task', data, opts)).waitUntilFinished(events);
    },
    all: async (data) => {
      added += data.length;
      const jobs = await queue.addBulk(data.map((each) => ({ name: 'task', data: each, opts })));
      const unheard = new Set(jobs);
      const received = Promise.all(jobs.map((job) => job.waitUntilFinished(events).then(() => unheard.delete(job))));
      if (!losesEvents(url)) return received;
      await Promise.race([received, allCompleted(queue, added)]);
      return Promise.all([...unheard].map(({ id = '' }) => queue.getJob(id)));
    },
    close: () => Promise.all([queue.close(), events.close()]),
  };
}

async function allCompleted(queue: Queue, count: number): Promise<void> {
  while ((await queue.getCompletedCount()) < count) await sleep(20);
}
