/**
 * Hundreds of tasks each way, and a thousand in the soak, of all kinds, while a worker is killed: none is lost, and none is
 * settled twice.
 */
import { Redis } from 'ioredis';
import { celeryTask } from 'taskwarden/celery';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Program } from '../fixtures/program.ts';
import { lengthOf } from '../fixtures/random-runs.ts';
import { type CeleryProject, celeryProject, diaryOf, PythonProgram, startCelery } from '../servers/celery.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

const count = lengthOf(300, 1_000);
let redis: Server;
let direct: Redis;
let project: CeleryProject;
let program: PythonProgram;

beforeAll(async () => {
  redis = await startRedis();
  direct = new Redis(redis.url);
  project = await celeryProject(redis.url);
  program = await PythonProgram.start(project);
}, 60_000);

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
  direct?.disconnect();
  await redis?.stop();
});

/** How often each task was settled, as the backend publishes it. */
async function watchSettlements(): Promise<ReadonlyMap<string, readonly string[]>> {
  const settled = new Map<string, string[]>();
  const subscriber = new Redis(redis.url);
  onTestFinished(() => subscriber.disconnect());
  subscriber.on('pmessage', (_pattern: string, _channel: string, text: string) => {
    const { status, task_id: id } = JSON.parse(text);
    if (['SUCCESS', 'FAILURE', 'REVOKED'].includes(status)) settled.set(id, [...(settled.get(id) ?? []), status]);
  });
  await subscriber.psubscribe('celery-task-meta-*');
  return settled;
}

/** What each kind of task comes to. */
const kinds = ['add', 'fail', 'add', 'flaky', 'late', 'add', 'eta', 'add', 'revoked', 'add'] as const;

type Kind = (typeof kinds)[number];

function kindOf(i: number): Kind {
  return kinds[i % kinds.length] as Kind;
}

function expected(i: number): unknown {
  const outcomes: Readonly<Record<Kind, unknown>> = {
    add: i + 1,
    eta: i + 1,
    fail: `failed: no ${i}`,
    flaky: 2,
    late: `late ${i}`,
    revoked: 'revoked',
  };
  return outcomes[kindOf(i)];
}

const all = Array.from({ length: count }, (_, i) => i);

const sends = `
def kind_of(i):
    return ${JSON.stringify(kinds)}[i % ${kinds.length}]

def send(i):
    kind = kind_of(i)
    name, args, options = {
        'add': ('add', [i, 1], {}),
        'eta': ('add', [i, 1], {'countdown': 0.5}),
        'fail': ('fail', [f'no {i}'], {}),
        'flaky': ('flaky', [2], {}),
        'late': ('late', [0.02, f'late {i}'], {}),
        'revoked': ('add', [i, 1], {'countdown': 600}),
    }[kind]
    return app.send_task('proj.' + name, args, queue='to-node', **options)

def ending(result):
    """Reads what is stored: a wait of Celery's client for each at once is not what is tried here."""
    while not result.ready():
        time.sleep(0.02)
    value = result.result
    if result.state == 'REVOKED':
        return 'revoked'
    return value if result.state == 'SUCCESS' else f'failed: {value}'

import time
`;

describe('from Python to Node', () => {
  async function startNode(): Promise<Program> {
    const node = new Program('celery-worker.mjs', { args: [redis.url, '1500', 'to-node'] });
    onTestFinished(() => node.kill('SIGKILL'));
    await node.printed('ready');
    return node;
  }

  it('all end as they are to, though a worker is killed', async () => {
    await program.evaluate(`exec(${JSON.stringify(sends)}, globals())`);
    const settled = await watchSettlements();
    const killed = await startNode();
    const other = await startNode();
    await program.evaluate(`globals().update(results=[send(i) for i in range(${count})])`);
    await expect.poll(() => settled.size, { timeout: 30_000 }).toBeGreaterThan(100);
    killed.kill('SIGKILL');
    await killed.ended;
    await program.evaluate(`app.control.revoke([r.id for i, r in enumerate(results) if kind_of(i) == 'revoked'])`);
    await startNode();
    expect(await program.evaluate('[ending(result) for result in results]')).toEqual(all.map(expected));
    expect(settled.size).toBe(count);
    expect([...settled.values()].filter(({ length }) => length > 1)).toEqual([]);
    await expect.poll(() => direct.exists('to-node', 'unacked', 'unacked_index'), { timeout: 20_000 }).toBe(0);
    other.kill('SIGTERM');
    expect((await other.ended).stderr.split('\n').filter((line) => line.includes('LEASE_LOST'))).toEqual([]);
  }, 120_000);
});

