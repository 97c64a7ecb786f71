/** `taskwarden/redis` on a real Redis: which items reach the task, which go back, and what is left of the connections. */
import { execFile } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import {
  type Controller,
  controller,
  Task,
  type TaskContext,
  type TaskSupervisor,
  type TaskType,
  type TaskwardenError,
} from 'taskwarden';
import { redisBrpop, redisPubsub } from 'taskwarden/redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { mkdtempDisposable } from '../cli/temporary-folder.ts';
import { failure as failureOf } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import { gathers, takes } from '../fixtures/tasks/controls.ts';
import { startProxy } from '../servers/proxy.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

beforeEach(() => redis.flushall());

/** The names of all connections but our own. */
async function connections(): Promise<string[]> {
  const list = (await redis.client('LIST')) as string;
  return [...list.matchAll(/ name=(\S*).* cmd=(\S+)/g)].map(([, name, command]) => `${name} ${command}`).slice(1);
}

/** No connection, no set and no list is left by any controller. */
afterEach(async () => {
  await expect.poll(connections).toEqual([]);
  expect((await redis.keys('*taskwarden*')).sort()).toEqual([]);
});

const supervisors = new SharedSupervisors();

function supervise(): TaskSupervisor {
  const supervisor = supervisors.take({ logger: false });
  onTestFinished(() => supervisor[Symbol.asyncDispose]());
  return supervisor;
}

const list = (key = 'list') => redis.lrange(key, 0, -1);

/** Resolves when a pop waits at the server. */
async function popping(count = 1): Promise<void> {
  await expect.poll(async () => (await connections()).filter((each) => each.endsWith(' blmove')).length).toBe(count);
}

const failure = (ending: PromiseLike<unknown>) => failureOf(ending) as Promise<TaskwardenError>;

/** Of outages that are meant. */
const quiet = () => {};

const brpop = () => redisBrpop('list', { connection: server.url });

describe.each<TaskType>(['thread', 'process', 'loop'])('redisBrpop on the lane of %s', (type) => {
  it('sends its task what is in the list, from the right, as text', async () => {
    const supervisor = supervise();
    await redis.lpush('list', 'a', '1', '{}');
    expect(await controller(brpop(), takes, { type, supervisor })(3)).toEqual(['a', '1', '{}']);
    expect(await list()).toEqual([]);
  });

  it('waits for items that come later', async () => {
    const supervisor = supervise();
    const result = controller(brpop(), takes, { type, supervisor })(2);
    await popping();
    await redis.lpush('list', 'a');
    await popping();
    await redis.lpush('list', 'b');
    expect(await result).toEqual(['a', 'b']);
  });

  it('leaves what the task did not take where it was, in order, when its result is given', async () => {
    const supervisor = supervise();
    await redis.lpush('list', 'a', 'b', 'c', 'd');
    expect(await controller(brpop(), takes, { type, supervisor })(2)).toEqual(['a', 'b']);
    expect(await list()).toEqual(['d', 'c']);
  });

  it('leaves it also when the task fails', async () => {
    const supervisor = supervise();
    await redis.lpush('list', 'a', 'b', 'c');
    const error = await failure(controller(brpop(), takes, { type, supervisor })(1, 'fails'));
    expect(error.message).toBe('enough');
    expect(await list()).toEqual(['c', 'b']);
  });

  it('leaves it also when the task is canceled', async () => {
    const supervisor = supervise();
    await redis.lpush('list', 'a', 'b', 'c');
    const cancel = new AbortController();
    const options = { type, supervisor, signal: cancel.signal, stopGraceMs: 50 };
    const result = failure(controller(brpop(), takes, options)(1, 'hangs'));
    // The one that is not taken is out of the list.
    await expect.poll(() => list(), { timeout: 10_000 }).toEqual(['c']);
    await expect.poll(() => redis.keys('list:taskwarden:*')).toHaveLength(1);
    cancel.abort();
    expect((await result).code).toBe('TASK_CANCELED');
    expect(await list()).toEqual(['c', 'b']);
  });

  it('ends a pop that waits as soon as the task ends', async () => {
    const supervisor = supervise();
    const cancel = new AbortController();
    const options = { type, supervisor, signal: cancel.signal, stopGraceMs: 50 };
    const result = failure(controller(brpop(), takes, options)(1));
    await popping();
    cancel.abort();
    await result;
    expect(await redis.client('LIST')).not.toContain('cmd=blmove');
  });
});

