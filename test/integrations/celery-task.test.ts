/** celeryTask against a real worker of Celery: what goes there, and what comes back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { TaskSupervisor } from 'taskwarden';
import { type CeleryTaskOptions, celeryTask, kwargs } from 'taskwarden/celery';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { diaryOf, PythonProgram, startCelery } from '../servers/celery.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

let redis: Server;
let worker: Server;
let program: PythonProgram;

beforeAll(async () => {
  redis = await startRedis();
  worker = await startCelery({ broker: redis.url });
  program = await PythonProgram.start(worker);
}, 60_000);

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await worker?.stop();
  await redis?.stop();
});

function task<Args extends unknown[] = unknown[], Result = unknown>(
  name: string,
  options: Omit<CeleryTaskOptions, 'broker'> = {},
) {
  return celeryTask<Args, Result>(name, { broker: redis.url, ...(options as object) });
}

/** A busy machine takes its time. */
function poll<T>(look: () => T) {
  return expect.poll(look, { timeout: 20_000 });
}

function client(): Redis {
  const opened = new Redis(redis.url);
  onTestFinished(() => opened.disconnect());
  return opened;
}

/** A queue that no worker serves. */
const nobody = 'nobody';

describe('a call', () => {
  it('gives the result of the Python function', async () => {
    const handle = task<[number, number], number>('proj.add')(2, 3);
    expect(await handle).toBe(5);
    expect(handle.status).toBe('completed');
    expect(handle.name).toBe('proj.add');
  });

  it('passes arguments by place and by name, as JSON', async () => {
    const echo = task('proj.echo');
    const date = new Date('2030-01-02T03:04:05.678Z');
    expect(await echo('é', null, [1.5, { a: true }], date, undefined, kwargs({ x: 'y', left: undefined }))).toEqual([
      ['é', null, [1.5, { a: true }], '2030-01-02T03:04:05.678+00:00', null],
      { x: 'y' },
    ]);
  });

  it('has the same id in Celery', async () => {
    const handle = task<[], { id: string }>('proj.request')();
    expect(await handle).toMatchObject({ id: handle.id, root_id: handle.id });
    const own = task<[], { id: string }>('proj.request').with({ taskId: 'order-17' });
    expect(await own()).toMatchObject({ id: 'order-17' });
    expect(await own()).toMatchObject({ id: 'order-17' }); // not what the first one has left
  });

  it('rejects with the exception', async () => {
    await expect(task('proj.fail')('no such file')).rejects.toMatchObject({
      name: 'TaskwardenError',
      code: 'TASK_FAILED_REMOTELY',
      message: 'task "proj.fail" failed: ValueError: no such file',
      remote: {
        type: 'ValueError',
        module: 'builtins',
        message: 'no such file',
        args: ['no such file'],
        traceback: expect.stringMatching(/^Traceback[\s\S]*in fail\n[\s\S]*ValueError: no such file\n$/),
      },
    });
    await expect(task('proj.fail_own')()).rejects.toMatchObject({
      remote: { type: 'ShopError', module: 'proj', message: 'sold out, 3', args: ['sold out', 3] },
    });
    await expect(task('proj.unknown')()).rejects.toMatchObject({
      code: 'TASK_FAILED_REMOTELY',
      remote: { type: 'NotRegistered' },
    });
  });

  it('says when the process of the worker died', async () => {
    await expect(task('proj.die')()).rejects.toMatchObject({
      code: 'TASK_CRASHED',
      remote: { type: 'WorkerLostError' },
    });
  });

  it('says what it can not send or read', async () => {
    await expect(task('proj.echo')({ n: [Number.NaN] })).rejects.toMatchObject({
      code: 'ARGUMENT_NOT_CLONEABLE',
      message: `task "proj.echo" can't be sent to Celery: args[0].n[0] can't be sent as JSON: it is NaN`,
    });
    await expect(task('proj.echo')('x'.repeat(17 * 1_024 * 1_024))).rejects.toMatchObject({
      code: 'ARGUMENT_NOT_CLONEABLE',
      message: expect.stringContaining('must not have more than 16777216 bytes'),
    });
    await expect(task('proj.not_json')()).rejects.toMatchObject({
      code: 'RESULT_NOT_CLONEABLE',
      message: expect.stringContaining('JSON has no NaN'),
    });
  });

  it('does not wait for a result that nobody wants', async () => {
    expect(await task('proj.nap', { ignoreResult: true })(0, 'forgotten')).toBeUndefined();
    await poll(() => diaryOf(worker)).toContain('woke forgotten');
  });

  it('goes to its queue, by its priority: those that say none go first, as those of Python', async () => {
    const calls = ['low', 'critical', 'normal', 'high', undefined] as const;
    const add = task('proj.add', { queue: nobody });
    const supervisor = new TaskSupervisor();
    onTestFinished(async () => void (await supervisor.stop()));
    const handles = calls.map((priority) => add.with({ supervisor, ...(priority && { priority }) })(1, 1));
    const lists = () =>
      Promise.all(
        [nobody, `${nobody}\x06\x163`, `${nobody}\x06\x166`, `${nobody}\x06\x169`].map((key) => client().llen(key)),
      );
    await poll(lists).toEqual([2, 1, 1, 1]);
    for (const handle of handles) handle.cancel();
    await Promise.allSettled(handles);
    expect(await lists()).toEqual([0, 0, 0, 0]);
  });

  it('takes part in all() and map()', async () => {
    const add = task<[number, number], number>('proj.add');
    const inputs = Array.from({ length: 40 }, (_, i): [number, number] => [i, i]);
    const sums = inputs.map(([i]) => 2 * i);
    expect(await add.all(inputs)).toEqual(sums);
    const mapped: number[] = [];
    for await (const sum of add.map(inputs)) mapped.push(sum);
    expect(mapped.sort((a, b) => a - b)).toEqual(sums);
    const outcomes = await task('proj.flaky').all([[0], [1], [0]], { settle: true });
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});

describe('the options of a call', () => {
  interface Request {
    readonly retries: number;
    readonly eta: string | null;
    readonly expires: string | null;
    readonly timelimit: unknown;
    readonly priority: number;
    readonly queue: string;
  }

  it('are those of Celery', async () => {
    const before = Date.now();
    const request = task<[], Request>('proj.request', { priority: 'low', timeoutMs: 60_000 });
    const seen = await request.with({ delayMs: 200, queueTimeoutMs: 10_000 })();
    expect(seen).toMatchObject({ retries: 0, timelimit: [60, null], priority: 9, queue: 'celery' });
    const eta = Date.parse(seen.eta as string);
    expect(eta).toBeGreaterThanOrEqual(before + 200);
    expect(Date.parse(seen.expires as string)).toBe(eta + 10_000);
    const expires = new Date(before + 100_000);
    expect(Date.parse((await request.with({ expires })()).expires as string)).toBe(expires.getTime());
  });

  it('send it again, as often as retries says, with the number of the retry', async () => {
    const flaky = task<[number], number>('proj.flaky', { retries: 3, retryDelayMs: 1 });
    expect(await flaky(2)).toBe(2);
    const handle = flaky.with({ retries: 1, retryIf: () => true })(5);
    await expect(handle).rejects.toMatchObject({ remote: { type: 'ConnectionError', message: 'attempt 1' } });
    expect(handle.info.attempt).toBe(2);
    const seen: unknown[] = [];
    const retryIf = (error: unknown) => {
      seen.push(error);
      return false;
    };
    await expect(flaky.with({ retryIf })(5)).rejects.toMatchObject({ remote: { message: 'attempt 0' } });
    expect(seen).toHaveLength(1);
  });

  it('let a task retry itself in Python', async () => {
    const handle = task<[number], number>('proj.retry')(2);
    expect(await handle).toBe(2);
    expect(handle.info.attempt).toBe(1);
  });

  it('end it at its time-out', async () => {
    await expect(task('proj.nap', { timeoutMs: 300 })(60)).rejects.toMatchObject({
      code: 'TASK_TIMEOUT',
      timeoutMs: 300,
      remote: { type: 'TimeLimitExceeded' },
    });
  });

  it('let it expire, be there a worker or not', async () => {
    const never = task('proj.nap', { queue: nobody, queueTimeoutMs: 100, retries: 5 })(0, 'expired');
    await expect(never).rejects.toMatchObject({ code: 'TASK_EXPIRED' });
    expect(never.info.attempt).toBe(1);
    expect(await client().llen(nobody)).toBe(0);
    const past = task('proj.nap', { expires: new Date(Date.now() - 1_000), queue: 'celery' })(0, 'expired');
    await expect(past).rejects.toMatchObject({ code: 'TASK_EXPIRED' });
    expect(await diaryOf(worker)).not.toContain('nap expired');
  });

  it.each([
    [{}, 'option "broker" of celeryTask(\'a\') must be a Redis URL'],
    [
      { broker: 'redis://x', type: 'loop' },
      'option "type" of celeryTask(\'a\') must be left out: a worker of Celery runs it',
    ],
    [{ broker: 'redis://x', expires: 'soon' }, 'option "expires" of celeryTask(\'a\') must be'],
    [{ broker: 'redis://x', queue: '' }, 'option "queue" of celeryTask(\'a\') must be'],
    [{ broker: 'redis://x', timeout: 3 }, 'celeryTask(\'a\') has no option "timeout": did you mean "timeoutMs"?'],
  ])('are checked: %j', (options, message) => {
    expect(() => celeryTask('a', options as unknown as CeleryTaskOptions)).toThrow(message);
  });

  it('are checked in with(), too, and names', () => {
    const add = task('proj.add');
    expect(() => add.with({ retries: -1 })).toThrow('option "retries" of proj.add.with()');
    expect(() => add.with({ transfer: () => [] } as object)).toThrow('option "transfer" of proj.add.with()');
    expect(() => celeryTask('', { broker: redis.url })).toThrow('the name of a celeryTask()');
    expect(() => kwargs([] as unknown as Record<string, unknown>)).toThrow('what kwargs() takes must be an object');
  });
});

describe('a handle', () => {
  it('says how the task stands in Celery', async () => {
    const handle = task('proj.nap').with({ delayMs: 300 })(0.5, 'status');
    expect(handle.status).toBe('queued'); // it has not been sent
    const seen = new Set<string>();
    const watch = (async () => {
      while (!handle.done) {
        seen.add(handle.status);
        expect(handle.info.status).toBe(handle.status);
        await sleep(5);
      }
    })();
    await handle;
    await watch;
    expect([...seen].filter((status) => status !== 'queued')).toEqual(['delayed', 'started']);
    expect(handle.status).toBe('completed');
  });

  it('hears of progress', async () => {
    const handle = task<[number], number>('proj.steps')(4);
    const heard: number[] = [];
    handle.onProgress(({ fraction }) => heard.push(fraction));
    expect(await handle).toBe(4);
    expect(heard.at(-1)).toBe(1);
    expect(heard.every((fraction) => [0.25, 0.5, 0.75, 1].includes(fraction))).toBe(true);
  });

  it('takes back a task that waits, which then never runs', async () => {
    const handle = task('proj.nap', { queue: nobody })(0, 'taken back');
    await poll(() => client().llen(nobody)).toBe(1);
    expect(handle.cancel('no need')).toBe(true);
    await expect(handle).rejects.toMatchObject({ code: 'TASK_CANCELED', cause: 'no need' });
    expect(await client().llen(nobody)).toBe(0);
    await poll(async () => JSON.parse((await client().get(`celery-task-meta-${handle.id}`)) ?? '{}').status).toBe(
      'REVOKED',
    );
  });

  it('ends a task that runs', async () => {
    const handle = task('proj.nap', { stopGraceMs: 20_000 })(60, 'canceled');
    await poll(() => handle.status).toBe('started');
    handle.cancel();
    await expect(handle).rejects.toMatchObject({ code: 'TASK_CANCELED' });
    expect(await task<[number, number], number>('proj.add')(1, 1)).toBe(2);
    expect(await diaryOf(worker)).not.toContain('woke canceled');
  });

  it('does not wait longer than its grace for a worker that does not end the task', async () => {
    await using other = await startCelery({ broker: redis.url, queues: ['solo'], pool: 'solo', name: 'solo@test' });
    const handle = task('proj.nap', { queue: 'solo', stopGraceMs: 50 })(1, 'stubborn');
    await poll(() => handle.status).toBe('started');
    handle.cancel();
    await expect(handle).rejects.toMatchObject({ code: 'TASK_CANCELED' });
    await poll(() => diaryOf(other)).toContain('woke stubborn');
  });

  it('lets a task that runs finish when it is asked to stop, and takes back one that waits', async () => {
    const handle = task('proj.nap')(0.5, 'finished');
    await poll(() => handle.status).toBe('started');
    await handle.stop();
    expect(handle.result).toBe('finished');
    const waits = task('proj.nap', { queue: nobody })(0, 'never');
    await poll(() => client().llen(nobody)).toBe(1);
    await waits.stop();
    expect(waits.exception).toMatchObject({ code: 'TASK_CANCELED', cause: { code: 'TASK_STOPPED' } });
  });

  it('is of the task that Celery shows under its id', async () => {
    const handle = task('proj.nap', { stopGraceMs: 20_000 })(60, 'seen');
    await poll(() => handle.status).toBe('started');
    expect(await program.command('inspect', 'active')).toContain(handle.id);
    handle.cancel();
    await expect(handle).rejects.toMatchObject({ code: 'TASK_CANCELED' });
  });

  it('hears that others have revoked the task', async () => {
    const handle = task('proj.nap', { retries: 5 })(60, 'revoked');
    await poll(() => handle.status).toBe('started');
    const rejected = expect(handle).rejects.toMatchObject({
      code: 'TASK_CANCELED',
      message: 'task "proj.nap" was revoked: terminated',
    });
    await program.evaluate(`app.control.revoke(${JSON.stringify(handle.id)}, terminate=True)`);
    await rejected;
    expect(handle.info.attempt).toBe(1);
  });
});
