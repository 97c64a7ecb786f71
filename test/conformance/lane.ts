/** What holds for tasks wherever they run. Every lane runs this suite. */
import { getEventListeners } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  currentTask,
  DoNotRetry,
  type PoolOptions,
  type Priority,
  type Progress,
  type SupervisorOptions,
  type TaskHandle,
  type TaskInfo,
  TaskSupervisor,
  type TaskType,
  TaskwardenError,
} from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { begun, failure, heard } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import { add, echo } from '../fixtures/tasks/echo.ts';
import { cleansUp, Gate, holds, yields } from '../fixtures/tasks/holds.ts';
import { reports, seesItself } from '../fixtures/tasks/sees-itself.ts';
import { failsBefore, throws, throwsAtOnce } from '../fixtures/tasks/throws.ts';

export interface LaneUnderTest {
  readonly type: TaskType;
  /** The option of a supervisor that sets up the lane's pool. */
  readonly pool: 'threads' | 'processes' | 'loop';
  /** Options of that pool beside its limits. */
  readonly options?: { readonly concurrentTasks?: number };
}

const dayMs = 24 * 60 * 60 * 1_000;
/** Far longer than any test takes. */
const foreverMs = 2 * dayMs;

export function testLane({ type, pool }: LaneUnderTest): void {
  const shared = new SharedSupervisors();

  function supervise(limits: PoolOptions = {}, options: SupervisorOptions = {}): TaskSupervisor {
    return shared.take({ [pool]: limits, logger: false, ...options });
  }

  function superviseAlone(limits: PoolOptions = {}, options: SupervisorOptions = {}): TaskSupervisor {
    return new TaskSupervisor({ [pool]: limits, logger: false, ...options });
  }

  /** Room for one task that is not critical, and no more. */
  const one: PoolOptions = { poolSize: 1, reserveNormal: 0, reserveHigh: 0 };

  describe(`the ${type} lane: results`, () => {
    it('gives what the function returns, with its type', async () => {
      await using supervisor = supervise();
      const values = {
        text: 'ä',
        big: 2n ** 70n,
        nothing: undefined,
        date: new Date(0),
        map: new Map([[1, new Set(['x'])]]),
        bytes: new Uint8Array([1, 2, 3]),
        pattern: /a+/gi,
      };
      expect(await echo.with({ type, supervisor })(values)).toEqual(values);
    });

    it('gives undefined where the function returns nothing', async () => {
      await using supervisor = supervise();
      expect(await echo.with({ type, supervisor })(undefined)).toBeUndefined();
    });

    it('runs functions that are not async', async () => {
      await using supervisor = supervise();
      expect(await add.with({ type, supervisor })(2, 3)).toBe(5);
    });

    it('returns the handle before the function begins', async () => {
      await using supervisor = supervise();
      const handle = add.with({ type, supervisor })(2, 3);
      expect(handle.status).toBe('queued');
      expect(handle.type).toBe(type);
      await handle;
      expect(handle.status).toBe('completed');
    });

    it('runs many tasks, and mixes up none of their results', async () => {
      await using supervisor = supervise({ poolSize: 3 });
      const handles = Array.from({ length: 500 }, (_, n) => add.with({ type, supervisor })(n, 1));
      expect(await supervisor.waitCompleted(handles)).toEqual(Array.from({ length: 500 }, (_, n) => n + 1));
    });
  });

  describe(`the ${type} lane: errors`, () => {
    it('rejects with the error, of its built-in class, with name, message, code, own fields and causes', async () => {
      await using supervisor = supervise();
      const error = await failure(throws.with({ type, supervisor })('subclass'));
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toMatchObject({
        name: 'OutOfStock',
        message: 'no tea left',
        code: 'OUT_OF_STOCK',
        item: { sku: 'tea', left: 0 },
      });
      const { cause } = error as Error;
      expect(cause).toBeInstanceOf(TypeError);
      expect(cause).toMatchObject({ message: 'the shelf is empty', cause: 'a strike' });
    });

    it('keeps the stack of the place that threw', async () => {
      await using supervisor = supervise();
      const error = await failure(throwsAtOnce.with({ type, supervisor })('here'));
      expect(error).toBeInstanceOf(Error);
      expect((error as Error).stack).toMatch(/Error: here\n\s+at .*throwsAtOnce.*throws\.[jt]s:\d+:\d+/);
    });

    it.each([
      ['error', Error, 'Error', 'plain'],
      ['type', TypeError, 'TypeError', 'wrong type'],
      ['dom', DOMException, 'AbortError', 'given up'],
      ['aggregate', AggregateError, 'AggregateError', 'both'],
    ] as const)('rejects with an error of the same class: %s', async (kind, errorClass, name, message) => {
      await using supervisor = supervise();
      const error = await failure(throws.with({ type, supervisor })(kind));
      expect(error).toBeInstanceOf(errorClass);
      expect(error).toMatchObject({ name, message });
    });

    it('keeps the errors of an AggregateError', async () => {
      await using supervisor = supervise();
      const { errors } = (await failure(throws.with({ type, supervisor })('aggregate'))) as AggregateError;
      expect(errors).toEqual([new Error('one'), 'two']);
    });

    it.each([
      ['string', 'just text'],
      ['nothing', undefined],
      ['object', { status: 503 }],
    ] as const)('rejects with what was thrown, if it is no error: %s', async (kind, thrown) => {
      await using supervisor = supervise();
      const handle = throws.with({ type, supervisor })(kind);
      expect(await failure(handle)).toEqual(thrown);
      expect(handle.info).toMatchObject({ status: 'failed', endReason: 'failed' });
    });

    it.each([
      ['validation', { message: 'invalid', errors: { email: ['is taken'] } }],
      ['foreign', { name: 'RangeError', message: 'far', code: 'E_FAR' }],
      ['frozen', { name: 'ReferenceError', message: 'x is not defined' }],
    ])('keeps what an error is and has: %s', async (kind, facts) => {
      await using supervisor = supervise();
      expect(await failure(throws.with({ type, supervisor })(kind))).toMatchObject(facts);
    });

    it('outlives a task that throws what can not be looked at', async () => {
      await using supervisor = supervise(one);
      const handle = throws.with({ type, supervisor })('revoked');
      const next = add.with({ type, supervisor })(1, 1);
      await handle.then(undefined, () => {}); // to give what was thrown on would touch it
      expect(handle.info).toMatchObject({ endReason: 'failed', attempt: 1 });
      expect(await next).toBe(2);
    });

    it('keeps a cause that is the error itself', async () => {
      await using supervisor = supervise();
      const error = (await failure(throws.with({ type, supervisor })('circular'))) as Error;
      expect(error.cause).toBe(error);
    });

    it('goes on with the next task', async () => {
      await using supervisor = supervise(one);
      const failed = throwsAtOnce.with({ type, supervisor })('first');
      const next = add.with({ type, supervisor })(1, 1);
      expect(await failure(failed)).toEqual(new Error('first'));
      expect(await next).toBe(2);
    });
  });

  describe(`the ${type} lane: cancel`, () => {
    it('ends a waiting task at once, and never runs it', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const runs = holds.with({ type, supervisor })(gate.port, 'runs');
      await gate.arrived(1);
      const waits = holds.with({ type, supervisor })(gate.port, 'waits');
      expect(waits.cancel('not needed')).toBe(true);
      expect(waits.info).toMatchObject({ status: 'canceled', endReason: 'canceled', attempt: 0 });
      expect(waits.done).toBe(true);
      expect(await failure(waits)).toMatchObject({ code: 'TASK_CANCELED', cause: 'not needed', taskId: waits.id });
      gate.open();
      await runs;
      await add.with({ type, supervisor })(1, 1);
      expect(gate.arrivals).toEqual(['runs']);
    });

    it('asks a running task to stop by its signal, and settles it when its function has ended', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const handle = cleansUp.with({ type, supervisor, stopGraceMs: foreverMs })(gate.port, 'cleans up');
      await begun(handle);
      expect(handle.cancel('enough')).toBe(true);
      await gate.arrived(1); // it heard, and is at its cleaning
      expect(handle.done).toBe(false);
      expect(handle.status).toBe('started');
      gate.open();
      const error = await failure(handle);
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough', taskId: handle.id });
      expect(handle.info).toMatchObject({ status: 'canceled', endReason: 'canceled', error });
      expect(handle.exception).toBe(error);
    });

    it('gives a running task the reason of the cancel, as the reason of its signal', async () => {
      await using supervisor = supervise();
      const reason = new RangeError('too far');
      const handle = yields.with({ type, supervisor, stopGraceMs: foreverMs })();
      await begun(handle);
      handle.cancel(reason);
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: reason });
    });

    it('rejects after the grace where the function does not end, and starts the next task', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const stubborn = holds.with({ type, supervisor, stopGraceMs: 10 })(gate.port, 'stubborn');
      await gate.arrived(1);
      const next = add.with({ type, supervisor })(1, 1);
      stubborn.cancel();
      expect(await failure(stubborn)).toMatchObject({ code: 'TASK_CANCELED' });
      expect(await next).toBe(2);
      expect(stubborn.info).toMatchObject({ status: 'canceled', endReason: 'canceled' });
    });

    it('changes nothing when it is called again, and keeps the first reason', async () => {
      await using supervisor = supervise();
      const handle = yields.with({ type, supervisor, stopGraceMs: foreverMs })();
      await begun(handle);
      expect(handle.cancel('first')).toBe(true);
      handle.cancel('second');
      expect(await failure(handle)).toMatchObject({ cause: 'first' });
      expect(handle.cancel('third')).toBe(false);
      expect(handle.exception).toMatchObject({ cause: 'first' });
    });

    it('changes nothing after the end', async () => {
      await using supervisor = supervise();
      const handle = add.with({ type, supervisor })(1, 2);
      await handle;
      expect(handle.cancel()).toBe(false);
      expect(handle.info).toMatchObject({ status: 'completed', endReason: 'completed' });
      expect(await handle).toBe(3);
    });

    it('has no cause where no reason was given', async () => {
      await using supervisor = supervise();
      const handle = add.with({ type, supervisor, delayMs: dayMs })(1, 2);
      handle.cancel();
      expect(await failure(handle)).not.toHaveProperty('cause');
    });
  });

  describe(`the ${type} lane: signals`, () => {
    it('never runs a task whose signal was aborted before', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const signal = AbortSignal.abort('long ago');
      const handle = holds.with({ type, supervisor, signal })(gate.port, 'never');
      expect(handle.status).toBe('canceled');
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'long ago' });
      await add.with({ type, supervisor })(1, 1);
      expect(gate.arrivals).toEqual([]);
    });

    it('cancels a waiting task and a running one', async () => {
      await using supervisor = supervise(one);
      const controller = new AbortController();
      const { signal } = controller;
      const runs = yields.with({ type, supervisor, signal, stopGraceMs: foreverMs })();
      const waits = yields.with({ type, supervisor, signal })();
      await begun(runs);
      expect(waits.status).toBe('queued');
      controller.abort('over');
      expect(waits.status).toBe('canceled');
      expect(await failure(waits)).toMatchObject({ code: 'TASK_CANCELED', cause: 'over' });
      expect(await failure(runs)).toMatchObject({ code: 'TASK_CANCELED', cause: 'over' });
      expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    });

    it('leaves no listener on a signal that many tasks share', async () => {
      await using supervisor = supervise(one);
      const { signal } = new AbortController();
      const options = { type, supervisor, signal };
      const completed = Array.from({ length: 20 }, (_, n) => add.with(options)(n, n));
      const failed = throwsAtOnce.with(options)('no');
      const canceled = add.with(options)(1, 1);
      const retried = failsBefore.with({ ...options, retries: 3, retryDelayMs: 0 })(3);
      expect(getEventListeners(signal, 'abort')).not.toHaveLength(0);
      canceled.cancel();
      await Promise.allSettled([...completed, failed, canceled, retried]);
      expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    });

    it('leaves no listener on a signal where the task was refused', async () => {
      await using supervisor = supervise();
      const { signal } = new AbortController();
      await supervisor.stop();
      const handle = add.with({ type, supervisor, signal })(1, 1);
      expect(await failure(handle)).toMatchObject({ code: 'SUPERVISOR_STOPPED' });
      expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    });
  });

  describe(`the ${type} lane: progress`, () => {
    it('tells listeners of the handle, the info and the event, before the task ends', async () => {
      await using supervisor = supervise();
      const order: string[] = [];
      const seen: Progress[] = [];
      supervisor.on('task:progress', ({ task, progress }) => {
        expect(task.progress).toEqual(progress);
        order.push('event');
      });
      supervisor.on('task:completed', () => order.push('completed'));
      const handle = reports.with({ type, supervisor })([0.5]);
      handle.onProgress((progress) => seen.push(progress));
      await handle;
      expect(seen).toEqual([{ fraction: 0.5, note: 'at 0.5' }]);
      expect(order).toEqual(['event', 'completed']);
      expect(handle.info.progress).toEqual({ fraction: 0.5, note: 'at 0.5' });
    });

    it('always brings the last report, however many come at once', async () => {
      await using supervisor = supervise();
      const seen: number[] = [];
      const handle = reports.with({ type, supervisor })(Array.from({ length: 1_000 }, (_, n) => n / 999));
      handle.onProgress(({ fraction }) => seen.push(fraction));
      await handle;
      expect(seen.at(-1)).toBe(1);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
    });

    it.each([-0.1, 1.1, Number.NaN])('refuses the fraction %d, in the task', async (fraction) => {
      await using supervisor = supervise();
      const error = await failure(reports.with({ type, supervisor })([fraction]));
      expect(error).toBeInstanceOf(RangeError);
      expect((error as Error).message).toContain('fraction');
    });

    it('is not disturbed by a listener that throws', async () => {
      await using supervisor = supervise();
      const seen: number[] = [];
      const handle = reports.with({ type, supervisor })([0.25]);
      handle.onProgress(() => {
        throw new Error('a bad listener');
      });
      handle.onProgress(({ fraction }) => seen.push(fraction));
      expect(await handle).toBe(1);
      expect(seen).toEqual([0.25]);
    });
  });

  describe(`the ${type} lane: currentTask()`, () => {
    it('knows id, name, arguments and attempt, also after an await', async () => {
      await using supervisor = supervise();
      const handle = seesItself.with({ type, supervisor })('a', 1);
      const { first, then, argumentsSeen } = await handle;
      expect(first).toEqual({
        id: handle.id,
        name: 'seesItself',
        args: ['a', 1],
        attempt: 1,
        stopped: false,
        aborted: false,
      });
      expect(then).toEqual(first);
      expect(argumentsSeen).toEqual(['a', 1]);
    });

    it('tells tasks apart that run at the same time', async () => {
      await using supervisor = supervise({ poolSize: 3 });
      const handles = Array.from({ length: 12 }, (_, n) => seesItself.with({ type, supervisor })(n));
      const seen = await Promise.all(handles);
      expect(seen.map(({ then }) => then.id)).toEqual(handles.map(({ id }) => id));
      expect(seen.map(({ then }) => then.args)).toEqual(handles.map((_, n) => [n]));
    });

    it('knows the id and the name that the options give', async () => {
      await using supervisor = supervise();
      const handle = seesItself.with({ type, supervisor, taskId: 'my-own', name: 'looks' })();
      expect(handle.name).toBe('looks');
      const { first } = await handle;
      expect(first).toMatchObject({ id: 'my-own', name: 'looks' });
    });

    it('throws NOT_IN_TASK outside of a task', async () => {
      await using supervisor = supervise();
      await add.with({ type, supervisor })(1, 1);
      expect(() => currentTask()).toThrow(expect.objectContaining({ code: 'NOT_IN_TASK' }));
    });
  });

  describe(`the ${type} lane: timeouts`, () => {
    it('ends a task that runs longer than its timeoutMs', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const handle = holds.with({ type, supervisor, timeoutMs: 200, stopGraceMs: 0 })(gate.port, 'slow');
      const error = await failure(handle);
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 200, taskId: handle.id });
      expect(handle.info).toMatchObject({ status: 'failed', endReason: 'timeout', error });
    });

    it('asks the task to stop first, and what it then returns does not count', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const handle = cleansUp.with({ type, supervisor, timeoutMs: 100, stopGraceMs: foreverMs })(gate.port, 'cleans');
      await gate.arrived(1);
      expect(handle.done).toBe(false);
      gate.open();
      expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT' });
    });

    it('counts from the start, not from the submit', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const runs = holds.with({ type, supervisor })(gate.port, 'runs');
      await gate.arrived(1);
      const waits = add.with({ type, supervisor, timeoutMs: 1_000 })(1, 1);
      const clock = add.with({ type, supervisor, queueTimeoutMs: 1_100 })(1, 1);
      await failure(clock);
      gate.open();
      await runs;
      expect(await waits).toBe(2);
    });

    it('keeps the first cause where a cancel follows the timeout', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const handle = cleansUp.with({ type, supervisor, timeoutMs: 100, stopGraceMs: foreverMs })(gate.port, 'cleans');
      await gate.arrived(1);
      handle.cancel('too late');
      gate.open();
      expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT' });
      expect(handle.info.endReason).toBe('timeout');
    });

    it('never runs a task that waits longer than its queueTimeoutMs', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const runs = holds.with({ type, supervisor })(gate.port, 'runs');
      await gate.arrived(1);
      const waits = holds.with({ type, supervisor, queueTimeoutMs: 20 })(gate.port, 'waits');
      const error = await failure(waits);
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'TASK_EXPIRED', timeoutMs: 20, taskId: waits.id });
      expect(waits.info).toMatchObject({ status: 'failed', endReason: 'expired', attempt: 0, timeStarted: undefined });
      gate.open();
      await runs;
      await add.with({ type, supervisor })(1, 1);
      expect(gate.arrivals).toEqual(['runs']);
    });

    it('lets a task run on that began within its queueTimeoutMs', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const warm = holds.with({ type, supervisor })(gate.port, 'warm');
      gate.open();
      await warm;
      const limited = cleansUp.with({ type, supervisor, queueTimeoutMs: 1_000, stopGraceMs: foreverMs });
      const handle = limited(gate.port, 'in time');
      await begun(handle);
      const clock = add.with({ type, supervisor, queueTimeoutMs: 1_100 })(1, 1);
      await failure(clock);
      expect(handle.status).toBe('started');
      handle.cancel();
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    });
  });

  describe(`the ${type} lane: retries`, () => {
    it('runs a task that threw again, as often as it may, and counts the attempts', async () => {
      await using supervisor = supervise();
      const retried: [number, unknown][] = [];
      supervisor.on('task:retried', ({ task, error, delayMs }) => {
        expect(task.status).toBe('delayed');
        expect(delayMs).toBe(0);
        retried.push([task.attempt, error]);
      });
      const handle = failsBefore.with({ type, supervisor, retries: 2, retryDelayMs: 0 })(3);
      expect(await handle).toBe(3);
      expect(retried).toEqual([
        [1, new Error('attempt 1 failed')],
        [2, new Error('attempt 2 failed')],
      ]);
      expect(handle.info).toMatchObject({ status: 'completed', attempt: 3 });
    });

    it('rejects with the last error when no retry is left', async () => {
      await using supervisor = supervise();
      const handle = failsBefore.with({ type, supervisor, retries: 2, retryDelayMs: 0 })(9);
      expect(await failure(handle)).toEqual(new Error('attempt 3 failed'));
      expect(handle.info).toMatchObject({ status: 'failed', endReason: 'failed', attempt: 3 });
    });

    it('asks retryIf, with the error and the number of the attempt', async () => {
      await using supervisor = supervise();
      const asked: [unknown, number][] = [];
      const retryIf = (error: unknown, attempt: number) => {
        asked.push([error, attempt]);
        return attempt < 2;
      };
      const handle = failsBefore.with({ type, supervisor, retries: 5, retryDelayMs: 0, retryIf })(9);
      expect(await failure(handle)).toEqual(new Error('attempt 2 failed'));
      expect(asked).toEqual([
        [new Error('attempt 1 failed'), 1],
        [new Error('attempt 2 failed'), 2],
      ]);
    });

    it('fails the task with its own error where retryIf throws', async () => {
      await using supervisor = supervise();
      const retryIf = () => {
        throw new Error('cannot decide');
      };
      const handle = failsBefore.with({ type, supervisor, retries: 5, retryDelayMs: 0, retryIf })(9);
      expect(await failure(handle)).toEqual(new Error('attempt 1 failed'));
    });

    it('waits for a retryIf that gives a promise', async () => {
      await using supervisor = supervise();
      const asked: number[] = [];
      const retryIf = async (_error: unknown, attempt: number) => {
        asked.push(attempt);
        await nextTurn();
        return attempt < 2;
      };
      const handle = failsBefore.with({ type, supervisor, retries: 5, retryDelayMs: 0, retryIf })(9);
      expect(await failure(handle)).toEqual(new Error('attempt 2 failed'));
      expect(asked).toEqual([1, 2]);
    });

    it('fails the task with its own error where retryIf rejects', async () => {
      await using supervisor = supervise();
      const retryIf = () => Promise.reject(Object.create(null));
      const handle = failsBefore.with({ type, supervisor, retries: 5, retryDelayMs: 0, retryIf })(9);
      expect(await failure(handle)).toEqual(new Error('attempt 1 failed'));
    });

    it.each([
      ['hopeless', 'no such page'],
      ['marked', 'not this way'],
    ])('ends where the function throws what is not to be tried again: %s', async (kind, message) => {
      await using supervisor = supervise();
      const retryIf = () => true;
      const handle = throws.with({ type, supervisor, retries: 5, retryDelayMs: 0, retryIf })(kind);
      const error = await failure(handle);
      expect(error).toMatchObject({ message, retry: false });
      expect(error instanceof DoNotRetry).toBe(kind === 'hopeless');
      if (kind === 'hopeless') expect(error).toMatchObject({ cause: new RangeError('no such page') });
      expect(handle.info).toMatchObject({ status: 'failed', attempt: 1 });
    });

    it('asks a function for the pause before a retry', async () => {
      await using supervisor = supervise();
      const asked: [number, unknown][] = [];
      const pauses: number[] = [];
      supervisor.on('task:retried', ({ delayMs }) => pauses.push(delayMs));
      const retryDelayMs = (attempt: number, error: unknown) => {
        asked.push([attempt, error]);
        return attempt / 2;
      };
      expect(await failsBefore.with({ type, supervisor, retries: 5, retryDelayMs })(3)).toBe(3);
      expect(asked).toEqual([
        [1, new Error('attempt 1 failed')],
        [2, new Error('attempt 2 failed')],
      ]);
      expect(pauses).toEqual([0.5, 1]);
    });

    it.each<[string, () => unknown, RegExp]>([
      ['throws', () => throwHopeless(), /no idea/],
      ['gives no number', () => Number.NaN, /what the function "retryDelayMs" gives must be .* 0 or more; got NaN/],
      ['gives a promise', () => Promise.reject(new Error('late')), /got an object/],
    ])('makes the usual pause where that function %s, and logs why', async (_how, retryDelayMs, message) => {
      const lines: string[] = [];
      const error = (line: string) => lines.push(line);
      await using supervisor = supervise({}, { logger: { error, warn: () => {} } });
      const retried = heard(supervisor, 'task:retried');
      const options = { type, supervisor, retries: 1, retryDelayMs: retryDelayMs as () => number };
      const handle = failsBefore.with(options)(9);
      const { delayMs } = await retried;
      handle.cancel();
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
      expect(delayMs).toBeGreaterThanOrEqual(1_000);
      expect(lines).toEqual([expect.stringMatching(/retryDelayMs failed/)]);
      expect(lines[0]).toMatch(message);
    });

    it.each(['cancel', 'stop'])('can be told to %s while its retryIf takes its time', async (how) => {
      await using supervisor = supervise();
      let answer = (_wants: boolean) => {};
      let handle!: TaskHandle<unknown>;
      const asked = new Promise<void>((resolve) => {
        const retryIf = () => {
          resolve();
          return new Promise<boolean>((settle) => {
            answer = settle;
          });
        };
        handle = failsBefore.with({ type, supervisor, retries: 5, retryDelayMs: 0, retryIf })(9);
      });
      await asked;
      if (how === 'cancel') handle.cancel('enough');
      else void handle.stop();
      answer(true);
      const error = how === 'cancel' ? { code: 'TASK_CANCELED', cause: 'enough' } : { message: 'attempt 1 failed' };
      expect(await failure(handle)).toMatchObject(error);
      expect(handle.info.attempt).toBe(1);
      expect(supervisor.getInfo()).toMatchObject({ pending: 0, delayed: 0 });
    });

    it('keeps no supervisor from stopping at once while its retryIf takes its time', async () => {
      const supervisor = supervise();
      let handle!: TaskHandle<unknown>;
      await new Promise<void>((resolve) => {
        const retryIf = () => {
          resolve();
          return new Promise<boolean>(() => {});
        };
        handle = failsBefore.with({ type, supervisor, retries: 5, retryDelayMs: 0, retryIf })(9);
      });
      const ended = failure(handle);
      await supervisor.stop({ wait: false });
      expect(await ended).toMatchObject({ code: 'TASK_CANCELED' });
    });

    it('runs a task again that ran out of time', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const options = { type, supervisor, timeoutMs: 1_000, stopGraceMs: 0, retries: 1, retryDelayMs: 0 };
      const handle = holds.with(options)(gate.port, 'slow');
      await heard(supervisor, 'task:retried', ({ error }) => (error as TaskwardenError).code === 'TASK_TIMEOUT');
      gate.open();
      expect(await handle).toBe('slow');
      expect(handle.info.attempt).toBe(2);
    });

    it('does not run a canceled task again', async () => {
      await using supervisor = supervise();
      const handle = yields.with({ type, supervisor, retries: 5, retryDelayMs: 0, stopGraceMs: foreverMs })();
      await begun(handle);
      handle.cancel();
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
      expect(handle.info.attempt).toBe(1);
    });

    it('can be canceled between two attempts', async () => {
      await using supervisor = supervise();
      const handle = failsBefore.with({ type, supervisor, retries: 5, retryDelayMs: dayMs })(9);
      supervisor.on('task:retried', () => handle.cancel('no more'));
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'no more' });
      expect(handle.info).toMatchObject({ status: 'canceled', attempt: 1 });
      expect(supervisor.getInfo()).toMatchObject({ pending: 0, delayed: 0 });
    });
  });

  describe(`the ${type} lane: delay and ids`, () => {
    it('holds a task back for its delayMs', async () => {
      await using supervisor = supervise();
      const statuses: string[] = [];
      supervisor.on('task:queued', ({ task }) => statuses.push(task.status));
      const submittedAt = Date.now();
      const handle = add.with({ type, supervisor, delayMs: 50 })(1, 1);
      expect(handle.status).toBe('delayed');
      expect(statuses).toEqual([]);
      expect(await handle).toBe(2);
      expect(statuses).toEqual(['queued']);
      expect((handle.info.timeStarted ?? 0) - submittedAt).toBeGreaterThanOrEqual(49);
    });

    it('runs those that come after a delayed task', async () => {
      await using supervisor = supervise(one);
      const delayed = add.with({ type, supervisor, delayMs: dayMs, priority: 'high' })(1, 1);
      expect(await add.with({ type, supervisor, priority: 'low' })(2, 2)).toBe(4);
      expect(delayed.status).toBe('delayed');
      delayed.cancel();
      expect(delayed.status).toBe('canceled');
      expect(await failure(delayed)).toMatchObject({ code: 'TASK_CANCELED' });
    });

    it('refuses a second live task of the same taskId, and does not harm the first', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const first = holds.with({ type, supervisor, taskId: 'order-7' })(gate.port, 'first');
      const second = holds.with({ type, supervisor, taskId: 'order-7' })(gate.port, 'second');
      const error = await failure(second);
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'DUPLICATE_TASK_ID', taskId: 'order-7' });
      expect(supervisor.getTaskInfo('order-7')?.endReason).toBeUndefined();
      gate.open();
      expect(await first).toBe('first');
      expect(gate.arrivals).toEqual(['first']);
    });

    it('takes a taskId again after its task has ended', async () => {
      await using supervisor = superviseAlone();
      expect(await add.with({ type, supervisor, taskId: 'again' })(1, 1)).toBe(2);
      expect(await add.with({ type, supervisor, taskId: 'again' })(2, 2)).toBe(4);
      expect(supervisor.getTasks().map(({ id }) => id)).toEqual(['again', 'again']);
    });
  });

  describe(`the ${type} lane: the pool`, () => {
    const labeled = (gate: Gate, supervisor: TaskSupervisor) => (priority: Priority, label: string) =>
      holds.with({ type, supervisor, priority })(gate.port, label);

    it('starts waiting tasks by priority, and in order inside one', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const submit = labeled(gate, supervisor);
      const handles = [submit('low', 'first')];
      await gate.arrived(1);
      for (const label of ['low 1', 'normal 1', 'high 1', 'low 2', 'normal 2', 'high 2']) {
        handles.push(submit(label.split(' ')[0] as Priority, label));
      }
      expect(handles.slice(1).map(({ status }) => status)).toEqual(new Array(6).fill('queued'));
      gate.open();
      await Promise.all(handles);
      expect(gate.arrivals).toEqual(['first', 'high 1', 'high 2', 'normal 1', 'normal 2', 'low 1', 'low 2']);
    });

    it('keeps the reserves: 2/1/1 runs 2 low, 3 with normal, 4 with high tasks, and critical ones at once', async () => {
      await using supervisor = supervise({ poolSize: 2, reserveNormal: 1, reserveHigh: 1 });
      await using gate = await Gate.create();
      const submit = labeled(gate, supervisor);
      const started: string[] = [];
      supervisor.on('task:started', ({ task }) => started.push(task.priority));
      const handles = [submit('low', 'low 1'), submit('low', 'low 2'), submit('low', 'low 3')];
      await gate.arrived(2);
      handles.push(submit('normal', 'normal 1'), submit('normal', 'normal 2'));
      await gate.arrived(3);
      handles.push(submit('high', 'high 1'), submit('high', 'high 2'));
      await gate.arrived(4);
      expect(started).toEqual(['low', 'low', 'normal', 'high']);
      handles.push(
        submit('critical', 'critical 1'),
        submit('critical', 'critical 2'),
        submit('critical', 'critical 3'),
      );
      await gate.arrived(7);
      expect(new Set(gate.arrivals)).toEqual(
        new Set(['low 1', 'low 2', 'normal 1', 'high 1', 'critical 1', 'critical 2', 'critical 3']),
      );
      const { waiting, running } = supervisor.getInfo()[pool];
      expect({ waiting, running }).toEqual({ waiting: { critical: 0, high: 1, normal: 1, low: 1 }, running: 7 });
      for (const label of ['critical 1', 'critical 2', 'critical 3', 'low 1']) gate.pass(label);
      await gate.arrived(8);
      for (const label of ['high 1', 'high 2']) gate.pass(label);
      await gate.arrived(9);
      for (const label of ['normal 1', 'normal 2']) gate.pass(label);
      await gate.arrived(10);
      expect(gate.arrivals.slice(7)).toEqual(['high 2', 'normal 2', 'low 3']);
      gate.open();
      await Promise.all(handles);
      expect(started.slice(7)).toEqual(['high', 'normal', 'low']);
    });

    it('starts no lower task while a higher one waits', async () => {
      await using supervisor = supervise({ poolSize: 2, reserveNormal: 0, reserveHigh: 0 });
      await using gate = await Gate.create();
      const submit = labeled(gate, supervisor);
      const handles = [submit('critical', 'c1'), submit('critical', 'c2'), submit('critical', 'c3')];
      await gate.arrived(3);
      handles.push(submit('low', 'low'), submit('normal', 'normal'));
      gate.pass('c1');
      await handles[0];
      expect(handles.slice(3).map(({ status }) => status)).toEqual(['queued', 'queued']); // c2 and c3 fill the pool
      gate.pass('c2');
      await gate.arrived(4);
      expect(gate.arrivals[3]).toBe('normal');
      expect(handles[3]?.status).toBe('queued');
      gate.open();
      await Promise.all(handles);
    });

    it('has no limit where poolSize is 0', async () => {
      await using supervisor = supervise({ poolSize: 0 });
      await using gate = await Gate.create();
      const submit = labeled(gate, supervisor);
      const handles = Array.from({ length: 7 }, (_, n) => submit('low', `low ${n}`));
      await gate.arrived(7);
      expect(supervisor.getInfo()[pool]).toMatchObject({ poolSize: 0, running: 7 });
      gate.open();
      await Promise.all(handles);
    });

    it('refuses what would wait beyond maxQueued, and says when there is room', async () => {
      await using supervisor = supervise(one, { maxQueued: 2 });
      await using gate = await Gate.create();
      const submit = labeled(gate, supervisor);
      await supervisor.capacity();
      const running = submit('normal', 'running');
      await gate.arrived(1);
      const waiting = [submit('normal', 'w1'), submit('normal', 'w2')];
      const refused = submit('normal', 'refused');
      expect(refused.status).toBe('failed');
      const error = await failure(refused);
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'QUEUE_FULL', taskId: refused.id });

      let hasRoom = false;
      const room = supervisor.capacity().then(() => {
        hasRoom = true;
      });
      const delayed = add.with({ type, supervisor, delayMs: dayMs })(1, 1);
      expect(await failure(delayed)).toMatchObject({ code: 'QUEUE_FULL' });
      expect(hasRoom).toBe(false);
      gate.pass('running');
      await running;
      await room;
      const taken = submit('normal', 'taken');
      expect(taken.status).toBe('queued');
      gate.open();
      await Promise.all([...waiting, taken]);
    });

    it('takes a critical task that starts at once, though the queue is full', async () => {
      await using supervisor = supervise(one, { maxQueued: 1 });
      await using gate = await Gate.create();
      const submit = labeled(gate, supervisor);
      const handles = [submit('normal', 'runs')];
      await gate.arrived(1);
      handles.push(submit('normal', 'waits'), submit('critical', 'urgent'));
      await gate.arrived(2);
      expect(gate.arrivals).toEqual(['runs', 'urgent']);
      gate.open();
      await Promise.all(handles);
    });

    it('lets those who wait for room go on by their priority', async () => {
      await using supervisor = supervise(one, { maxQueued: 1 });
      await using gate = await Gate.create();
      const submit = labeled(gate, supervisor);
      const handles = [submit('normal', 'runs')];
      await gate.arrived(1);
      handles.push(submit('normal', 'waits'));
      const order: Priority[] = [];
      const rooms = (['low', 'critical', 'normal'] as const).map(async (priority) => {
        await supervisor.capacity(priority);
        order.push(priority);
        handles.push(submit('normal', priority));
      });
      gate.open();
      await Promise.all(rooms);
      expect(order).toEqual(['critical', 'normal', 'low']);
      await Promise.all(handles);
    });
  });

  describe(`the ${type} lane: events`, () => {
    it('tells of a life in order, each after the state has changed', async () => {
      await using supervisor = supervise();
      const life: [string, TaskInfo['status']][] = [];
      const names = ['task:queued', 'task:started', 'task:progress', 'task:completed'] as const;
      const last: { result?: unknown } = {};
      for (const name of names) supervisor.on(name, ({ task }) => life.push([name, task.status]));
      supervisor.on('task:completed', ({ task, result }) => {
        expect(task.endReason).toBe('completed');
        last.result = result;
      });
      await reports.with({ type, supervisor })([1]);
      expect(life).toEqual([
        ['task:queued', 'queued'],
        ['task:started', 'started'],
        ['task:progress', 'started'],
        ['task:completed', 'completed'],
      ]);
      expect(last.result).toBe(1);
    });

    it('tells of failures and cancels with their error', async () => {
      await using supervisor = supervise();
      const failed = heard(supervisor, 'task:failed');
      const canceled = heard(supervisor, 'task:canceled');
      const first = throwsAtOnce.with({ type, supervisor })('broken');
      const second = add.with({ type, supervisor, delayMs: dayMs })(1, 1);
      second.cancel();
      await Promise.allSettled([first, second]);
      expect(await failed).toMatchObject({ task: { id: first.id, status: 'failed' }, error: first.exception });
      expect(await canceled).toMatchObject({ task: { id: second.id, status: 'canceled' }, error: second.exception });
    });
  });
}

function throwHopeless(): never {
  throw new Error('no idea');
}
