/**
 * Whoever can write to the server can write anything as a job, a result, a dead letter, an event or an order. Each is
 * malformed here in each way, on a real Redis and where it can be on a real PostgreSQL: it harms no other, and is told of.
 */
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { type CourierTask, TaskSupervisor } from 'taskwarden';
import { type BullMQCourierOptions, BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

let server: Server;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

function connect(options: BullMQCourierOptions = {}): BullMQTaskCourier {
  const courier = new BullMQTaskCourier(server.url, { leaseMs: 200, ...options });
  onTestFinished(() => courier.close());
  return courier;
}

const sound = { data: '1', opts: '{}', name: 'task', timestamp: '1700000000000' };

const jobs: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'data that is no JSON': { data: '{not json' },
  'options that are no JSON': { opts: '{' },
  'options that are null': { opts: 'null' },
  'a parent that is no JSON': { parent: '{', parentKey: 'bull:q:x' },
  'a parent that is a number': { parent: '5', parentKey: 'bull:q:x' },
  'a parent without an id': { parent: '{"queueKey":"bull:q"}', parentKey: 'bull:q:x' },
  'progress that is no JSON': { progress: '{' },
  'a result that is no JSON': { returnvalue: '{' },
  'attempts made that are no number': { atm: 'x' },
  'attempts begun that are no number': { ats: 'x' },
  'lost leases that are no number': { stc: 'x' },
  'a time that is no number': { timestamp: 'x' },
  'a scheduler with a pattern that is none': { rjk: 'r', opts: '{"repeat":{"pattern":"no pattern"}}' },
};

const harmless: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'attempts that are no number': { opts: '{"attempts":"x"}' },
  'a backoff that is no strategy': { opts: '{"backoff":{"type":"__proto__"},"attempts":2}' },
  'a backoff that is a text': { opts: '{"backoff":"x","attempts":2}' },
  'a retention that is none': { opts: '{"removeOnComplete":{"age":"x"},"removeOnFail":"y"}' },
  'a priority that is no number': { priority: 'x' },
  'a stack trace that is no array': { stacktrace: '{"a":1}' },
  'the id of another job': { id: 'other' },
};

