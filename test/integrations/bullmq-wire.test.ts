/** Both directions on the wire: our workers do what plain BullMQ adds, and plain BullMQ workers do what we add. */
import { type Job, Queue, QueueEvents, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { BaseWorker, type CourierTask, type CourierTaskContext } from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';

let redis: RedisServer;
let queues = 0;
let name: string;
let courier: BullMQTaskCourier;
let queue: Queue;
let events: QueueEvents;
let connection: { readonly host: string; readonly port: number };
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  redis = await startRedis();
  connection = { host: '127.0.0.1', port: redis.port };
});

afterAll(() => redis.stop());

beforeEach(async () => {
  queues += 1;
  name = `wire${queues}`;
  courier = new BullMQTaskCourier(redis.url);
  queue = new Queue(name, { connection });
  events = new QueueEvents(name, { connection });
  await events.waitUntilReady();
});

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  await Promise.all([courier.close(), queue.close(), events.close()]);
});

interface Plain {
  readonly x: number;
}

/** Doubles `x`; what it has begun is in `tasks`. */
class Doubler extends BaseWorker<Plain, number> {
  readonly tasks: CourierTask<Plain>[] = [];

  override async performSingleTask(task: CourierTask<Plain>, context: CourierTaskContext): Promise<number> {
    this.tasks.push(task);
    if (task.data.x < 0) throw new RangeError('x is negative');
    await context.send({ kind: 'progress', progress: { fraction: 0.5 } });
    return task.data.x * 2;
  }
}

function startDoubler(): Doubler {
  const worker = new Doubler({ courier, queueName: name });
  const performed = worker.perform();
  closers.push(() => {
    worker.stop();
    return performed;
  });
  return worker;
}

function startPlainWorker(perform: (job: Job) => Promise<unknown>): void {
  const worker = new Worker(name, perform, { connection });
  closers.push(() => worker.close());
}

it('our worker does what a plain queue adds, and its caller gets our result', async () => {
  startDoubler();
  const job = await queue.add('double', { x: 21 });
  expect(await job.waitUntilFinished(events)).toBe(42);
  expect(await job.getState()).toBe('completed');
  const again = await queue.getJob(job.id as string);
  expect(again).toMatchObject({ name: 'double', data: { x: 21 }, returnvalue: 42, progress: 50, attemptsMade: 1 });
});

it('plain jobs come by their priority', async () => {
  const added = [
    await queue.add('a', { x: 1 }, { priority: 9 }),
    await queue.add('b', { x: 2 }, { priority: 1 }),
    await queue.add('c', { x: 3 }),
  ];
  const worker = startDoubler();
  await Promise.all(added.map((job) => job.waitUntilFinished(events)));
  expect(worker.tasks.map(({ data }) => data.x)).toEqual([3, 2, 1]); // BullMQ puts those without one first
});

it('a plain job that is delayed comes when it is due', async () => {
  const worker = startDoubler();
  const job = await queue.add('late', { x: 4 }, { delay: 300 });
  expect(await job.getState()).toBe('delayed');
  expect(worker.tasks).toEqual([]);
  expect(await job.waitUntilFinished(events)).toBe(8);
});

it('jobs of a plain scheduler come again and again', async () => {
  const worker = startDoubler();
  const thrice = new Promise<void>((resolve) => {
    const results: unknown[] = [];
    events.on('completed', ({ returnvalue }) => {
      results.push(returnvalue);
      if (results.length === 3) resolve();
    });
  });
  await queue.upsertJobScheduler('often', { every: 50 }, { name: 'double', data: { x: 5 } });
  await thrice;
  await queue.removeJobScheduler('often');
  expect(worker.tasks.slice(0, 3).map(({ data }) => data.x)).toEqual([5, 5, 5]);
});

it('plain queues see our progress as numbers, and our results as events', async () => {
  const progress = new Promise((resolve) => events.once('progress', ({ data }) => resolve(data)));
  const completed = new Promise((resolve) => events.once('completed', ({ returnvalue }) => resolve(returnvalue)));
  startDoubler();
  await queue.add('double', { x: 6 });
  expect(await progress).toBe(50);
  expect(await completed).toBe(12);
});

