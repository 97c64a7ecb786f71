/** Deadlines of tasks between machines, whose clocks differ, on a real Redis and a real PostgreSQL. */
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { backgroundTask, type CourierTask, TaskSupervisor, viaCourier } from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

/** How many deadlines the server keeps. */
type Count = (url: string, prefix: string) => Promise<number>;

async function countOnRedis(url: string, prefix: string): Promise<number> {
  const redis = new Redis(url);
  try {
    const counts = ['deadlines', 'due'].map((name) => redis.zcard(`${prefix}:work:taskwarden:${name}`));
    return (await Promise.all(counts)).reduce((sum, count) => sum + count);
  } finally {
    redis.disconnect();
  }
}

async function countOnPostgres(url: string, prefix: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(`SELECT count(*)::int AS count FROM ${prefix}.taskwarden_deadline`)).rows[0].count;
  } finally {
    await client.end();
  }
}

describe.each<[string, () => Promise<Server>, Count]>([
  ['Redis', startRedis, countOnRedis],
  ['PostgreSQL', startPostgres, countOnPostgres],
])('on %s', (_, start, count) => {
  let server: Server;

  beforeAll(async () => {
    server = await start();
  });

  afterAll(() => server.stop());

  function machine(prefix: string, leaseMs = 30_000): BullMQTaskCourier {
    const courier = new BullMQTaskCourier(server.url, { prefix, leaseMs });
    onTestFinished(() => courier.close());
    return courier;
  }

  /** With a clock that is so much ahead. */
  async function withClock<R>(aheadMs: number, act: () => Promise<R>): Promise<R> {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + aheadMs });
    try {
      return await act();
    } finally {
      vi.useRealTimers();
    }
  }

  it('the clock of the server counts, and not that of the machine which adds a task or performs it', async () => {
    const [client, worker] = [machine('clocks'), machine('clocks')];
    const hourMs = 3_600_000;
    await withClock(-hourMs, () => client.addTaskToQueue('work', 'of one that is slow', { deadlineMs: 60_000 }));
    const task = await worker.getTask('work');
    expect(task).toMatchObject({ data: 'of one that is slow' });
    expect(task?.deadline).toBeGreaterThan(Date.now() + 30_000);
    const late = await withClock(hourMs, () => client.addTaskToQueue('work', 'of a fast one', { deadlineMs: 30 }));
    expect(await failure(worker.waitForTaskResult('work', late))).toMatchObject({ code: 'TASK_EXPIRED' });
    await client.addTaskToQueue('work', 'for a fast one', { deadlineMs: 60_000 });
    expect(await withClock(hourMs, () => worker.getTask('work'))).toMatchObject({ data: 'for a fast one' });
  });

  it('a worker ends the tasks of a client that is gone, those that wait and those that it runs', async () => {
    const worker = machine('gone', 400);
    await worker.getTask('work');
    const client = machine('gone');
    await client.addTaskToQueue('work', 'begun', { deadlineMs: 1_000 });
    const begun = (await worker.getTask('work')) as CourierTask;
    await client.pauseQueue('work');
    const waiting = await client.addTaskToQueue('work', 'waiting', { deadlineMs: 1_000 });
    await client.close();
    const extending = setInterval(() => void worker.bulkExtendLeases('work', [begun]).catch(() => {}), 50);
    onTestFinished(() => clearInterval(extending));
    const ends = [begun.id, waiting].map((id) => failure(worker.waitForTaskResult('work', id)));
    expect(await Promise.all(ends)).toMatchObject([{ code: 'TASK_TIMEOUT' }, { code: 'TASK_EXPIRED' }]);
  });

  it('of many couriers that look at once, one ends the task', async () => {
    const couriers = Array.from({ length: 4 }, () => machine('many', 400));
    const [client] = couriers as [BullMQTaskCourier];
    await Promise.all(couriers.map((courier) => courier.getTask('work')));
    await client.pauseQueue('work');
    const failed: string[] = [];
    await client.subscribe('work', (event) => event.kind === 'failed' && failed.push(event.id));
    const ids = await client.bulkAddTasksToQueue('work', new Array<number>(150).fill(0), { deadlineMs: 50 });
    for (const id of ids) {
      expect(await failure(client.waitForTaskResult('work', id))).toMatchObject({ code: 'TASK_EXPIRED' });
    }
    await vi.waitFor(() => expect(failed).toHaveLength(150), 10_000);
    expect(await client.getQueueInfo('work')).toMatchObject({ waiting: { normal: 0 }, leased: 0, deadLetters: 150 });
    await vi.waitFor(async () => expect(await count(server.url, 'many')).toBe(0), 10_000);
  });

  it('calls of two machines join one task, and each has its own deadline', async () => {
    const [here, there] = [machine('calls'), machine('calls')];
    await using supervisor = new TaskSupervisor({ logger: false });
    await using other = new TaskSupervisor({ logger: false });
    const double = backgroundTask((n: number) => 2 * n, { name: 'double', type: 'loop' });
    const keyed = double.with({ key: (n) => `double ${n}`, unique: 'join' });
    const first = viaCourier(here, 'work', keyed).with({ supervisor })(4);
    await vi.waitFor(async () => expect((await here.getQueueInfo('work')).waiting.normal).toBe(1), 10_000);
    const second = viaCourier(there, 'work', keyed).with({ supervisor: other })(4);
    const hasty = viaCourier(there, 'work', keyed).with({ supervisor: other, deadlineMs: 200 })(4);
    expect(await failure(hasty)).toMatchObject({ timeoutMs: 200 });
    const alone = viaCourier(there, 'work', double).with({ supervisor: other, deadlineMs: 100 })(5);
    expect(await failure(alone)).toMatchObject({ code: 'TASK_EXPIRED', timeoutMs: 100 });
    const task = (await there.getTask('work')) as CourierTask;
    expect(task).toMatchObject({ id: first.id, data: { function: 'double', args: [4] } });
    await there.returnTaskResult('work', task, 8);
    expect(await Promise.all([first, second])).toEqual([8, 8]);
    expect(await there.getTask('work')).toBeUndefined();
  });

  it('keeps nothing of tasks that have ended in time', async () => {
    const courier = machine('kept');
    await courier.bulkAddTasksToQueue('work', ['done', 'failed'], { deadlineMs: 3_600_000 });
    const [done, failed] = (await courier.bulkGetTasks('work', 2)) as [CourierTask, CourierTask];
    const canceled = await courier.addTaskToQueue('work', 'canceled', { deadlineMs: 3_600_000 });
    expect(await count(server.url, 'kept')).toBe(3);
    await courier.returnTaskResult('work', done, 1);
    await courier.returnTaskError('work', failed, new Error('no'));
    await courier.cancelTask('work', canceled);
    await vi.waitFor(async () => expect(await count(server.url, 'kept')).toBe(0), 10_000);
  });
});