describe('from Node to Python', () => {
  const visibility = 6;

  async function startPython(name: string): Promise<Server> {
    const python = await startCelery({
      broker: redis.url,
      queues: ['to-python'],
      pool: 'threads',
      name,
      visibilityTimeout: visibility,
      acksLate: true,
      prefetchMultiplier: 16,
    });
    onTestFinished(() => python.stop());
    return python;
  }

  function send(i: number) {
    const task = (name: string) =>
      celeryTask<unknown[], unknown>(`proj.${name}`, { broker: redis.url, queue: 'to-python' });
    switch (kindOf(i)) {
      case 'add':
        return task('add')(i, 1);
      case 'eta':
        return task('add').with({ delayMs: 500 })(i, 1);
      case 'fail':
        return task('fail')(`no ${i}`);
      case 'flaky':
        return task('flaky').with({ retries: 2, retryDelayMs: 1 })(2);
      case 'late':
        return task('late')(0.02, `late ${i}`);
      case 'revoked':
        return task('add').with({ delayMs: 600_000 })(i, 1);
    }
  }

  /** The oldest message that was not acknowledged is older than the visibility timeout. */
  async function isVisible(): Promise<boolean> {
    const [, score] = await direct.zrange('unacked_index', 0, 0, 'WITHSCORES');
    return score !== undefined && Number(score) + visibility < Date.now() / 1_000;
  }

  const inspection = `
def has_only_later(worker):
    asked = app.control.inspect(destination=[worker])
    def of(inspect):
        return inspect()[worker]
    return (
        not of(asked.active_queues)
        and all(each['eta'] > soon(60).isoformat() for each in of(asked.scheduled))
        and not of(asked.reserved)
        and not of(asked.active)
    )
`;

  it('all end as they are to, though a worker is killed', async () => {
    const settled = await watchSettlements();
    const [killed] = await Promise.all([startPython('python@killed'), startPython('python@other')]);
    const long = [1, 2, 3, 4, 5, 6, 7, 8].map((i) =>
      celeryTask<[number, string], string>('proj.late', { broker: redis.url, queue: 'to-python' })(0.5, `long ${i}`),
    );
    await expect.poll(() => diaryOf(killed), { timeout: 20_000 }).not.toEqual([]);
    const handles = all.map(send);
    for (const handle of handles) handle.catch(() => {}); // looked at below
    await expect.poll(() => settled.size, { timeout: 30_000 }).toBeGreaterThan(50);
    // Kombu loses a message that it has just popped, and Celery ends a task twice that has ended and is not acknowledged: so it
    // pops none when it is killed, and runs none.
    await program.evaluate(`exec(${JSON.stringify(inspection)}, globals())`);
    await program.evaluate(`app.control.cancel_consumer('to-python', destination=['python@killed'])`);
    await expect.poll(() => program.evaluate(`has_only_later('python@killed')`), { timeout: 20_000 }).toBe(true);
    await killed.kill();
    handles.forEach((handle, i) => {
      if (kindOf(i) === 'revoked') handle.cancel();
    });
    await expect.poll(isVisible, { timeout: 20_000 }).toBe(true);
    await startPython('python@later');
    const endings = await Promise.allSettled(handles);
    const said = endings.map((ending) => {
      if (ending.status === 'fulfilled') return ending.value;
      const { code, remote } = ending.reason;
      return code === 'TASK_CANCELED' ? 'revoked' : `failed: ${remote?.message}`;
    });
    expect(said).toEqual(all.map(expected));
    expect(await Promise.all(long)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((i) => `long ${i}`));
    const often = [...settled.entries()].filter(([, states]) => states.length > 1);
    const retried = new Set(handles.filter((_, i) => kindOf(i) === 'flaky').map(({ id }) => id));
    expect(often.filter(([id]) => !retried.has(id))).toEqual([]); // a retry from here follows a failure there
  }, 120_000);
});
