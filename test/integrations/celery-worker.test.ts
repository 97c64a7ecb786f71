/** CeleryWorker, asked by real programs of Celery: results, errors, options of the calls, late acknowledgement. */
import { readFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { CeleryWorker } from 'taskwarden/celery';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { celeryWorkerRules } from '../../src/integrations/celery/worker/worker-options.ts';
import { type RunningNode, startNode } from '../fixtures/celery/celery-node.ts';
import * as tasks from '../fixtures/celery/node-tasks.ts';
import { type CeleryProject, celeryProject, PythonProgram } from '../servers/celery.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

const functions = {
  'node.add': tasks.add,
  'node.sum': tasks.sum,
  'node.echo': tasks.echo,
  'node.fail': tasks.fail,
  'node.flaky': tasks.flaky,
  'node.nap': tasks.nap,
  'node.untilStopped': tasks.untilStopped,
  'node.spin': tasks.spin,
  'node.die': tasks.die,
  'node.reject': tasks.reject,
  'node.notJson': tasks.notJson,
};

let redis: Server;
let direct: Redis;
let project: CeleryProject;
let program: PythonProgram;
let node: RunningNode;

beforeAll(async () => {
  redis = await startRedis();
  direct = new Redis(redis.url);
  project = await celeryProject(redis.url);
  program = await PythonProgram.start(project);
  node = startNode({ broker: redis.url, queues: ['node', 'node-2'], functions });
}, 60_000);

afterAll(async () => {
  await node?.stop();
  await program?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
  direct?.disconnect();
  await redis?.stop();
});

/** Runs an expression of Python, and gives its value. */
function python(expression: string): Promise<unknown> {
  return program.evaluate(expression);
}

/** Sends a task, and gives what `get()` gives, or the error that it raises. */
function call(name: string, args: readonly unknown[] = [], options = ''): Promise<unknown> {
  return python(
    `outcome(app.send_task(${JSON.stringify(name)}, json.loads(${JSON.stringify(JSON.stringify(args))}), queue='node'${options === '' ? '' : `, ${options}`}))`,
  );
}

describe('a call from Python', () => {
  it('gets the result', async () => {
    expect(await call('node.add', [2, 3])).toBe(5);
    expect(await call('node.sum', [2, 3])).toBe(5);
  });

  it('passes arguments, and keyword arguments as an object after them', async () => {
    expect(await call('node.echo', ['é', null, [1.5, { a: true }]])).toEqual(['é', null, [1.5, { a: true }]]);
    expect(await call('node.echo', [1], 'kwargs={"width": 80}')).toEqual([1, { width: 80 }]);
  });

  it('raises the error of the function, with its stack as traceback', async () => {
    expect(await call('node.fail', ['no such file'])).toEqual({
      error: 'RangeError',
      message: 'no such file',
      traceback: expect.stringMatching(/^RangeError: no such file\n +at /),
    });
  });

  it('raises NotRegistered for a function that is not in the allow-list, and the worker goes on', async () => {
    expect(await call('node.toString')).toMatchObject({ error: 'NotRegistered' });
    expect(await call('node.unknown')).toMatchObject({
      error: 'NotRegistered',
      message: expect.stringContaining('node.unknown'),
    });
    expect(node.heard.at(-1)).toMatchObject({ code: 'FUNCTION_NOT_ALLOWED' });
    expect(await call('node.sum', [1, 1])).toBe(2);
  });

  it('raises EncodeError for a result that is no JSON', async () => {
    expect(await call('node.notJson')).toMatchObject({
      error: 'EncodeError',
      message: expect.stringContaining('it is NaN'),
    });
  });

  it('raises WorkerLostError when the process of the task died', async () => {
    expect(await call('node.die')).toMatchObject({ error: 'WorkerLostError' });
  });

  it('leaves nothing in the broker', async () => {
    expect(await call('node.sum', [1, 2])).toBe(3);
    expect(await direct.exists('unacked', 'unacked_index', 'node')).toBe(0);
  });

  it('stores no result that is to be ignored', async () => {
    const id = await python(`app.send_task('node.echo', queue='node', ignore_result=True).id`);
    await expect.poll(() => tasks.begun.get(String(id))).toBe(1);
    expect(await call('node.sum', [1, 2])).toBe(3);
    expect(await direct.exists(`celery-task-meta-${id}`)).toBe(0);
  });
});

describe('the options of a call', () => {
  it('let it wait for its countdown or ETA', async () => {
    const before = Date.now();
    expect(await call('node.sum', [1, 2], 'countdown=0.3')).toBe(3);
    expect(Date.now() - before).toBeGreaterThanOrEqual(300);
    expect(await call('node.sum', [1, 2], 'eta=soon(0.2)')).toBe(3);
  });

  it('let it expire', async () => {
    expect(await call('node.sum', [1, 2], 'expires=soon(-5)')).toMatchObject({
      error: 'TaskRevokedError',
      message: 'expired',
    });
    expect(await call('node.sum', [1, 2], 'countdown=0.3, expires=soon(0.1)')).toMatchObject({ message: 'expired' });
    expect(await call('node.sum', [1, 2], 'expires=soon(60)')).toBe(3);
  });

  it('end it at its time limit', async () => {
    expect(await call('node.spin', [], 'time_limit=0.3')).toMatchObject({ error: 'TimeLimitExceeded' });
  });

  it('ask it to finish at its soft time limit', async () => {
    expect(await call('node.untilStopped', [], 'soft_time_limit=0.2, time_limit=20')).toBe('stopped');
  });
});

describe('retries', () => {
  it('of the function send the message again, with the number of the retry of Celery', async () => {
    expect(await call('node.flaky', [2])).toBe(3);
    expect(await call('node.flaky', [9])).toMatchObject({ error: 'Error', message: 'attempt 4' });
  });

  it('that Python has made before are counted', async () => {
    expect(await call('node.flaky', [2], 'retries=2')).toBe(3);
    expect(await call('node.flaky', [9], 'retries=3')).toMatchObject({ message: 'attempt 4' });
  });
});

describe('CeleryReject', () => {
  it('puts the message back, until a worker takes it', async () => {
    expect(await call('node.reject', [3])).toBe('taken');
  });

  it('drops the message without a result', async () => {
    const id = String(await python(`app.send_task('node.reject', [-1], queue='node').id`));
    await expect.poll(() => tasks.begun.get(id)).toBe(1);
    await expect.poll(() => direct.exists('unacked', 'unacked_index', 'node')).toBe(0);
    expect(await direct.exists(`celery-task-meta-${id}`)).toBe(0);
  });
});

describe('a message that can not be read', () => {
  const body = Buffer.from('[[1, 2], {}, {}]').toString('base64');
  const headers = (id: string) => ({ task: 'node.sum', id, lang: 'py' });
  const properties = {
    delivery_tag: 'tag',
    delivery_info: { exchange: '', routing_key: 'node' },
    body_encoding: 'base64',
  };
  const good = { body, properties, 'content-type': 'application/json', 'content-encoding': 'utf-8' };
  const bad: readonly [string, string | object, RegExp][] = [
    ['no JSON', 'nonsense', /it is no JSON/],
    ['no object', '[1, 2]', /it is no JSON object/],
    ['no message of kombu', { hello: 1 }, /it is no message of kombu/],
    [
      'pickle',
      { ...good, headers: headers('pickled'), 'content-type': 'application/x-python-serialize' },
      /its content type is/,
    ],
    [
      'yaml',
      { ...good, headers: headers('yaml'), 'content-type': 'application/x-yaml' },
      /only application\/json is read/,
    ],
    ['protocol 1', { ...good, headers: {} }, /only protocol 2 is read/],
    ['a body that is no list', { ...good, headers: headers('listless'), body: 'e30=' }, /its body is not/],
    ['an ETA that is no time', { ...good, headers: { ...headers('eta'), eta: 'soon' } }, /its header "eta" is no time/],
    ['too large', `"${'x'.repeat(17 * 1_024 * 1_024)}"`, /has more than 16777216 bytes/],
  ];

  it.each(bad)('is rejected with its reason, and the worker goes on: %s', async (_, message, reason) => {
    const { length } = node.heard;
    await direct.lpush('node', typeof message === 'string' ? message : JSON.stringify(message));
    await expect.poll(() => node.heard.slice(length)).toMatchObject([{ code: 'TASK_MALFORMED', message: reason }]);
    expect(await call('node.sum', [1, 2])).toBe(3);
    await expect.poll(() => direct.exists('unacked', 'unacked_index', 'node')).toBe(0);
  });

  it('fails for who waits for its result', async () => {
    expect(await call('node.sum', [1, 2], 'serializer="yaml"')).toMatchObject({ error: 'DecodeError' });
  });
});

describe('the options of a CeleryWorker', () => {
  const broker = 'redis://127.0.0.1:1';

  it('are checked when it is made', () => {
    const make = (options: object) => () => new CeleryWorker({ broker, functions: {}, ...options });
    expect(make({ queue: 'x' })).toThrow(/CeleryWorker has no option "queue": did you mean "queues"/);
    expect(make({ queues: [] })).toThrow(
      /option "queues" of CeleryWorker must be an array of names, with at least one/,
    );
    expect(make({ functions: { x: 1 } })).toThrow(/option "functions" of CeleryWorker must be an object of functions/);
    expect(make({ concurrency: 0 })).toThrow(RangeError);
    expect(make({ visibilityTimeoutMs: 0 })).toThrow(RangeError);
    expect(make({ routes: { x: 1 } })).toThrow(/option "routes" of CeleryWorker must be an object of names of queues/);
    expect(() => new CeleryWorker({ functions: {} } as never)).toThrow(/option "broker" of CeleryWorker must be/);
    expect(make({}) as () => unknown).not.toThrow();
  });

  it('and their table in docs are the same', async () => {
    const page = await readFile(new URL('../../docs/with-python.md', import.meta.url), 'utf8');
    const [, table = ''] = /\| option of `CeleryWorker` .*\n\|[- |]+\n((?:\|.*\n)+)/.exec(page) ?? [];
    const named = [...table.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) => cell.match(/\w+/g) ?? []);
    expect(named.sort()).toEqual(Object.keys(celeryWorkerRules).sort());
  });
});