describe.each<TaskType>(['thread', 'process'])('redisBrpop on the lane of %s', (type) => {
  it('leaves what the task did not take when that dies', async () => {
    const supervisor = supervise();
    await redis.lpush('list', 'a', 'b', 'c');
    const error = await failure(controller(brpop(), takes, { type, supervisor })(1, 'dies'));
    expect(error.code).toBe('TASK_CRASHED');
    expect((await list()).at(0)).toBe('c');
    expect(await list()).toContain('b');
  });
});

describe('redisBrpop', () => {
  const loop = async (t: TaskContext, count: number) => {
    const taken: unknown[] = [];
    while (taken.length < count) taken.push(await t.recv());
    return taken;
  };

  it('gives the task what parse makes of a text', async () => {
    const supervisor = supervise();
    await redis.lpush('list', '{"a":1}', '[2]');
    const parsed = redisBrpop('list', { connection: server.url, parse: JSON.parse });
    expect(await controller(parsed, loop, { type: 'loop', supervisor })(2)).toEqual([{ a: 1 }, [2]]);
  });

  it('fails with what parse throws, and leaves the item', async () => {
    const supervisor = supervise();
    await redis.lpush('list', '{');
    const parsed = redisBrpop('list', { connection: server.url, parse: JSON.parse });
    const error = await failure(controller(parsed, takes, { type: 'loop', supervisor })(1));
    expect(error).toBeInstanceOf(SyntaxError);
    expect(await list()).toEqual(['{']);
  });

  it('takes a client, which it leaves alone, or options', async () => {
    const supervisor = supervise();
    const prefixed = new Redis(server.url, { keyPrefix: 'my:', commandTimeout: 50 });
    onTestFinished(() => prefixed.disconnect());
    await redis.lpush('my:list', 'a', 'b');
    const { port } = server;
    const connections = [prefixed, { port, host: '127.0.0.1', keyPrefix: 'my:' }];
    for (const connection of connections) {
      const taking = controller(redisBrpop('list', { connection }), takes, { type: 'loop', supervisor });
      expect(await taking(1)).toHaveLength(1);
    }
    expect(prefixed.status).toBe('ready');
    expect(await redis.llen('my:list')).toBe(0);
    prefixed.disconnect();
  });

  it('shares a list with others, so that each item goes to one', async () => {
    const supervisor = supervise();
    const items = Array.from({ length: 60 }, (_, n) => `${n}`);
    const taking = controller(brpop(), takes, { type: 'loop', supervisor });
    const results = [taking(20), taking(20), taking(20)];
    await redis.lpush('list', ...items);
    const taken = (await Promise.all(results)).flat() as string[];
    expect(taken.sort()).toEqual(items.sort());
  });

  it('loses no item, and gives none twice, when tasks end at any moment while items come', async () => {
    const supervisor = supervise();
    const taking = controller(brpop(), takes, { type: 'loop', supervisor });
    const taken: unknown[] = [];
    let isOver = false;
    const take = async () => {
      while (!isOver) taken.push(...(await taking(3)));
    };
    const takers = [take(), take()];
    for (let n = 0; n < 300; n += 1) await redis.lpush('list', n);
    await expect.poll(() => list(), { timeout: 10_000 }).toEqual([]);
    isOver = true;
    await redis.lpush('list', ...Array(6).fill('end')); // for those that wait
    await Promise.all(takers);
    const numbers = taken.filter((each) => each !== 'end').map(Number);
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, n) => n));
  });

  it('goes on after a connection that was lost while it waited', async () => {
    const supervisor = supervise();
    await using proxy = await startProxy(server.port);
    const through = redisBrpop('list', { connection: `redis://127.0.0.1:${proxy.port}`, onError: quiet });
    const result = controller(through, takes, { type: 'loop', supervisor })(2);
    await popping();
    proxy.cut();
    await redis.lpush('list', 'a', 'b');
    expect(await result).toEqual(['a', 'b']);
  });

  it('lets the event loop turn while ioredis still calls a connection ready that is lost', async () => {
    const supervisor = supervise();
    let refused = 0;
    let refusedInOneTurn = 0;
    const client = new Redis(server.url, { lazyConnect: true });
    client.duplicate = (options) => {
      const lost = new Redis(server.url, options ?? {});
      const { sendCommand } = lost;
      // As between the `end` of its socket and its `close`. What never lets the loop turn ends after so many tries.
      lost.sendCommand = (command, stream) => {
        const isLost = refusedInOneTurn === 0 && refused < 1_000 && (refused > 0 || command.name === 'blmove');
        if (!isLost) return sendCommand.call(lost, command, stream);
        refused += 1;
        if (refused === 1) {
          setImmediate(() => {
            refusedInOneTurn = refused;
          });
        }
        command.reject(new Error('Connection is closed.'));
        return command.promise;
      };
      return lost;
    };
    const result = controller(redisBrpop('list', { connection: client, onError: quiet }), takes, {
      type: 'loop',
      supervisor,
    })(1);
    await redis.lpush('list', 'a');
    expect(await result).toEqual(['a']);
    expect(refusedInOneTurn).toBeGreaterThan(0);
    expect(refusedInOneTurn).toBeLessThan(1_000);
  });

  it('gets an item that was popped when the answer was lost', async () => {
    const supervisor = supervise();
    await using proxy = await startProxy(server.port);
    const through = redisBrpop('list', { connection: `redis://127.0.0.1:${proxy.port}`, onError: quiet });
    const result = controller(through, takes, { type: 'loop', supervisor })(2);
    await popping();
    proxy.freeze();
    await redis.lpush('list', 'a');
    await expect.poll(() => list()).toEqual([]);
    proxy.cut();
    proxy.thaw();
    await redis.lpush('list', 'b');
    expect(await result).toEqual(['a', 'b']);
  });

  it('goes on after a restart of Redis', async () => {
    await using other = await startRedis({ save: true });
    const supervisor = supervise();
    const client = new Redis(other.url, { maxRetriesPerRequest: null });
    client.on('error', () => {});
    onTestFinished(() => client.disconnect());
    const task = controller(redisBrpop('list', { connection: other.url, onError: quiet }), takes, {
      type: 'loop',
      supervisor,
    });
    const result = task(2);
    await client.lpush('list', 'a');
    await expect.poll(() => client.llen('list')).toBe(0);
    await other.restart();
    await client.lpush('list', 'b');
    expect(await result).toEqual(['a', 'b']);
  });

  it('puts back what a controller whose process is gone had popped', async () => {
    const supervisor = supervise();
    await redis.lpush('list', 'b');
    await redis.lpush('list:taskwarden:gone', 'a');
    await redis.sadd('list:taskwarden', 'gone', 'done');
    expect(await controller(brpop(), takes, { type: 'loop', supervisor })(2)).toEqual(['a', 'b']);
  });

  it('leaves alone what another has popped and holds', async () => {
    const supervisor = supervise();
    await redis.lpush('list', 'a', 'b');
    const holder = new Task(takes.with({ type: 'loop', supervisor, stopGraceMs: 10 }), 0, 'hangs').start();
    const end = new AbortController();
    const holding = brpop()(holder as Task, end.signal, () => {}) as Promise<void>;
    await expect.poll(() => list()).toEqual(['b']);
    expect(await controller(brpop(), takes, { type: 'loop', supervisor })(1)).toEqual(['b']);
    expect(await list()).toEqual([]);
    holder.handle?.cancel();
    await failure(holder.handle as Promise<unknown>);
    end.abort();
    await holding;
    expect(await list()).toEqual(['a']);
  });

  it('stops the task and throws when the key is none of a list', async () => {
    const supervisor = supervise();
    await redis.set('list', 'text');
    const error = await failure(controller(brpop(), gathers, { type: 'loop', supervisor })('hello'));
    expect(error.message).toMatch(/^WRONGTYPE/);
  });

  it('throws when Redis does not let it in', async () => {
    await using other = await startRedis();
    const client = new Redis(other.url);
    onTestFinished(() => client.disconnect());
    await client.config('SET', 'requirepass', 'secret');
    const supervisor = supervise();
    const taking = (url: string) =>
      controller(redisBrpop('list', { connection: url }), gathers, { type: 'loop', supervisor })('hello');
    expect((await failure(taking(other.url))).message).toMatch(/NOAUTH/);
    expect((await failure(taking(other.url.replace('//', '//:wrong@')))).message).toMatch(/WRONGPASS/);
  });

  it('throws when its connection is not to be opened again', async () => {
    await using other = await startRedis();
    const supervisor = supervise();
    const connection = { port: other.port, retryStrategy: () => null };
    const result = failure(
      controller(redisBrpop('list', { connection, onError: quiet }), gathers, { type: 'loop', supervisor })('a'),
    );
    const client = new Redis(other.url);
    client.on('error', () => {});
    onTestFinished(() => client.disconnect());
    await expect.poll(() => client.client('LIST')).toContain('cmd=blmove');
    await other.kill();
    expect((await result).message).toBe('the connection to Redis is closed, and is not opened again');
  });

  it('does not take another database for its own when it comes back', async () => {
    const supervisor = supervise();
    const user = ['worker', 'on', '>right', '~*', '&*', '+@all'] as const;
    await redis.acl('SETUSER', ...user);
    const own = new Redis(`${server.url}/1`);
    const connection = `${server.url.replace('//', '//worker:right@')}/1`;
    const control = redisBrpop('list', { connection, onError: () => {} });
    const result = controller(control, takes, { type: 'loop', supervisor })(1);
    await popping();
    await redis.acl('SETUSER', 'worker', '-select');
    await redis.client('KILL', 'USER', 'worker');
    await redis.lpush('list', 'of another');
    await expect.poll(() => redis.acl('LOG')).not.toEqual([]);
    await redis.acl('SETUSER', ...user);
    await own.lpush('list', 'own');
    expect(await result).toEqual(['own']);
    expect(await list()).toEqual(['of another']);
    own.disconnect();
  });

  it('keeps its name when it could not tell it as it connected: else others would take what it holds', async () => {
    const supervisor = supervise();
    await redis.acl('SETUSER', 'nameless', 'on', '>right', '~*', '+@all', '-client|setname');
    const connection = server.url.replace('//', '//nameless:right@');
    const control = redisBrpop('list', { connection, onError: () => {} });
    const result = controller(control, takes, { type: 'loop', supervisor })(1);
    await expect.poll(async () => (await connections()).some((each) => each.startsWith(' '))).toBe(true);
    await redis.acl('SETUSER', 'nameless', '+@all');
    await expect.poll(connections, { timeout: 10_000 }).toEqual([expect.stringMatching(/^taskwarden:\S+ blmove$/)]);
    await redis.lpush('list', 'a');
    expect(await result).toEqual(['a']);
  });

  it('ends with its task where there is no Redis at all', async () => {
    const gone = await startRedis();
    await gone.stop();
    const supervisor = supervise();
    const cancel = new AbortController();
    const control = redisBrpop('list', { connection: gone.url, onError: quiet });
    const result = failure(controller(control, takes, { type: 'loop', supervisor, signal: cancel.signal })(1));
    cancel.abort();
    expect((await result).code).toBe('TASK_CANCELED');
  });

  it('ends with its task also while Redis answers nothing', async () => {
    await using other = await startRedis();
    const supervisor = supervise();
    const cancel = new AbortController();
    const options = { type: 'loop', supervisor, signal: cancel.signal, stopGraceMs: 10 } as const;
    const result = failure(
      controller(redisBrpop('list', { connection: other.url, onError: quiet }), takes, options)(1),
    );
    const client = new Redis(other.url);
    onTestFinished(() => client.disconnect());
    await expect.poll(() => client.client('LIST')).toContain('cmd=blmove');
    await other.pause();
    cancel.abort();
    expect((await result).code).toBe('TASK_CANCELED');
    await other.resume();
  });
});

