/** The servers that other tests rely on: they start, die, come back, and fall silent as real ones do. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { installServers } from './install.ts';
import { startPostgres } from './postgres.ts';
import { startProxy } from './proxy.ts';
import { startRedis } from './redis.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

function redisClient(url: string): Redis {
  const client = new Redis(url, { retryStrategy: null, maxRetriesPerRequest: 0 });
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

async function postgresClient(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** Each gives a client that was told something, how it asks for it, and what it gets where it was not lost. */
const kinds = {
  redis: {
    start: () => startRedis({ save: true }),
    async write(url: string) {
      const client = redisClient(url);
      await client.set('a', 'kept');
      return () => client.get('a');
    },
    read: (url: string) => redisClient(url).get('a'),
  },
  postgres: {
    start: startPostgres,
    async write(url: string) {
      const client = await postgresClient(url);
      await client.query(`create table a as select 'kept' as b`);
      return async () => (await client.query('select b from a')).rows[0].b;
    },
    read: async (url: string) => (await (await postgresClient(url)).query('select b from a')).rows[0].b,
  },
};

describe.each(Object.entries(kinds))('a %s', (_, { start, write, read }) => {
  it('keeps over a restart what it was told', async () => {
    await using server = await start();
    await write(server.url);
    await server.restart();
    expect(await read(server.url)).toBe('kept');
  });

  it('breaks its connections when it is killed, and can be started again', async () => {
    await using server = await start();
    const ask = await write(server.url);
    await server.kill();
    await expect(ask()).rejects.toThrow();
    await expect(read(server.url)).rejects.toThrow();
    await server.restart();
    expect(await read(server.url)).toBe('kept');
  });

  it('answers nothing while it is paused, and then all', async () => {
    await using server = await start();
    const ask = await write(server.url);
    await server.pause();
    let isAnswered = false;
    const answer = ask().finally(() => {
      isAnswered = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isAnswered).toBe(false);
    await server.resume();
    expect(await answer).toBe('kept');
  });

  it('leaves nothing when it is stopped, also while it is paused', async () => {
    await using server = await start();
    expect(existsSync(server.folder)).toBe(true);
    await server.pause();
    await server.stop();
    expect(existsSync(server.folder)).toBe(false);
    await expect(server.restart()).rejects.toThrow('was stopped');
    expect(await processesOf(server.folder)).toEqual([]);
  });

  it('can be many at once', async () => {
    await using first = await start();
    await using second = await start();
    expect(first.port).not.toBe(second.port);
    await write(first.url);
    await write(second.url);
  });
});

describe('a redis', () => {
  it('forgets all in a restart when it does not save', async () => {
    await using server = await startRedis();
    await redisClient(server.url).set('a', 'lost');
    await server.restart();
    expect(await redisClient(server.url).get('a')).toBeNull();
  });

  it('says what was wrong if it does not start', async () => {
    await using server = await startRedis();
    await expect(startRedis({ port: server.port })).rejects.toThrow('Address already in use');
  });
});

it.each([
  ['startRedis', 'redis'],
  ['startPostgres', 'postgres'],
])('what %s started ends with a process that is killed', async (start, file) => {
  const program = `
    const { ${start} } = await import('./test/servers/${file}.ts');
    console.log((await ${start}()).folder);
    setInterval(() => {}, 1_000);`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', program];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  const folder = String(line).trim();
  expect((await processesOf(folder)).length).toBeGreaterThan(0);
  child.kill('SIGKILL');
  await expect.poll(() => existsSync(folder), { timeout: 20_000 }).toBe(false);
  await expect.poll(() => processesOf(folder)).toEqual([]); // what has removed it ends after that
});

/** The watchdog of a server has its folder among its arguments, and so has the server. */
async function processesOf(folder: string): Promise<string[]> {
  const { stdout } = await run('ps', ['-eo', 'pid,stat,args']);
  return stdout.split('\n').filter((line) => line.includes(folder) && !/^\s*\d+\s+Z/.test(line));
}

describe('a proxy', () => {
  it('holds everything up while it is frozen, and passes it on when it is thawed', async () => {
    await using server = await startRedis();
    await using proxy = await startProxy(server.port);
    const url = `redis://127.0.0.1:${proxy.port}`;
    const before = redisClient(url);
    await before.set('a', 1);
    proxy.freeze();
    const answered: string[] = [];
    const one = before.incr('a').then(() => answered.push('before'));
    const after = redisClient(url);
    const two = after.get('a').then(() => answered.push('after'));
    await once(after, 'connect'); // it is accepted, and hangs
    // What Redis would have answered in many round trips.
    const direct = redisClient(server.url);
    for (let i = 0; i < 50; i += 1) expect(await direct.get('a')).toBe('1');
    expect(answered).toEqual([]);
    proxy.thaw();
    await Promise.all([one, two]);
    expect(await direct.get('a')).toBe('2');
  });

  it('keeps the connections of a server that dies while it is frozen, and breaks them then', async () => {
    await using server = await startRedis();
    await using proxy = await startProxy(server.port);
    const client = redisClient(`redis://127.0.0.1:${proxy.port}`);
    await client.ping();
    proxy.freeze();
    await server.kill();
    expect(client.status).toBe('ready');
    const closed = once(client, 'close');
    proxy.thaw();
    await closed;
  });

  it('cuts all connections, and takes new ones', async () => {
    await using server = await startRedis();
    await using proxy = await startProxy(server.port);
    const client = redisClient(`redis://127.0.0.1:${proxy.port}`);
    await client.ping();
    const closed = once(client, 'close');
    proxy.cut();
    await closed;
    expect(await redisClient(`redis://127.0.0.1:${proxy.port}`).ping()).toBe('PONG');
  });
});

describe('the servers that the tests need', () => {
  const unused = () => {
    throw new Error('not to be called');
  };

  it('are left alone where they are installed', () => {
    installServers({ find: () => '/bin/x', isRoot: true, say: unused, apt: unused });
  });

  const python = ['celery', '/usr/lib/python3/dist-packages/redis'];

  it.each([
    [
      ['redis-server', 'apt-get', ...python],
      'the tests need postgresql; install with: sudo apt-get update && apt-get install',
    ],
    [['initdb', 'postgres', ...python], 'the tests need redis-server; install with: sudo apt-get'],
    [['initdb', 'apt-get', ...python], 'the tests need redis-server and postgresql; install with: sudo apt-get'],
    [
      ['redis-server', 'initdb', 'postgres', 'celery'],
      'the tests need python3-redis; install with: sudo apt-get update && apt-get install -y --no-install-recommends python3-redis',
    ],
    [['apt-get'], 'the tests need redis-server, postgresql, celery, and python3-redis; install with: sudo apt-get'],
  ])('are named, with the command, where only %j is there and it may install nothing', (found, message) => {
    const find = (name: string) => (found.includes(name) ? name : undefined);
    expect(() => installServers({ find, isRoot: false, say: unused, apt: unused })).toThrow(message);
  });

  it('are installed by root, who is told', () => {
    const installed = new Set(['apt-get', 'redis-server', ...python]);
    const said: string[] = [];
    const calls: string[] = [];
    const apt = (args: readonly string[]) => {
      calls.push(args.join(' '));
      if (args[0] === 'install') for (const name of ['initdb', 'postgres']) installed.add(name);
    };
    const find = (name: string) => (installed.has(name) ? name : undefined);
    installServers({ find, isRoot: true, say: (line) => said.push(line), apt });
    expect(said).toEqual(['installing postgresql, which the tests need']);
    expect(calls).toEqual(['update', 'install -y --no-install-recommends postgresql']);
  });

  it('are missed also when installing them has changed nothing', () => {
    const find = (name: string) => ([...python, 'apt-get'].includes(name) ? name : undefined);
    const quiet = { say: () => {}, apt: () => {} };
    expect(() => installServers({ find, isRoot: true, ...quiet })).toThrow(
      "redis-server and postgresql can't be found, even after: apt-get update && apt-get install",
    );
  });
});
