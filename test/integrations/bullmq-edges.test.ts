/** BullMQTaskCourier at its edges, on a real Redis and a real PostgreSQL: odd names and data, and moments that are hard to hit. */
import { setTimeout } from 'node:timers/promises';
import { FlowProducer, Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { TaskwardenError } from 'taskwarden';
import { type BullMQCourierOptions, BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { PostgresServer } from '../../src/integrations/bullmq/server/postgres-server.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

const kinds = { Redis: startRedis, PostgreSQL: startPostgres };

describe.each(Object.entries(kinds))('BullMQTaskCourier on %s', (kind, start) => {
  let server: Server;

  beforeAll(async () => {
    server = await start();
  });

  afterAll(() => server.stop());

  function create(options: BullMQCourierOptions = {}): BullMQTaskCourier {
    const courier = new BullMQTaskCourier(server.url, options);
    onTestFinished(() => courier.close());
    return courier;
  }

  async function fail(courier: BullMQTaskCourier, queue: string): Promise<void> {
    const task = await courier.waitForTask(queue);
    if (task === undefined) throw new Error('no task');
    await courier.returnTaskError(queue, task, new Error('failed'));
  }

  it('takes keys of 1,024 bytes, and refuses longer ones, which would stop a queue with limits', async () => {
    const courier = create();
    await courier.setLimits('long keys', { maxPerKey: 1 });
    // Letters that can't be shortened, of two bytes each.
    const longest = Array.from({ length: 512 }, (_, n) => String.fromCharCode(0x400 + ((n * 7_919) % 256))).join('');
    await courier.addTaskToQueue('long keys', 1, { key: longest, unique: 'join' });
    expect(await courier.getTask('long keys')).toMatchObject({ key: longest });
    await expect(courier.addTaskToQueue('long keys', 1, { key: `${longest}a` })).rejects.toThrow(
      /1024 bytes; got 1025/,
    );
    await expect(courier.bulkAddTasksToQueue('long keys', [1], { key: `${longest}a` })).rejects.toThrow(TypeError);
  });

  it('refuses ids and queue names that BullMQ does not take, and does not call the server away', async () => {
    const courier = create();
    for (const id of ['5', '0', '-1'])
      await expect(courier.addTaskToQueue('ids', 1, { id })).rejects.toThrow(TypeError);
    await expect(courier.addTaskToQueue('a:b', 1)).rejects.toThrow(TypeError);
    await expect(courier.getQueueInfo('')).rejects.toThrow(TypeError);
    await expect(courier.waitForTaskResult('a:b', 'x')).rejects.toThrow(TypeError);
    await expect(courier.waitForTask('a:b')).rejects.toThrow(TypeError);
  });

  if (kind === 'Redis') {
    it('refuses a URL whose database is no number', () => {
      for (const path of ['/one', '/1/2', '/-1', '/?db=x']) {
        expect(() => new BullMQTaskCourier(`redis://127.0.0.1:6379${path}`)).toThrow(/number of a database/);
      }
    });
  }

  it('carries data and results that look like its own', async () => {
    const courier = create();
    for (const data of [{ 'taskwarden:value': 1, b: 2 }, { 'taskwarden:canceled': 'x' }]) {
      const id = await courier.addTaskToQueue('own', data);
      const task = await courier.waitForTask('own');
      expect(task?.data).toEqual(data);
      if (task !== undefined) await courier.returnTaskResult('own', task, data);
      expect(await courier.waitForTaskResult('own', id)).toEqual(data);
    }
  });

  it('carries results that look like its own also in bulk', async () => {
    const courier = create();
    const result = { 'taskwarden:x': 1 };
    const id = await courier.addTaskToQueue('bulk', 1);
    const [task] = await courier.bulkWaitForTasks('bulk', 1);
    if (task !== undefined) await courier.bulkReturnTaskResults('bulk', [[task, result]]);
    expect(await courier.waitForTaskResult('bulk', id)).toEqual(result);
  });

  if (kind === 'PostgreSQL') {
    it('gives a task its place again whose lease ends while those that have ended are looked for', async () => {
      const leaseMs = 60_000;
      const courier = create({ leaseMs });
      await courier.bulkAddTasksToQueue('ending', ['first', 'second']);
      await courier.getTask('ending');
      const settings = { leaseMs, stalledIntervalMs: 1 };
      const postgres = await PostgresServer.connect(server.url, undefined, settings, new AbortController().signal);
      onTestFinished(() => postgres.close());
      const start = Date.now();
      let reads = 0;
      const claims = postgres.claims('ending');
      await claims.giveBackStalled(); // marks it; what is marked is given back when its lease has ended
      const clock = vi.spyOn(Date, 'now').mockImplementation(() => start + (leaseMs / 2 + 1) * reads++);
      onTestFinished(() => clock.mockRestore());
      while ((await claims.giveBackStalled()).length === 0);
      clock.mockRestore();
      expect(await courier.bulkGetTasks('ending', 2)).toMatchObject([{ data: 'first' }, { data: 'second' }]);
    });
  }

  it('heeds the global rate limit and concurrency of a queue of BullMQ', async () => {
    const courier = create();
    await courier.addTaskToQueue('limited', 0); // its backend is there then
    const queue = kind === 'Redis' ? new Queue('limited', { connection: { url: server.url } }) : undefined;
    if (queue === undefined) {
      const sql = new Client({ connectionString: server.url });
      await sql.connect();
      await sql.query(`INSERT INTO bullmq.meta VALUES ('limited', 'max', '1'), ('limited', 'duration', '300')`);
      await sql.end();
    } else {
      await queue.setGlobalRateLimit(1, 300);
      await queue.close();
    }
    await courier.bulkAddTasksToQueue('limited', [1, 2, 3, 4]);
    await courier.bulkAddTasksToQueue('limited', [5, 6], { priority: 'critical' });
    const start = performance.now();
    const times: number[] = [];
    for (const minPriority of ['critical', 'critical', 'low', 'low'] as const) {
      const tasks = await courier.bulkWaitForTasks('limited', 2, { minPriority });
      expect(tasks).toHaveLength(1);
      const [task] = tasks;
      times.push(performance.now() - start);
      if (task !== undefined) await courier.returnTaskResult('limited', task, 1);
    }
    const last = times.at(-1) ?? 0;
    expect(last).toBeGreaterThan(2 * 300); // it is held to the limit
    expect(last).toBeLessThan(5_000); // and not to the pauses of who waits for a signal
  });

  it('refuses data that turns into nothing', async () => {
    const adding = create().addTaskToQueue('nothing', { toJSON: () => undefined });
    await expect(adding).rejects.toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
  });

  it('tells of errors of which PostgreSQL could not keep the text, or which have none', async () => {
    const courier = create();
    for (const error of [new Error('a\0b'), 'a\0b', new Error('\ud800'), Object.create(null)]) {
      const id = await courier.addTaskToQueue('texts', 1);
      const task = await courier.waitForTask('texts');
      if (task !== undefined) await courier.returnTaskError('texts', task, error);
      const said = await courier.waitForTaskResult('texts', id).catch((thrown: unknown) => thrown);
      expect(said).not.toBeInstanceOf(TaskwardenError);
      if (error instanceof Error) expect((said as Error).message).toBe(error.message);
    }
    const id = await courier.addTaskToQueue('texts', 1);
    expect(await courier.cancelTask('texts', id, new Error('a\0b'))).toBe(true);
  });

  if (kind === 'PostgreSQL') {
    it('says that data and results can not be kept', async () => {
      const courier = create();
      await expect(courier.addTaskToQueue('kept', 'a\0b')).rejects.toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
      await courier.addTaskToQueue('kept', 1);
      const task = await courier.waitForTask('kept');
      if (task === undefined) throw new Error('no task');
      const returned = courier.returnTaskResult('kept', task, 'a\0b');
      await expect(returned).rejects.toMatchObject({ code: 'RESULT_NOT_CLONEABLE' });
      await courier.returnTaskResult('kept', task, 'ab');
    });
  }

  it('gives all urgent tasks to who wants any number', async () => {
    const courier = create();
    await courier.bulkAddTasksToQueue('many', [1, 2, 3], { priority: 'high' });
    expect(await courier.bulkGetTasks('many', Infinity, { minPriority: 'high' })).toHaveLength(3);
  });

  it('takes the id of a task again whose result is not known any more', async () => {
    const courier = create({ resultTtlMs: 10 });
    await courier.addTaskToQueue('again', 1, { id: 'one' });
    const task = await courier.waitForTask('again');
    if (task !== undefined) await courier.returnTaskResult('again', task, 1);
    await expect.poll(() => courier.checkForDone('again', 'one').catch((error) => error.code)).toBe('TASK_NOT_FOUND');
    await courier.addTaskToQueue('again', 2, { id: 'one' });
    expect((await courier.waitForTask('again'))?.data).toBe(2);
  });

  it('lets who waits for room behind others go when its signal aborts', async () => {
    const courier = create({ maxQueued: 1 });
    await courier.addTaskToQueue('room', 1);
    const first = courier.addTaskToQueue('room', 2, { wait: true }).catch((error) => error.code);
    const control = new AbortController();
    const second = courier.addTaskToQueue('room', 3, { wait: true, signal: control.signal });
    control.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    await courier.close();
    expect(await first).toBe('COURIER_CLOSED');
  });

  it('redrives dead letters once, though they fail again meanwhile', async () => {
    const courier = create();
    const count = 100;
    await courier.bulkAddTasksToQueue('dead', new Array(count).fill(1));
    const failTen = async () => {
      for (let left = 10; left > 0; left -= 1) await fail(courier, 'dead');
    };
    await Promise.all(Array.from({ length: count / 10 }, failTen));
    const control = new AbortController();
    const failing = (async () => {
      while (!control.signal.aborted) {
        const task = await courier.waitForTask('dead', { timeoutMs: 20 });
        if (task !== undefined) await courier.returnTaskError('dead', task, new Error('again'));
      }
    })();
    expect(await courier.redriveTasks('dead')).toBe(count);
    control.abort();
    await failing;
  });

  it('never waits for ever when it is closed while a wait begins', async () => {
    const courier = create();
    const queues = Array.from({ length: 30 }, (_, n) => `closing ${n}`);
    await Promise.all(queues.map((queue) => courier.getTask(queue)));
    const waits: Promise<unknown>[] = [];
    for (const queue of queues) {
      waits.push(courier.waitForTask(queue), courier.waitForTask(queue, { minPriority: 'high' }));
      await Promise.resolve(); // each has come a step less far when it is closed
    }
    const closed = courier.close();
    const closing = { code: 'COURIER_CLOSED' };
    await Promise.all(waits.map((wait) => expect(wait).rejects.toMatchObject(closing)));
    await closed;
  });

  if (kind === 'PostgreSQL') {
    it('leaves no connection when it is closed while others are made', async () => {
      for (let ms = 0; ms < 15; ms += 1) {
        const courier = new BullMQTaskCourier(server.url);
        await courier.getTask('leaving');
        const asked = [courier.waitForTaskResult('leaving', 'x'), courier.waitForTask('leaving')];
        const ended = Promise.allSettled(asked);
        await setTimeout(ms); // each time a little further
        await courier.close();
        await ended;
      }
      const client = new Client(server.url);
      await client.connect();
      onTestFinished(() => client.end());
      const others = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`;
      await expect.poll(async () => (await client.query(others)).rows[0].n, { timeout: 10_000 }).toBe(0);
    });
  }

  if (kind === 'Redis') {
    it('goes on with a schedule of BullMQ whose jobs are fetched as urgent ones', async () => {
      const courier = create();
      const url = new URL(server.url);
      const queue = new Queue('scheduled', { connection: { host: url.hostname, port: Number(url.port) } });
      onTestFinished(() => queue.close());
      await queue.upsertJobScheduler('often', { every: 50 }, { name: 'x', opts: { priority: 1 } });
      for (let n = 0; n < 3; n += 1) {
        const task = await courier.waitForTask('scheduled', { minPriority: 'critical', timeoutMs: 5_000 });
        if (task === undefined) throw new Error(`the schedule ended after ${n}`);
        await courier.returnTaskResult('scheduled', task, 1);
      }
    });
  }

  if (kind === 'Redis') {
    it('does not cancel a job that waits for its children, and leaves it as it was', async () => {
      const courier = create();
      const url = new URL(server.url);
      const connection = { host: url.hostname, port: Number(url.port) };
      const flows = new FlowProducer({ connection });
      const queue = new Queue('parents', { connection });
      onTestFinished(async () => {
        await flows.close();
        await queue.close();
      });
      const children = [{ name: 'child', queueName: 'children', data: 1 }];
      const { job } = await flows.add({ name: 'parent', queueName: 'parents', data: 1, children });
      expect(await courier.cancelTask('parents', job.id as string)).toBe(false);
      expect(await queue.getJobState(job.id as string)).toBe('waiting-children');
      const redis = new Redis(server.url);
      onTestFinished(() => redis.disconnect());
      expect(await redis.exists(queue.toKey(`${job.id}:lock`))).toBe(0);
    });
  }
});
