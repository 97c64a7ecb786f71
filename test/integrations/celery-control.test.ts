/** Remote control and events of a CeleryWorker, as Celery's own commands see them, beside a worker in Python. */
import type { ChildProcess } from 'node:child_process';
import { Redis } from 'ioredis';
import { celeryTask } from 'taskwarden/celery';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type RunningNode, startNode } from '../fixtures/celery/celery-node.ts';
import { converse, fail, flaky, nap, spin, sum, untilStopped } from '../fixtures/celery/node-tasks.ts';
import { PythonProgram, startCelery, startCeleryCommand } from '../servers/celery.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

const name = 'taskwarden@test';
const functions = {
  'node.sum': sum,
  'node.fail': fail,
  'node.flaky': flaky,
  'node.nap': nap,
  'node.spin': spin,
  'node.converse': converse,
  'node.untilStopped': untilStopped,
};

let redis: Server;
let python: Server;
let program: PythonProgram;
let node: RunningNode;

beforeAll(async () => {
  redis = await startRedis();
  python = await startCelery({ broker: redis.url, pool: 'threads' });
  program = await PythonProgram.start(python);
  node = startNode({ broker: redis.url, queues: ['node'], functions, name, concurrency: 2 });
  await whenReady(name);
}, 60_000);

afterAll(async () => {
  await node?.stop();
  await program?.[Symbol.asyncDispose]();
  await python?.stop();
  await redis?.stop();
});

function evaluate(expression: string): Promise<unknown> {
  return program.evaluate(expression);
}

async function whenReady(node: string): Promise<void> {
  const ping = `app.control.ping(destination=['${node}'], timeout=0.5)`;
  await vi.waitUntil(async () => ((await evaluate(ping)) as unknown[]).length === 1, { timeout: 30_000 });
}

/** What this worker answers. */
function inspect(call: string, node = name): Promise<unknown> {
  return evaluate(`(app.control.inspect(destination=['${node}'], timeout=10).${call} or {}).get('${node}')`);
}

/** What this worker answers to a command. */
async function control(call: string, node = name): Promise<unknown> {
  const [command, ...args] = call.split('(');
  const given = args.join('(').replace(/\)$/, '');
  const options = `destination=['${node}'], reply=True, timeout=10`;
  return evaluate(`app.control.${command}(${given}${given === '' ? '' : ', '}${options})[0]['${node}']`);
}

function call(task: keyof typeof functions, ...args: unknown[]) {
  return celeryTask(task, { broker: redis.url, queue: 'node' })(...args);
}

describe('the commands of Celery', () => {
  it('celery status and inspect ping see both workers', async () => {
    const [status, ping] = await Promise.all([
      program.command('status', '--timeout=10', `--destination=${name},python@test`),
      program.command('inspect', 'ping', '--timeout=10', `--destination=${name},python@test`),
    ]);
    for (const said of [status, ping]) expect(said).toContain('2 nodes online');
    expect(status).toMatch(/taskwarden@test: .*OK/);
    expect(ping).toMatch(/taskwarden@test: .*OK\s+pong/);
  });

  it('celery inspect stats, report and active_queues print what it says', async () => {
    const on = ['--timeout=10', `--destination=${name}`];
    const [stats, report, queues] = await Promise.all(
      ['stats', 'report', 'active_queues'].map((command) => program.command('inspect', command, ...on)),
    );
    expect(stats).toContain('"max-concurrency": 2');
    expect(report).toContain('taskwarden:CeleryWorker');
    expect(queues).toContain("'name': 'node'");
  });

  it('celery events --dump sees it and its tasks', async () => {
    const dump = startCeleryCommand(python, 'events', '--dump');
    onTestFinished(() => void dump.kill('SIGKILL'));
    const seen = linesOf(dump);
    await expect.poll(seen, { timeout: 20_000 }).toMatch(/taskwarden@test .*heartbeat/);
    expect(await control('enable_events()')).toEqual({ ok: 'task events enabled' });
    const done = call('node.sum', 1, 2);
    await done;
    await call('node.fail', 'sad').catch(() => {});
    await call('node.flaky', 1);
    const revoked = call('node.nap', 60_000);
    await expect.poll(() => inspect('active()')).toMatchObject([{ name: 'node.nap' }]);
    revoked.cancel();
    await revoked.catch(() => {});
    for (const kind of ['received', 'started', 'succeeded']) {
      await expect
        .poll(seen, { timeout: 20_000 })
        .toMatch(new RegExp(`taskwarden@test .*task ${kind}.*\\(${done.id}\\)`, 'i'));
    }
    for (const kind of ['failed', 'retried', 'revoked']) {
      await expect.poll(seen, { timeout: 20_000 }).toMatch(new RegExp(`task ${kind}`, 'i'));
    }
    expect(await control('disable_events()')).toEqual({ ok: 'task events disabled' });
  });
});

