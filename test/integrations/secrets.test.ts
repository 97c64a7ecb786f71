/**
 * What is told of a failure has no secret in it: neither the password of a URL, nor the scripts and the data that were sent
 * when a server refused them. Every call of every courier and controller is made to fail, on a real Redis and PostgreSQL.
 */
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { backgroundWorker, controller, TaskSupervisor, viaCourier } from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { redisBrpop, redisPubsub } from 'taskwarden/redis';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { add } from '../fixtures/tasks/echo.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

const password = 'S3cr3tPw';
const data = 'J0bD4ta';
/** Of BullMQ's scripts and ours. */
const script = /redis\.call|rcall\(|local function/;

let said: string[];

/** All that is there of it: also what is not enumerable, and what JSON makes of it. */
function note(value: unknown): void {
  said.push(inspect(value, { depth: Infinity, showHidden: true, getters: true, maxStringLength: Infinity }));
  if (value instanceof Error) said.push(value.stack ?? '');
  said.push(JSON.stringify(value) ?? '');
}

beforeEach(() => {
  said = [];
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
    vi.spyOn(console, method).mockImplementation((...lines) => void note(lines));
  }
});

afterEach(() => {
  vi.restoreAllMocks();
  const text = said.join('\n');
  expect(text).not.toContain(password);
  expect(text).not.toContain(data);
  expect(text).not.toMatch(script);
});

/** Fails with what is then looked at. */
async function fails(call: Promise<unknown>): Promise<void> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ name: 'TaskwardenError' });
  note(error);
}

/** Every call of both sides that asks a server. */
async function callAll(courier: BullMQTaskCourier): Promise<void> {
  const task = { id: 'one', queue: 'q', data, priority: 'normal', attempt: 1, timeQueued: 0, lease: 'lease' } as const;
  const calls = [
    courier.addTaskToQueue('q', data),
    courier.getQueueNames(),
    courier.keepWork('q', task, data, new TextEncoder().encode(data)),
    courier.addTaskToQueue('q', data, { id: 'one' }),
    courier.bulkAddTasksToQueue('q', [data]),
    courier.getTaskResult('q', 'one'),
    courier.checkForDone('q', 'one'),
    courier.cancelTask('q', 'one', data),
    courier.sendToTask('q', 'one', { kind: 'message', data }),
    courier.subscribeToTask('q', 'one', () => {}),
    courier.getDeadLetters('q'),
    courier.redriveTasks('q'),
    courier.removeDeadLetters('q'),
    courier.getQueueInfo('q'),
    courier.getTask('q'),
    courier.bulkGetTasks('q', 2),
    courier.returnTaskResult('q', task, data),
    courier.returnTaskError('q', task, new Error('failed')),
    courier.bulkReturnTaskResults('q', [[task, data]]),
    courier.extendLease('q', task),
    courier.releaseTask('q', task),
    courier.sendToClient('q', task, { kind: 'message', data }),
  ];
  await Promise.all(calls.map(fails));
}

function connect(url: string): BullMQTaskCourier {
  const courier = new BullMQTaskCourier(url);
  onTestFinished(() => courier.close());
  return courier;
}

/** What a supervisor tells of a task by that courier, of a worker of it, and of a schedule. */
async function supervise(courier: BullMQTaskCourier): Promise<void> {
  const log = { debug: note, info: note, warn: note, error: note };
  const supervisor = new TaskSupervisor({ logger: log });
  for (const event of ['task:failed', 'task:canceled', 'worker:failed', 'worker:stopped'])
    supervisor.on(event as 'task:failed', note);
  const handle = viaCourier(courier, 'q', add.with({ supervisor }))(1, 2);
  const ended = Promise.resolve(handle).catch(note);
  backgroundWorker(() => {}, { name: 'w', type: 'loop', queue: { courier, name: 'q' }, supervisor }).start();
  supervisor.scheduleTask(() => {}, { name: 's', type: 'loop', recurring: true, delayMs: 10, courier });
  await expect.poll(() => said.length, { timeout: 10_000 }).toBeGreaterThan(0);
  note(supervisor.getTasks());
  note(supervisor.getInfo());
  handle.cancel();
  await ended;
  note(handle.info);
  await supervisor.stop({ cancelTasks: true });
}

