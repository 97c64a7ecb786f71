/** The connections of celeryTask: outages, refusals, what is left open. Where no worker is needed, there is none. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { type CeleryTaskOptions, celeryTask } from 'taskwarden/celery';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startCelery } from '../servers/celery.ts';
import { freePort } from '../servers/port.ts';
import { startProxy } from '../servers/proxy.ts';
import { startRedis } from '../servers/redis.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A busy machine takes its time. */
function poll<T>(look: () => T) {
  return expect.poll(look, { timeout: 20_000 });
}

function client(url: string): Redis {
  const opened = new Redis(url).on('error', () => {}); // its server ends before it
  onTestFinished(() => opened.disconnect());
  return opened;
}

/** A call that no worker takes, and what its `onError` hears. */
function call(broker: CeleryTaskOptions['broker'], options: Partial<CeleryTaskOptions> = {}) {
  const heard: unknown[] = [];
  const handle = celeryTask('proj.add', { broker, onError: (error) => heard.push(error), ...(options as object) })(
    1,
    2,
  );
  handle.catch(() => {});
  return { handle, heard };
}

/** Stores a result as Celery does. */
async function store(redis: Redis, id: string, result: unknown): Promise<void> {
  const record = JSON.stringify({ status: 'SUCCESS', result, traceback: null, children: [], task_id: id });
  await redis.multi().set(`celery-task-meta-${id}`, record).publish(`celery-task-meta-${id}`, record).exec();
}

describe('a broker that is away', () => {
  it('is told of at once, and nothing is sent later', async () => {
    const port = await freePort();
    const { handle, heard } = call(`redis://127.0.0.1:${port}`);
    await expect(handle).rejects.toMatchObject({
      code: 'COURIER_UNREACHABLE',
      message: expect.stringContaining('the task was not sent'),
      cause: { code: 'ECONNREFUSED' },
    });
    expect(heard).toHaveLength(1);
    await using redis = await startRedis({ port });
    expect(await client(redis.url).llen('celery')).toBe(0);
    const again = call(redis.url);
    await poll(() => client(redis.url).llen('celery')).toBe(1);
    again.handle.cancel();
    await expect(again.handle).rejects.toMatchObject({ code: 'TASK_CANCELED' });
  });

  it('is waited for once the task was sent, and no result is missed', async () => {
    await using redis = await startRedis({ save: true });
    await using proxy = await startProxy(redis.port);
    const { handle, heard } = call(`redis://127.0.0.1:${proxy.port}`);
    const direct = client(redis.url);
    await poll(() => direct.llen('celery')).toBe(1);
    proxy.freeze();
    proxy.cut();
    await store(direct, handle.id, 'missed'); // it is published to nobody
    proxy.thaw();
    expect(await handle).toBe('missed');
    expect(heard.length).toBeLessThanOrEqual(2);
  });

  it('is waited for through a restart', async () => {
    await using redis = await startRedis({ save: true });
    const { handle } = call(redis.url);
    await poll(() => client(redis.url).llen('celery')).toBe(1);
    await redis.restart();
    await poll(() => client(redis.url).pubsub('NUMSUB', `celery-task-meta-${handle.id}`)).toContain(1);
    await store(client(redis.url), handle.id, 3);
    expect(await handle).toBe(3);
  });

  it('is asked whether it has the task, when the connection is lost as that is sent', async () => {
    await using redis = await startRedis();
    const direct = client(redis.url);
    const lost = call(await startLossyProxy(redis.port, 'answer'));
    await poll(() => direct.llen('celery')).toBe(1);
    await poll(() => direct.pubsub('NUMSUB', `celery-task-meta-${lost.handle.id}`)).toContain(1);
    await store(direct, lost.handle.id, 'it has');
    expect(await lost.handle).toBe('it has');
    expect(await direct.llen('celery')).toBe(1);
    await direct.del('celery');
    await expect(call(await startLossyProxy(redis.port, 'command')).handle).rejects.toMatchObject({
      code: 'COURIER_UNREACHABLE',
      message: expect.stringContaining('the task may have been sent, or not'),
    });
    expect(await direct.llen('celery')).toBe(0);
  });
});