function linesOf(child: ChildProcess): () => string {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  return () => text;
}

describe('inspect', () => {
  it('says what runs, what waits for its ETA, and what is registered', async () => {
    const running = call('node.nap', 60_000, 'running');
    const delayed = celeryTask('node.sum', { broker: redis.url, queue: 'node', delayMs: 60_000 })(1, 2);
    await expect
      .poll(() => inspect('active()'))
      .toMatchObject([
        { id: running.id, name: 'node.nap', args: [60_000, 'running'], hostname: name, acknowledged: false },
      ]);
    await expect.poll(() => inspect('scheduled()')).toMatchObject([{ request: { id: delayed.id } }]);
    expect(await inspect('reserved()')).toEqual([]);
    expect(await inspect('registered()')).toEqual(Object.keys(functions).sort());
    expect(await inspect(`query_task('${running.id}')`)).toMatchObject({
      [running.id]: ['active', { id: running.id }],
    });
    for (const handle of [running, delayed]) handle.cancel();
    await Promise.allSettled([running, delayed]);
    await expect.poll(() => inspect('active()')).toEqual([]);
    expect(await inspect('scheduled()')).toEqual([]);
  });

  it('is answered with an error for what it does not know', async () => {
    expect(await inspect('memdump()')).toMatchObject({ error: expect.stringContaining('memdump') });
  });
});

describe('revoke', () => {
  it('ends a task that waits, and with terminate one that runs', async () => {
    const result = (options: string) => `app.send_task('node.nap', [60000], queue='node'${options})`;
    const waiting = await evaluate(`${result(', countdown=3600')}.id`);
    await expect.poll(() => inspect('scheduled()')).toMatchObject([{ request: { id: waiting } }]);
    await control(`revoke('${waiting}')`);
    expect(await evaluate(`outcome(app.AsyncResult('${waiting}'))`)).toMatchObject({
      error: 'TaskRevokedError',
      message: 'revoked',
    });
    const running = await evaluate(`${result('')}.id`);
    await expect.poll(() => inspect('active()')).toMatchObject([{ id: running }]);
    expect(await control(`revoke('${running}')`)).toEqual({ ok: `tasks ${running} flagged as revoked` });
    expect(await inspect('active()')).toMatchObject([{ id: running }]);
    expect(await control(`revoke('${running}', terminate=True)`)).toEqual({ ok: `terminate: ${running}` });
    expect(await evaluate(`outcome(app.AsyncResult('${running}'))`)).toMatchObject({ message: 'terminated' });
  });

  it('ends a thread that never looks up', async () => {
    const handle = call('node.spin');
    handle.catch(() => {}); // it may reject before it is looked at
    await expect.poll(() => inspect('active()')).toMatchObject([{ id: handle.id }]);
    await control(`revoke('${handle.id}', terminate=True)`);
    await expect(handle).rejects.toMatchObject({ code: 'TASK_CANCELED' });
  });

  it('holds for a task that comes later, and for a worker that starts later: they ask one another', async () => {
    await evaluate(`app.control.revoke('known-1')`);
    await expect.poll(() => inspect('revoked()')).toContain('known-1');
    expect(await evaluate(`outcome(app.send_task('node.sum', [1, 2], queue='node', task_id='known-1'))`)).toMatchObject(
      { error: 'TaskRevokedError' },
    );
    const late = startNode({ broker: redis.url, queues: ['late'], functions, name: 'taskwarden@late' });
    onTestFinished(() => late.stop());
    expect(await evaluate(`outcome(app.send_task('node.sum', [1, 2], queue='late', task_id='known-1'))`)).toMatchObject(
      { error: 'TaskRevokedError' },
    );
    const hello = await evaluate(
      `app.control.inspect(destination=['${name}'], timeout=10).hello('x@y', {'told': 5.5})`,
    );
    expect(hello).toMatchObject({ [name]: { revoked: { 'known-1': expect.any(Number) }, clock: expect.any(Number) } });
    expect(await inspect('revoked()')).toContain('told');
  });
});