describe('a job on Redis', () => {
  /** Puts one where workers look, before a good one. */
  async function put(queue: string, fields: Readonly<Record<string, string>>): Promise<void> {
    await redis.hset(`bull:${queue}:bad`, { ...sound, ...fields });
    await redis.lpush(`bull:${queue}:wait`, 'bad');
  }

  it.each(Object.entries(jobs))('with %s is a dead letter, and harms no other', async (_, fields) => {
    const queue = `jobs-${crypto.randomUUID()}`;
    const courier = connect();
    await put(queue, fields);
    const id = await courier.addTaskToQueue(queue, 'good');
    const task = await courier.waitForTask(queue);
    expect(task).toMatchObject({ id, data: 'good' });
    if (task !== undefined) await courier.returnTaskResult(queue, task, 'done');
    expect(await courier.waitForTaskResult(queue, id)).toBe('done');
    const [letter] = await courier.getDeadLetters(queue);
    expect(letter).toMatchObject({ id: 'bad' });
    expect(letter?.timeFailed).toBeGreaterThan(Date.now() - 60_000);
    await expect(courier.waitForTaskResult(queue, 'bad')).rejects.toThrow(
      /task 'bad' of queue '.*' can't be read|TASK/,
    );
    expect(await courier.removeDeadLetters(queue)).toBe(1);
    expect(await redis.keys(`bull:${queue}:bad*`)).toEqual([]);
  });

  it.each(Object.entries(jobs))('with %s that comes with the return of a result harms no other', async (_, fields) => {
    const queue = `next-${crypto.randomUUID()}`;
    const courier = connect({ leaseMs: 30_000 });
    const ids = await courier.bulkAddTasksToQueue(queue, ['first', 'second']);
    const first = (await courier.waitForTask(queue)) as CourierTask;
    await put(queue, fields);
    const [second] = await courier.bulkReturnTaskResults(queue, [[first, 'done']], { next: 1 });
    expect(second).toMatchObject({ id: ids[1], data: 'second', attempt: 1 });
    expect(await courier.getTaskResult(queue, ids[0] as string)).toBe('done');
    expect(await courier.getDeadLetters(queue)).toMatchObject([{ id: 'bad' }]);
    await courier.returnTaskResult(queue, second as CourierTask, 'done, too');
    expect(await courier.getTaskResult(queue, ids[1] as string)).toBe('done, too');
  });

  it.each(Object.entries(jobs))('with %s is a dead letter also where urgent ones are looked for', async (_, fields) => {
    const queue = `urgent-${crypto.randomUUID()}`;
    const courier = connect();
    await redis.hset(`bull:${queue}:bad`, { ...sound, ...fields });
    await redis.zadd(`bull:${queue}:prioritized`, 2 ** 32, 'bad');
    const id = await courier.addTaskToQueue(queue, 'good', { priority: 'critical' });
    const task = await courier.waitForTask(queue, { minPriority: 'critical' });
    expect(task).toMatchObject({ id, data: 'good' });
    expect(await courier.getDeadLetters(queue)).toMatchObject([{ id: 'bad' }]);
  });

  it.each(Object.entries(jobs))('with %s that a dead worker had is a dead letter', async (_, fields) => {
    const queue = `stalled-${crypto.randomUUID()}`;
    const courier = connect();
    await redis.hset(`bull:${queue}:bad`, { ...sound, ...fields });
    await redis.lpush(`bull:${queue}:active`, 'bad');
    const stalled = await courier.addTaskToQueue(queue, 'good');
    await courier.waitForTask(queue); // and lets its lease run out
    const task = await courier.waitForTask(queue);
    expect(task).toMatchObject({ id: stalled, attempt: 2 });
    await expect.poll(() => courier.getDeadLetters(queue), { timeout: 5_000 }).toMatchObject([{ id: 'bad' }]);
  });

  it.each(Object.entries(harmless))('with %s is done', async (_, fields) => {
    const queue = `done-${crypto.randomUUID()}`;
    const courier = connect({ leaseMs: 30_000 });
    await put(queue, fields);
    const task = await courier.waitForTask(queue);
    expect(task).toMatchObject({ id: 'bad', data: 1, priority: 'normal' });
    if (task === undefined) return;
    await courier.returnTaskError(queue, task, new Error('failed'));
    const again = await courier.waitForTask(queue, { timeoutMs: 500 });
    if (again !== undefined) await courier.returnTaskResult(queue, again, 'done');
    expect(await courier.checkForDone(queue, 'bad')).toBe(true);
  });

  it.each([
    ['a text', (key: string) => redis.set(key, 'x')],
    ['a list', (key: string) => redis.lpush(key, 'x')],
    ['nothing', async () => {}],
  ])('that is %s is a dead letter, and harms no other', async (_, write) => {
    const queue = `kinds-${crypto.randomUUID()}`;
    const courier = connect();
    await write(`bull:${queue}:bad`);
    await redis.lpush(`bull:${queue}:wait`, 'bad');
    const id = await courier.addTaskToQueue(queue, 'good');
    expect(await courier.waitForTask(queue)).toMatchObject({ id });
    expect(await courier.getDeadLetters(queue)).toMatchObject([{ id: 'bad', error: { code: 'TASK_MALFORMED' } }]);
    expect(await courier.redriveTasks(queue)).toBe(0);
    expect(await courier.removeDeadLetters(queue)).toBe(1);
  });

  it.each(['wait', 'active', 'meta', 'events', 'prioritized', 'id', 'failed', 'marker'])(
    'whose id is the key %s of BullMQ is none, and the queue lives on',
    async (key) => {
      const queue = `keys-${crypto.randomUUID()}`;
      const courier = connect();
      await expect(courier.addTaskToQueue(queue, 1, { id: key })).rejects.toThrow(TypeError);
      await courier.addTaskToQueue(queue, 1);
      await redis.rpush(`bull:${queue}:wait`, key);
      await redis.zadd(`bull:${queue}:failed`, 1, key);
      expect(await courier.waitForTask(queue)).toMatchObject({ data: 1 });
      const id = await courier.addTaskToQueue(queue, 2);
      expect(await courier.waitForTask(queue)).toMatchObject({ id, data: 2 });
      await expect(courier.waitForTaskResult(queue, key)).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
      expect(await courier.cancelTask(queue, key)).toBe(false);
      expect(await courier.getDeadLetters(queue)).toEqual([]);
      expect(await courier.removeDeadLetters(queue)).toBe(0);
      expect(await courier.removeDeadLetters(queue, [key])).toBe(0);
    },
  );

  it.each([
    ['half of a surrogate pair', '\ud800'],
    ['U+0000', 'a\0b'],
    ['a colon', 'a:b'],
  ])('is refused with %s in its id or the name of its queue', async (_, name) => {
    const courier = connect();
    await expect(courier.addTaskToQueue('q', 1, { id: name })).rejects.toThrow(TypeError);
    await expect(courier.addTaskToQueue(name, 1)).rejects.toThrow(TypeError);
  });

  it('that can not be read leaves a schedule that machines share going', async () => {
    const courier = connect();
    const supervisor = new TaskSupervisor({ logger: false });
    onTestFinished(async () => void (await supervisor.stop({ cancelTasks: true })));
    await put('schedule.shared', { data: '{' });
    let runs = 0;
    const count = () => {
      runs += 1;
    };
    supervisor.scheduleTask(count, { name: 'shared', recurring: true, delayMs: 50, type: 'loop', courier });
    await expect.poll(() => runs, { timeout: 10_000 }).toBeGreaterThan(2);
    expect(await courier.getDeadLetters('schedule.shared')).toMatchObject([{ id: 'bad' }]);
  });

  it('of a plain producer with a strategy of its own is tried again', async () => {
    const queue = new Queue('plain', { connection: { url: server.url } });
    onTestFinished(() => queue.close());
    await queue.add('x', {}, { attempts: 3, backoff: { type: 'mine' } });
    const courier = connect();
    for (const attempt of [1, 2, 3]) {
      const task = await courier.waitForTask('plain');
      expect(task).toMatchObject({ attempt });
      if (task !== undefined) await courier.returnTaskError('plain', task, new Error('failed'));
    }
    expect(await courier.getDeadLetters('plain')).toMatchObject([{ attempts: 3 }]);
  });
});