describe('on Redis', () => {
  async function start(): Promise<{ server: Server; admin: Redis; url: (user: string, password: string) => string }> {
    const server = await startRedis();
    const admin = new Redis(server.url);
    onTestFinished(async () => {
      admin.disconnect();
      await server.stop();
    });
    await admin.acl('SETUSER', 'bob', 'on', `>${password}`, '~*', '&*', '+@all');
    return { server, admin, url: (user, word) => server.url.replace('//', `//${user}:${word}@`) };
  }

  it('a password that is wrong from the start', async () => {
    const { url } = await start();
    const courier = connect(url('alice', password));
    await callAll(courier);
    await supervise(connect(url('alice', password)));
    await fails(feed(redisBrpop('list', { connection: url('alice', password) })));
    await fails(feed(redisPubsub('news', { connection: url('alice', password) })));
  });

  it('a password that was changed while it was connected', async () => {
    const { admin, url } = await start();
    const courier = connect(url('bob', password));
    await courier.addTaskToQueue('q', data);
    const told = [redisBrpop, redisPubsub].map((control) => {
      return new Promise<unknown>(
        (onError) => void feed(control('list', { connection: url('bob', password), onError })).catch(note),
      );
    });
    for (const command of ['blmove', 'subscribe'])
      await expect.poll(() => admin.client('LIST')).toContain(`cmd=${command}`);
    await admin.acl('SETUSER', 'bob', 'resetpass', '>other');
    await admin.client('KILL', 'USER', 'bob');
    await callAll(courier);
    for (const each of told) note(await each);
  });

  it('a server that takes no more data', async () => {
    const { admin, url } = await start();
    const courier = connect(url('bob', password));
    await courier.addTaskToQueue('q', data);
    await admin.config('SET', 'maxmemory', '1');
    await fails(courier.addTaskToQueue('q', data));
    await fails(courier.bulkAddTasksToQueue('q', [data, data]));
    await fails(courier.getTask('q'));
  });

  it('rights that are missing', async () => {
    const { admin, url } = await start();
    const courier = connect(url('bob', password));
    await courier.addTaskToQueue('q', data);
    await admin.acl('SETUSER', 'bob', '-@write');
    await fails(courier.addTaskToQueue('q', data));
    await fails(feed(redisBrpop('list', { connection: url('bob', password) })));
  });

  it('keys of another kind', async () => {
    const { admin, url } = await start();
    const courier = connect(url('bob', password));
    await courier.getQueueInfo('q');
    await admin.set('bull:q:prioritized', data);
    await fails(courier.addTaskToQueue('q', data));
    await fails(courier.addTaskToQueue('q', data, { id: 'one' }));
    await admin.set('list', data);
    await fails(feed(redisBrpop('list', { connection: url('bob', password) })));
  });

  it('a server that does not speak TLS, or is not there', async () => {
    const { server, url } = await start();
    const urls = [url('bob', password).replace('redis:', 'rediss:'), url('bob', password)];
    await callAll(connect(urls[0] as string));
    await server.stop();
    await callAll(connect(urls[1] as string));
  });

  function feed(control: ReturnType<typeof redisBrpop>): Promise<unknown> {
    const supervisor = new TaskSupervisor({ logger: false });
    onTestFinished(async () => void (await supervisor.stop({ cancelTasks: true })));
    supervisor.on('task:failed', note);
    const handle = controller(control, (t) => t.recv(), { name: 'feed', type: 'loop', supervisor })();
    return Promise.resolve(handle).finally(() => note(supervisor.getTasks()));
  }
});

describe('on PostgreSQL', () => {
  it('a password that is wrong, a right that is missing, and data that it does not keep', async () => {
    await using server = await startPostgres();
    const sql = new Client({ connectionString: server.url });
    await sql.connect();
    await sql.query(`CREATE ROLE bob LOGIN PASSWORD '${password}'`);
    const url = (user: string) => server.url.replace('postgres@', `${user}:${password}@`);
    await callAll(connect(url('bob'))); // who may make no tables
    await callAll(connect(url('alice'))); // who is not there
    const courier = connect(url('postgres'));
    await fails(courier.addTaskToQueue('q', `${data}\0`));
    await courier.addTaskToQueue('q', data, { id: 'one' });
    const task = await courier.waitForTask('q');
    if (task !== undefined) await fails(courier.returnTaskResult('q', task, `${data}\0`));
    await sql.query('ALTER TABLE bullmq.job ADD CHECK (false) NOT VALID');
    await fails(courier.addTaskToQueue('q', data)); // the row that failed is in the detail of its error
    await supervise(connect(url('alice')));
    await sql.end();
  });

  it('a URL that is none', () => {
    for (const url of [`http://bob:${password}@x`, `redis://bob:${password}@`, `postgres://bob:${password}@x:y`]) {
      try {
        new BullMQTaskCourier(url);
      } catch (error) {
        note(error);
      }
    }
  });
});
