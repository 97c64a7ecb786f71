/** Workers of Celery and CeleryWorkers that die under their tasks: another one goes on, whatever it is written in. */
import { Redis } from 'ioredis';
import { celeryTask } from 'taskwarden/celery';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startNode } from '../fixtures/celery/celery-node.ts';
import { nap, sum } from '../fixtures/celery/node-tasks.ts';
import { Program } from '../fixtures/program.ts';
import { diaryOf, startCelery } from '../servers/celery.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

let redis: Server;
let direct: Redis;

beforeAll(async () => {
  redis = await startRedis();
  direct = new Redis(redis.url);
}, 60_000);

afterAll(async () => {
  direct?.disconnect();
  await redis?.stop();
});

const visibilityMs = 600;

/** A program with a CeleryWorker, which takes tasks. */
async function startProgramWith(...queues: string[]): Promise<Program> {
  const program = new Program('celery-worker.mjs', { args: [redis.url, `${visibilityMs}`, ...queues] });
  onTestFinished(() => program.kill('SIGKILL'));
  await program.printed('ready');
  return program;
}

function late(queue: string, seconds: number, value: string) {
  return celeryTask<[number, string], string>('proj.late', { broker: redis.url, queue })(seconds, value);
}

/** Nothing is left of a queue, nor of what was not acknowledged. */
async function expectNothingLeft(queue: string): Promise<void> {
  await expect.poll(() => direct.exists(queue, 'unacked', 'unacked_index'), { timeout: 20_000 }).toBe(0);
}

describe('a worker that is killed under its tasks', () => {
  it('in Node: another one in Node gets them after the visibility timeout', async () => {
    const first = await startProgramWith('killed-1');
    const handles = ['a', 'b'].map((value) => late('killed-1', 1, value));
    await first.printed('late a');
    await first.printed('late b');
    first.kill('SIGKILL');
    await first.ended;
    const second = await startProgramWith('killed-1');
    expect(await Promise.all(handles)).toEqual(['a', 'b']);
    await second.printed('late a');
    await expectNothingLeft('killed-1');
  });

  it('in Node: a worker in Python gets them', async () => {
    const node = await startProgramWith('killed-2');
    const handle = late('killed-2', 1, 'for Python');
    await node.printed('late for Python');
    node.kill('SIGKILL');
    await node.ended;
    // Kombu looks as it starts, and then again after 100 seconds.
    const [, score] = await direct.zrange('unacked_index', 0, 0, 'WITHSCORES');
    const visibleAt = Number(score) * 1_000 + visibilityMs;
    await expect.poll(() => Date.now(), { timeout: 20_000 }).toBeGreaterThan(visibleAt);
    await using python = await startCelery({
      broker: redis.url,
      queues: ['killed-2'],
      pool: 'solo',
      visibilityTimeout: visibilityMs / 1_000,
    });
    expect(await handle).toBe('for Python');
    expect(await diaryOf(python)).toEqual(['late for Python']);
    await expectNothingLeft('killed-2');
  }, 60_000);

  it('in Python: one in Node gets them', async () => {
    const python = await startCelery({
      broker: redis.url,
      queues: ['killed-3'],
      pool: 'threads',
      name: 'python@killed',
    });
    onTestFinished(() => python.stop());
    const handle = late('killed-3', 3, 'for Node');
    await expect.poll(() => diaryOf(python), { timeout: 20_000 }).toEqual(['late for Node']);
    await python.kill();
    const node = await startProgramWith('killed-3');
    expect(await handle).toBe('for Node');
    await node.printed('late for Node');
    await expectNothingLeft('killed-3');
  }, 60_000);

  it('leaves nothing half taken: what it had fetched for an ETA comes back, too', async () => {
    const first = await startProgramWith('killed-4');
    const eta = celeryTask<[number, string], string>('proj.late', {
      broker: redis.url,
      queue: 'killed-4',
      delayMs: 1_500,
    });
    const handle = eta(0, 'delayed');
    await expect.poll(() => direct.hlen('unacked'), { timeout: 20_000 }).toBe(1);
    first.kill('SIGKILL');
    await first.ended;
    await startProgramWith('killed-4');
    expect(await handle).toBe('delayed');
    await expectNothingLeft('killed-4');
  });
});

describe('a worker that lives', () => {
  it('keeps a task that runs for longer than the visibility timeout', async () => {
    const first = await startProgramWith('long');
    const handle = late('long', 2.5, 'long');
    await first.printed('late long');
    const second = await startProgramWith('long');
    expect(await handle).toBe('long');
    first.kill('SIGTERM');
    second.kill('SIGTERM');
    const lines = [...(await first.ended).lines, ...(await second.ended).lines];
    expect(lines.filter((line) => line === 'late long')).toHaveLength(1);
    await expectNothingLeft('long');
  });

  it('gives what it has not begun back when it is stopped, and finishes what runs', async () => {
    const broker = redis.url;
    const first = startNode({ broker, queues: ['stopped'], functions: { nap }, concurrency: 1 });
    const call = celeryTask<[number, string], string>('nap', { broker, queue: 'stopped' });
    const running = call(500, 'running');
    await expect.poll(() => first.worker.inFlight).toBe(1);
    const waiting = call.with({ delayMs: 300 })(1, 'waiting');
    await expect.poll(() => direct.llen('stopped')).toBe(1);
    await first.stop();
    expect(await running).toBe('running');
    expect(await direct.llen('stopped')).toBe(1);
    await using second = startNode({ broker, queues: ['stopped'], functions: { nap } });
    expect(await waiting).toBe('waiting');
    expect(second.heard).toEqual([]);
  });

  it('acknowledges early if it is told to, and then nobody gets it again', async () => {
    const broker = redis.url;
    await using node = startNode({ broker, queues: ['early'], functions: { nap, sum }, acksLate: false });
    const handle = celeryTask<[number, string], string>('nap', { broker, queue: 'early' })(300, 'early');
    await expect.poll(() => node.worker.inFlight).toBe(1);
    await expect.poll(() => direct.hlen('unacked')).toBe(0);
    expect(await handle).toBe('early');
  });
});