const envelopes = {
  'no JSON': '{nope',
  null: 'null',
  'a number': '5',
  'no errors': '{"thrown":{"error":0}}',
  'an index that is too high': '{"thrown":{"error":7},"errors":[]}',
  'the type __proto__': envelope('__proto__'),
  'the type constructor': envelope('constructor'),
  'the type toString': envelope('toString'),
};

function envelope(type: string): string {
  const error = { type, name: 'Error', message: 'forged', stack: 'Error: forged', fields: [] };
  return JSON.stringify({ thrown: { error: 0 }, errors: [error] });
}

const stacks: Readonly<Record<string, string>> = {
  'that is no JSON': '{',
  'of numbers': '[5]',
  'that is null': 'null',
  ...Object.fromEntries(
    Object.entries(envelopes).map(([what, text]) => [
      `that carries ${what}`,
      JSON.stringify([`Error\n# taskwarden ${text}`]),
    ]),
  ),
};

describe('a dead letter on Redis', () => {
  it.each(Object.entries(stacks))(
    'with a stack trace %s is told as an error, and so are all others',
    async (_, text) => {
      const queue = `letters-${crypto.randomUUID()}`;
      const courier = connect();
      for (const id of ['first', 'forged', 'last']) {
        const stacktrace = id === 'forged' ? text : '["Error: failed"]';
        await redis.hset(`bull:${queue}:${id}`, { ...sound, failedReason: 'failed', stacktrace, finishedOn: '5' });
        await redis.zadd(`bull:${queue}:failed`, 5, id);
      }
      const letters = await courier.getDeadLetters(queue);
      expect(letters.map(({ id }) => id).sort()).toEqual(['first', 'forged', 'last']);
      for (const { error } of letters) {
        expect(error).toBeInstanceOf(Error);
        expect((error as Error).message).toMatch(/failed|forged/);
      }
      await expect(courier.waitForTaskResult(queue, 'forged')).rejects.toThrow(/failed|forged/);
    },
  );
});

describe('an event on Redis', () => {
  it.each([
    ['progress', { data: '{' }],
    ['progress', { data: '"x"' }],
    ['progress', { data: '{"fraction":"x"}' }],
    ['taskwarden:update', { update: '{' }],
    ['taskwarden:update', { update: '5' }],
    ['taskwarden:update', { update: '{"kind":"progress"}' }],
    ['taskwarden:update', {}],
    ['completed', { returnvalue: '{' }],
    ['completed', { returnvalue: '{"taskwarden:canceled":"x"}' }],
  ])('%s with %j hides none of the others', async (event, fields) => {
    const queue = `events-${crypto.randomUUID()}`;
    const [client, worker] = [connect({ leaseMs: 30_000 }), connect({ leaseMs: 30_000 })];
    const id = await client.addTaskToQueue(queue, 1);
    const other = await client.addTaskToQueue(queue, 2);
    const heard: unknown[] = [];
    await client.subscribeToTask(queue, id, (news) => heard.push(news));
    await client.subscribeToTask(queue, other, () => {});
    const [task] = await worker.bulkWaitForTasks(queue, 2);
    if (task === undefined) throw new Error('no task');
    await redis.xadd(`bull:${queue}:events`, '*', 'event', event, 'jobId', other, ...Object.entries(fields).flat());
    await worker.sendToClient(queue, task, { kind: 'message', data: 'hello' });
    await expect.poll(() => heard).toContainEqual({ kind: 'message', data: 'hello' });
    await worker.returnTaskResult(queue, task, 'done');
    expect(await client.waitForTaskResult(queue, id)).toBe('done');
  });
});

