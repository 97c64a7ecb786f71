/** CeleryWorker and celeryTask on a Redis with TLS and a password, of which nothing is told; and outages of the broker. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { TaskSupervisor } from 'taskwarden';
import { CeleryWorker, celeryTask } from 'taskwarden/celery';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startNode } from '../fixtures/celery/celery-node.ts';
import { add, nap, sum } from '../fixtures/celery/node-tasks.ts';
import { celeryProject, PythonProgram } from '../servers/celery.ts';
import { makeCertificate } from '../servers/certificate.ts';
import { freePort } from '../servers/port.ts';
import { startRedis } from '../servers/redis.ts';

const password = 'S3cr3tPw';

describe('a broker with TLS and a password', () => {
  it('is used by Python and Node, and no password is told', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'taskwarden-tls-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const { certFile, keyFile } = await makeCertificate(folder);
    const port = await freePort();
    await using redis = await startRedis({
      args: [
        ...['--tls-port', `${port}`, '--tls-cert-file', certFile, '--tls-key-file', keyFile],
        ...['--tls-auth-clients', 'no'],
      ],
    });
    const plain = new Redis(redis.url);
    onTestFinished(() => plain.disconnect());
    await plain.config('SET', 'requirepass', password);
    const said: unknown[] = [];
    const spies = (['log', 'warn', 'error'] as const).map((method) =>
      vi.spyOn(console, method).mockImplementation((...lines) => void said.push(lines)),
    );
    onTestFinished(() => {
      for (const spy of spies) spy.mockRestore();
    });
    const ca = await readFile(certFile, 'utf8');
    const broker = { host: '127.0.0.1', port, password, tls: { ca } };
    const name = 'taskwarden@test';
    await using node = startNode({ broker, queues: ['node'], functions: { 'node.add': add, 'node.sum': sum }, name });
    const url = `rediss://:${password}@127.0.0.1:${port}/0?ssl_cert_reqs=required&ssl_ca_certs=${encodeURIComponent(certFile)}`;
    await using project = await celeryProject(url);
    await using program = await PythonProgram.start(project);
    expect(await program.evaluate(`outcome(app.send_task('node.add', [2, 3], queue='node'))`)).toBe(5);
    expect(await celeryTask<[number, number]>('node.sum', { broker, queue: 'node' })(3, 4)).toBe(7);
    const answers = await program.evaluate(
      `[asked() for inspect in [app.control.inspect(destination=['${name}'], timeout=10)] for asked in (inspect.stats, inspect.report)]`,
    );
    expect(JSON.stringify(answers)).toContain('"ssl": true'.replace(' ', ''));
    const refused = new CeleryWorker({ broker: `redis://:${password}X@127.0.0.1:${redis.port}`, functions: { sum } });
    await expect(refused.perform()).rejects.toMatchObject({ code: 'SERVER_REFUSED' });
    const error = await refused.perform().catch((thrown: unknown) => thrown);
    await plain.lpush('node', 'nonsense');
    await expect.poll(() => node.heard).toHaveLength(1);
    const told = inspect([said, node.heard, error, answers, refused], { depth: Infinity, showHidden: true });
    expect(told).not.toContain(password);
  }, 60_000);
});

describe('a broker that is away', () => {
  it('is waited for: what ran meanwhile is settled once, and new tasks are taken', async () => {
    await using redis = await startRedis({ save: true });
    const direct = new Redis(redis.url).on('error', () => {}); // it goes meanwhile
    onTestFinished(() => direct.disconnect());
    await using node = startNode({ broker: redis.url, functions: { nap, sum }, visibilityTimeoutMs: 60_000 });
    const running = celeryTask<unknown[]>('nap', { broker: redis.url, onError: () => {} })(400, 'through');
    await expect.poll(() => node.worker.inFlight).toBe(1);
    await redis.kill();
    await expect.poll(() => node.heard.length, { timeout: 20_000 }).toBe(1);
    await redis.restart();
    expect(await running).toBe('through');
    expect(await celeryTask<[number, number]>('sum', { broker: redis.url })(1, 2)).toBe(3);
    await expect.poll(() => direct.exists('celery', 'unacked', 'unacked_index'), { timeout: 20_000 }).toBe(0);
    expect(node.heard).toHaveLength(1);
  }, 60_000);

  it('does not keep a worker that is stopped', async () => {
    const supervisor = new TaskSupervisor();
    const worker = new CeleryWorker({
      broker: `redis://127.0.0.1:${await freePort()}`,
      functions: { sum },
      supervisor,
      onError: () => {},
    });
    const performing = worker.perform();
    await expect(worker.perform()).rejects.toMatchObject({ code: 'ALREADY_PERFORMING' });
    worker.stop();
    await performing;
    await supervisor.stop();
  });
});