describe('what a worker is told', () => {
  it('time_limit ends the tasks of a function', async () => {
    expect(await control(`time_limit('node.nap', hard=0.2)`)).toEqual({ ok: 'time limits set successfully' });
    expect(await evaluate(`outcome(app.send_task('node.nap', [60000], queue='node'))`)).toMatchObject({
      error: 'TimeLimitExceeded',
    });
    expect(await control(`time_limit('node.nap')`)).toEqual({ ok: 'time limits set successfully' });
    expect(await control(`time_limit('unknown', hard=1)`)).toEqual({ error: 'unknown task' });
  });

  it('rate_limit spaces the tasks of a function', async () => {
    expect(await control(`rate_limit('node.sum', '5/s')`)).toEqual({ ok: 'new rate limit set successfully' });
    const before = performance.now();
    await Promise.all([1, 2, 3, 4].map((i) => call('node.sum', i, i)));
    expect(performance.now() - before).toBeGreaterThan(550);
    expect(await control(`rate_limit('node.sum', '0')`)).toEqual({ ok: 'rate limit disabled successfully' });
    expect(await control(`rate_limit('node.sum', 'often')`)).toMatchObject({
      error: expect.stringContaining('Invalid rate limit'),
    });
    expect(await control(`rate_limit('unknown', '5/s')`)).toEqual({ error: 'unknown task' });
  });

  it('pool_grow and pool_shrink change how many tasks run', async () => {
    expect(await control('pool_grow(1)')).toEqual({ ok: 'pool will grow' });
    const three = [1, 2, 3].map((i) => call('node.nap', 60_000, i));
    await expect.poll(() => inspect('active()')).toHaveLength(3);
    for (const handle of three) handle.cancel();
    await Promise.allSettled(three);
    expect(await control('pool_shrink(1)')).toEqual({ ok: 'pool will shrink' });
    expect(await control('pool_shrink(2)')).toMatchObject({ error: expect.stringContaining("Can't shrink") });
  });

  it('shutdown stops it: perform() resolves', async () => {
    const other = startNode({ broker: redis.url, queues: ['other'], functions, name: 'taskwarden@other' });
    await whenReady('taskwarden@other');
    await evaluate(`app.control.shutdown(destination=['taskwarden@other'])`);
    await other.performed;
    expect(other.heard).toEqual([]);
    expect(await inspect('ping()')).toEqual({ ok: 'pong' });
  });

  it('nothing that is malformed stops it', async () => {
    const direct = new Redis(redis.url);
    onTestFinished(() => direct.disconnect());
    const { length } = node.heard;
    for (const text of ['nonsense', '{}', '[]']) await direct.publish('/0.celery.pidbox', text);
    await expect.poll(() => node.heard.length).toBe(length + 3);
    expect(await inspect('ping()')).toEqual({ ok: 'pong' });
  });
});

describe('a task that is the body of a job', () => {
  it('is sent to, heard and stopped from Node', async () => {
    const handle = call('node.converse');
    const progress = new Promise((resolve) => handle.onProgress(resolve));
    const heard: unknown[] = [];
    void handle.send('first');
    void handle.send({ n: 2 });
    for await (const message of handle.messages()) {
      heard.push(message);
      if (heard.length === 2) void handle.stop();
    }
    expect(heard).toEqual([{ heard: 'first' }, { heard: { n: 2 } }]);
    expect(await handle).toBe(2);
    expect(await progress).toEqual({ fraction: 0.5, note: 'half' });
  });

  it('is sent to, heard and stopped from Python', async () => {
    const said = await evaluate(`talk(app.send_task('node.converse', queue='node'))`);
    expect(said).toEqual([['hello from Python'], 1]);
  });
});