describe('redisPubsub', () => {
  const pubsub = (connection = server.url): Controller => redisPubsub('news', { connection });
  const subscribed = (count = 1) => expect.poll(() => redis.pubsub('NUMSUB', 'news')).toEqual(['news', count]);

  it.each<TaskType>(['thread', 'process', 'loop'])(
    'sends what is published to a task on the lane of %s',
    async (type) => {
      const supervisor = supervise();
      const result = controller(pubsub(), takes, { type, supervisor })(2);
      await subscribed();
      await redis.publish('news', 'a');
      await redis.publish('other', 'x');
      await redis.publish('news', 'b');
      expect(await result).toEqual(['a', 'b']);
      await subscribed(0);
    },
  );

  it('tells all that have subscribed', async () => {
    const supervisor = supervise();
    const taking = controller(pubsub(), takes, { type: 'loop', supervisor });
    const results = [taking(1), taking(1)];
    await subscribed(2);
    await redis.publish('news', 'a');
    expect(await Promise.all(results)).toEqual([['a'], ['a']]);
  });

  it('subscribes again after a lost connection', async () => {
    const supervisor = supervise();
    await using proxy = await startProxy(server.port);
    const seen: string[] = [];
    const parse = (text: string) => {
      seen.push(text);
      return text;
    };
    const control = redisPubsub('news', { connection: `redis://127.0.0.1:${proxy.port}`, parse, onError: quiet });
    const result = controller(control, takes, { type: 'loop', supervisor })(2);
    await subscribed();
    await redis.publish('news', 'a');
    await expect.poll(() => seen).toEqual(['a']);
    proxy.cut();
    await subscribed(0);
    await subscribed();
    await redis.publish('news', 'b');
    expect(await result).toEqual(['a', 'b']);
  });

  it('fails with what parse throws', async () => {
    const supervisor = supervise();
    const control = redisPubsub('news', { connection: server.url, parse: JSON.parse });
    const result = failure(controller(control, gathers, { type: 'loop', supervisor })('hello'));
    await subscribed();
    await redis.publish('news', '{');
    expect(await result).toBeInstanceOf(SyntaxError);
  });

  it('throws when Redis does not let it in', async () => {
    const supervisor = supervise();
    const url = server.url.replace('//', '//nobody:wrong@');
    const error = await failure(controller(pubsub(url), gathers, { type: 'loop', supervisor })('hello'));
    expect(error.message).toMatch(/WRONGPASS/);
  });
});