describe('what a worker takes', () => {
  it('is no more than it can start, by the priorities of Celery, of all its queues', async () => {
    await using narrow = startNode({ broker: redis.url, queues: ['a', 'b'], functions, concurrency: 1 });
    const send = async (queue: string, priority: number, ms: number) =>
      String(await python(`app.send_task('node.nap', [${ms}], queue='${queue}', priority=${priority}).id`));
    const first = await send('a', 0, 60_000);
    await expect.poll(() => tasks.begun.get(first)).toBe(1);
    const ids: string[] = [];
    for (const [queue, priority] of [
      ['a', 9],
      ['b', 6],
      ['a', 3],
      ['b', 0],
    ] as const)
      ids.push(await send(queue, priority, 1));
    expect(narrow.worker.inFlight).toBe(1);
    expect(await direct.hlen('unacked')).toBe(1);
    await python(`app.control.revoke('${first}', terminate=True)`);
    for (const id of ids) await expect.poll(() => tasks.begun.get(id)).toBe(1);
    expect([...tasks.begun.keys()].filter((id) => ids.includes(id))).toEqual(ids.reverse());
  });

  it('shows as started, and how far it is, if that is tracked', async () => {
    const options = { queues: ['tracked'], functions: { 'node.converse': tasks.converse, 'node.nap': tasks.nap } };
    await using _tracked = startNode({ broker: redis.url, ...options, trackStarted: true });
    const id = String(await python(`app.send_task('node.nap', [60000], queue='tracked').id`));
    await expect.poll(() => python(`app.AsyncResult('${id}').state`)).toBe('STARTED');
    expect(await python(`app.AsyncResult('${id}').info['pid']`)).toBe(process.pid);
    await python(`app.control.revoke('${id}', terminate=True)`);
    expect(await python(`outcome(app.AsyncResult('${id}'))`)).toMatchObject({ message: 'terminated' });
    const talks = String(await python(`app.send_task('node.converse', queue='tracked').id`));
    await expect.poll(() => python(`app.AsyncResult('${talks}').info`)).toEqual({ fraction: 0.5, note: 'half' });
    await python(`app.control.broadcast('stop_task', {'task_id': '${talks}'}, pattern='taskwarden*', matcher='glob')`);
    expect(await python(`outcome(app.AsyncResult('${talks}'))`)).toBe(0);
  });
});