it('plain queues read why a task of ours failed, and retry it as often as they said', async () => {
  const worker = startDoubler();
  const job = await queue.add('double', { x: -1 }, { attempts: 3, backoff: { type: 'fixed', delay: 10 } });
  await expect(job.waitUntilFinished(events)).rejects.toThrow('x is negative');
  expect(worker.tasks.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
  const failed = (await queue.getJob(job.id as string)) as Job;
  expect(await failed.getState()).toBe('failed');
  expect(failed.failedReason).toBe('x is negative');
  expect(failed.stacktrace?.at(-1)).toContain('RangeError: x is negative');
  expect(await courier.getDeadLetters(name)).toMatchObject([
    { id: job.id, data: { x: -1 }, attempts: 3, error: { name: 'RangeError', message: 'x is negative' } },
  ]);
});

it('a plain worker does what we add, and we get what it returns', async () => {
  const seen: unknown[] = [];
  startPlainWorker(async ({ data, id }) => {
    seen.push({ data, id });
    return { doubled: data.x * 2 };
  });
  const id = await courier.addTaskToQueue(name, { x: 7 });
  expect(await courier.waitForTaskResult(name, id)).toEqual({ doubled: 14 });
  expect(seen).toEqual([{ data: { x: 7 }, id }]);
  expect(await courier.checkForDone(name, id)).toBe(true);
});

it('a plain worker that returns nothing gives nothing', async () => {
  startPlainWorker(async () => undefined);
  const id = await courier.addTaskToQueue(name, { x: 8 });
  expect(await courier.waitForTaskResult(name, id)).toBeFalsy();
});

it('the error of a plain worker arrives as an Error, after the retries that we gave', async () => {
  let attempts = 0;
  startPlainWorker(async () => {
    attempts += 1;
    throw new TypeError(`attempt ${attempts} failed`);
  });
  const id = await courier.addTaskToQueue(name, { x: 9 }, { retries: 2, retryDelayMs: 10 });
  const error = await failure(courier.waitForTaskResult(name, id));
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ message: 'attempt 3 failed' });
  expect(attempts).toBe(3);
  expect(await courier.getDeadLetters(name)).toMatchObject([{ id, attempts: 3 }]);
});

it('we hear the progress of a plain worker', async () => {
  startPlainWorker((job) => job.updateProgress(25));
  const news: unknown[] = [];
  await courier.subscribeToTask(name, 'followed', (each) => news.push(each));
  await courier.addTaskToQueue(name, { x: 10 }, { id: 'followed' });
  await courier.waitForTaskResult(name, 'followed');
  expect(news).toEqual([{ kind: 'progress', progress: { fraction: 0.25 } }]);
});

it('a paused queue gives our workers nothing until it is resumed', async () => {
  await queue.pause();
  const id = await courier.addTaskToQueue(name, { x: 11 });
  expect(await courier.getTask(name)).toBeUndefined();
  expect(await courier.getTask(name, { minPriority: 'normal' })).toBeUndefined();
  expect(await courier.waitForTask(name, { timeoutMs: 100 })).toBeUndefined();
  const worker = startDoubler();
  expect(await courier.waitForTask(name, { timeoutMs: 100 })).toBeUndefined();
  expect(worker.tasks).toEqual([]);
  await queue.resume();
  expect(await courier.waitForTaskResult(name, id)).toBe(22);
});

it('a paused queue is asked seldom', async () => {
  await queue.pause();
  await courier.addTaskToQueue(name, { x: 12 });
  const before = await commandsDone();
  await courier.waitForTask(name, { timeoutMs: 500 });
  expect((await commandsDone()) - before).toBeLessThan(50);
});

async function commandsDone(): Promise<number> {
  const client = new Redis(redis.url);
  const stats = await client.info('stats');
  client.disconnect();
  return Number(/total_commands_processed:(\d+)/.exec(stats)?.[1]);
}