/** Each with how something is sent to it. */
const both: readonly [
  name: string,
  make: (connection: string, onError?: (error: unknown) => void) => Controller,
  send: (text: string) => Promise<unknown>,
  connected: string,
][] = [
  [
    'redisBrpop',
    (connection, onError = () => {}) => redisBrpop('list', { connection, onError }),
    (text) => redis.lpush('list', text),
    ' flags=b ',
  ],
  [
    'redisPubsub',
    (connection, onError = () => {}) => redisPubsub('list', { connection, onError }),
    (text) => redis.publish('list', text),
    ' sub=1 ',
  ],
];

describe.each(both)('%s and what Redis refuses', (_name, make, send, connected) => {
  const user = ['worker', 'on', '>right', '~*', '&*', '+@all'] as const;
  const url = () => server.url.replace('//', '//worker:right@');
  const idle = (isSo = true) =>
    expect
      .poll(async () => ((await redis.client('LIST')) as string).includes(connected), { timeout: 10_000 })
      .toBe(isSo);

  beforeEach(() => redis.acl('SETUSER', ...user));

  it('throws when Redis does not have the database', async () => {
    const supervisor = supervise();
    const control = make(`${server.url}/99`, (error) => expect.fail(String(error)));
    const error = await failure(controller(control, gathers, { type: 'loop', supervisor })('hello'));
    expect(error).toMatchObject({ code: 'SERVER_REFUSED', message: 'ERR DB index is out of range' });
  });

  it('throws when it has no right to what it does', async () => {
    await redis.acl('SETUSER', 'worker', '-blmove', '-subscribe');
    const supervisor = supervise();
    const error = await failure(controller(make(url()), gathers, { type: 'loop', supervisor })('hello'));
    expect(error).toMatchObject({ code: 'SERVER_REFUSED', message: expect.stringMatching(/^NOPERM/) });
  });

  it.each<[string, () => Promise<unknown>]>([
    ['its rights are taken away', () => redis.acl('SETUSER', 'worker', '-@all')],
    ['its password is changed', () => redis.acl('SETUSER', 'worker', 'resetpass', '>other')],
  ])('waits, and tells once, when %s later', async (_what, begin) => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => {}); // ioredis, of its INFO
    onTestFinished(() => warned.mockRestore());
    const supervisor = supervise();
    const told: unknown[] = [];
    const result = controller(
      make(url(), (error) => told.push(error)),
      takes,
      { type: 'loop', supervisor },
    )(2);
    await idle();
    await begin();
    await redis.client('KILL', 'USER', 'worker');
    await idle(false);
    await expect.poll(() => told).toHaveLength(1);
    await redis.acl('SETUSER', ...user);
    await idle();
    await send('a');
    await send('b');
    expect(await result).toEqual(['a', 'b']);
    expect(told).toMatchObject([{ message: expect.stringContaining(`Redis can't be reached, or can't do it: `) }]);
  });
});