/** The URL of a proxy that breaks the connection at the first task that is sent: before it, or before the answer. */
async function startLossyProxy(port: number, loses: 'command' | 'answer'): Promise<string> {
  let isDone = false;
  const proxy = createServer((socket) => {
    const server = connect(port, '127.0.0.1');
    for (const each of [socket, server]) each.on('error', () => {});
    socket.on('close', () => server.destroy());
    server.on('close', () => socket.destroy());
    socket.on('data', (data) => {
      if (!isDone && data.includes('lpush')) {
        isDone = true;
        server.removeAllListeners('data').on('data', () => socket.destroy());
        if (loses === 'command') socket.destroy();
      }
      if (!socket.destroyed) server.write(data);
    });
    server.on('data', (data) => socket.write(data));
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void proxy.close());
  return `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

describe('what Redis refuses', () => {
  const password = 'S3cr3tPw';

  it('is told in its words, and no password is', async () => {
    await using redis = await startRedis();
    await client(redis.url).config('SET', 'requirepass', password);
    const good = `redis://:${password}@127.0.0.1:${redis.port}`;
    const bad = `redis://:${password}X@127.0.0.1:${redis.port}`;
    const refused = call(bad);
    await expect(refused.handle).rejects.toMatchObject({ code: 'SERVER_REFUSED', message: /^WRONGPASS/ });
    const said = inspect([refused.handle.exception, refused.heard], { depth: Infinity, showHidden: true });
    expect(said).not.toContain(password);
    const { handle } = call(good);
    await poll(() => client(good).llen('celery')).toBe(1);
    await store(client(good), handle.id, 1);
    expect(await handle).toBe(1);
  });

  it('is told also of the data base, and of a key that is no list', async () => {
    await using redis = await startRedis();
    await expect(call(`${redis.url}/99`).handle).rejects.toMatchObject({ code: 'SERVER_REFUSED' });
    await client(redis.url).set('taken', 1);
    await expect(call(redis.url, { queue: 'taken' }).handle).rejects.toMatchObject({
      code: 'SERVER_REFUSED',
      message: /^WRONGTYPE/,
    });
  });
});

describe('the connections', () => {
  it('can be options or a client of ioredis, and another server for the results', async () => {
    await using broker = await startRedis();
    await using backend = await startRedis();
    await using worker = await startCelery({ broker: broker.url, backend: backend.url, pool: 'solo' });
    const given = client(`${broker.url}/0`);
    const add = celeryTask<[number, number], number>('proj.add', {
      broker: given,
      backend: { host: '127.0.0.1', port: backend.port },
    });
    const handle = add(20, 3);
    expect(await handle).toBe(23);
    expect(await client(broker.url).exists(`celery-task-meta-${handle.id}`)).toBe(0);
    expect(await client(backend.url).exists(`celery-task-meta-${handle.id}`)).toBe(1);
    expect(given.status).toBe('ready');
    expect(worker.port).toBeGreaterThan(0);
  });

  it('have the prefixes of keys that are told', async () => {
    await using redis = await startRedis();
    const { handle } = call(redis.url, { keyPrefix: 'shop:', resultKeyPrefix: 'shop_' });
    const direct = client(redis.url);
    await poll(() => direct.llen('shop:celery')).toBe(1);
    const record = JSON.stringify({ status: 'SUCCESS', result: 'with prefix', task_id: handle.id });
    await direct.publish(`shop_celery-task-meta-${handle.id}`, record);
    expect(await handle).toBe('with prefix');
  });

  it('are shared, closed when nobody uses them, and keep no program alive', async () => {
    await using redis = await startRedis();
    const program = `
      import { celeryTask } from 'taskwarden/celery';
      const broker = ${JSON.stringify(redis.url)};
      const calls = [1, 2, 3].map((n) => celeryTask('a' + n, { broker, ignoreResult: true })());
      await Promise.all(calls);
      console.log('sent');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = await once(child.stdout, 'data');
    expect(String(said)).toBe('sent\n');
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    expect(await client(redis.url).llen('celery')).toBe(3);
    expect(await client(redis.url).info('stats')).toMatch(/total_connections_received:[3-9]\b/);
  });

  it('end with the program, also those on which an answer is still awaited', async () => {
    await using redis = await startRedis();
    const program = `
      import { celeryTask } from 'taskwarden/celery';
      const broker = ${JSON.stringify(redis.url)};
      const handle = celeryTask('a', { broker, stopGraceMs: 1 })();
      process.once('SIGUSR2', () => handle.cancel());
      setTimeout(() => {}, 60_000).unref();
      console.log('calling');
      await handle.catch(({ code }) => console.log(code));
      const ended = performance.now();
      process.on('exit', () => console.log(performance.now() - ended < 10_000));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await poll(() => client(redis.url).llen('celery')).toBe(1);
    await redis.pause();
    child.kill('SIGUSR2');
    await once(child, 'close');
    expect(said).toBe('calling\nTASK_CANCELED\ntrue\n');
  });
});