describe('an order on Redis', () => {
  it.each(['{', '5', 'null', '{"kind":"__proto__"}', '{"kind":"cancel"}', '{}'])(
    'that is %s hides none of the others',
    async (text) => {
      const queue = `orders-${crypto.randomUUID()}`;
      const courier = connect({ leaseMs: 30_000 });
      const id = await courier.addTaskToQueue(queue, 1);
      const task = await courier.waitForTask(queue);
      if (task === undefined) throw new Error('no task');
      const heard: unknown[] = [];
      await courier.subscribeToClient(queue, task, (order) => heard.push(order));
      await redis.rpush(`bull:${queue}:${id}:logs`, `taskwarden: ${text}`);
      const cancel = ['event', 'taskwarden:cancel', 'queue', queue, 'jobId', 'other', 'reason', text];
      await redis.xadd('bull:taskwarden-commands:events', '*', ...cancel);
      await courier.sendToTask(queue, id, { kind: 'message', data: 'hello' });
      await expect.poll(() => heard).toEqual([{ kind: 'message', data: 'hello' }]);
    },
  );
});

describe('a job on PostgreSQL', () => {
  let postgres: Server;
  let sql: Client;

  beforeAll(async () => {
    postgres = await startPostgres();
    sql = new Client({ connectionString: postgres.url });
    await sql.connect();
  });

  afterAll(async () => {
    await sql.end();
    await postgres.stop();
  });

  const write = (queue: string, column: string, value: string) =>
    sql.query(`UPDATE bullmq.job SET ${column} = $2 WHERE queue = $1 AND id = 'bad'`, [queue, value]);

  async function begin(column: string, value: string) {
    const queue = `jobs-${crypto.randomUUID()}`;
    const courier = new BullMQTaskCourier(postgres.url, { leaseMs: 500 });
    onTestFinished(() => courier.close());
    await courier.addTaskToQueue(queue, 1, { id: 'bad', retries: 1, retryDelayMs: 1 });
    await write(queue, column, value);
    const id = await courier.addTaskToQueue(queue, 'good');
    return { queue, courier, id };
  }

  it.each([
    ['opts', '5'],
    ['opts', '"x"'],
    ['scheduler_id', 'r'],
  ])('whose column %s is %s harms no other', async (column, value) => {
    const { queue, courier, id } = await begin(column, value);
    if (column === 'scheduler_id') await write(queue, 'opts', '{"repeat":{"pattern":"no pattern"}}');
    expect(await courier.waitForTask(queue)).toMatchObject({ id });
    const [letter] = await courier.getDeadLetters(queue);
    expect(letter).toMatchObject({ id: 'bad' });
    expect(letter?.timeFailed).toBeGreaterThan(Date.now() - 60_000);
    await expect(courier.waitForTaskResult(queue, 'bad')).rejects.toThrow("can't be read");
  });

  it.each([
    ['opts', '{"attempts":2,"backoff":{"type":"mine"}}'],
    ['opts', '{"attempts":"x","backoff":[],"removeOnComplete":"x"}'],
    ['stacktrace', '{"a":1}'],
    ['stacktrace', '[5]'],
    ['progress', '"x"'],
    ['return_value', '"x"'],
  ])('whose column %s is %s is done', async (column, value) => {
    const { queue, courier, id } = await begin(column, value);
    const tasks = await courier.bulkWaitForTasks(queue, 2);
    expect(tasks.map((task) => task.id).sort()).toEqual(['bad', id].sort());
    const bad = tasks.find((task) => task.id === 'bad');
    if (bad === undefined) return;
    await courier.returnTaskError(queue, bad, new Error('failed'));
    const again = await courier.waitForTask(queue, { timeoutMs: 500 });
    if (again !== undefined) await courier.returnTaskResult(queue, again, 'done');
    expect(await courier.checkForDone(queue, 'bad')).toBe(true);
  });

  it.each(Object.entries(envelopes))('that has failed with a stack trace that carries %s is told', async (_, text) => {
    const { queue, courier } = await begin('failed_reason', 'failed');
    await write(queue, 'stacktrace', JSON.stringify([`Error\n# taskwarden ${text}`]));
    await write(queue, 'state', 'failed');
    const [letter] = await courier.getDeadLetters(queue);
    expect(letter).toMatchObject({ error: { message: expect.stringMatching(/failed|forged/) } });
    expect(letter?.error).toBeInstanceOf(Error);
  });
});