describe('both controllers', () => {
  it('name the package that they need where it is not installed', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'no-ioredis-'));
    const modules = join(folder.path, 'node_modules');
    await mkdir(join(modules, 'taskwarden'), { recursive: true });
    for (const part of ['dist', 'package.json']) await symlink(join(root, part), join(modules, 'taskwarden', part));
    for (const name of ['eventemitter3', 'piscina'])
      await symlink(join(root, 'node_modules', name), join(modules, name));
    const program = `
      import { controller } from 'taskwarden';
      import { redisBrpop, redisPubsub } from 'taskwarden/redis';
      for (const control of [redisBrpop, redisPubsub]) {
        const feed = controller(control('a', { connection: 'redis://x' }), (t) => t.recv(), { type: 'loop' });
        await feed().catch(({ name, code, message }) => console.log(name, code, message));
      }`;
    // Each file is where its link is: packages are looked for there.
    const nodeArgs = ['--preserve-symlinks', '--input-type=module', '-e', program];
    const { stdout } = await run(process.execPath, nodeArgs, { cwd: folder.path });
    const line = 'TaskwardenError PEER_MISSING taskwarden/redis needs the package ioredis: npm install ioredis\n';
    expect(stdout).toBe(line + line);
  });

  it.each([
    [
      () => redisBrpop('', { connection: 'redis://x' }),
      "the key of redisBrpop() must be a string that is not empty; got ''",
    ],
    [() => redisPubsub('a', {} as never), 'option "connection" of redisPubsub() must be a Redis URL'],
    [() => redisPubsub('a', { connection: 1 as never }), 'must be a Redis URL, the options of ioredis, or a client'],
    [() => redisBrpop('a', { connection: 'redis://x', parser: 1 } as never), 'redisBrpop() has no option "parser"'],
  ])('refuse what they can not use: %#', (call, message) => {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(message);
  });
});
