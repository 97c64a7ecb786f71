/** Calls that come at the worst moment: from listeners and callbacks, in a grace, to a thread that is about to die. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inspect } from 'node:util';
import { backgroundTask, currentTask, type TaskHandle, TaskSupervisor } from 'taskwarden';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { begun, failure, heard } from '../fixtures/listening.ts';
import { runProgram } from '../fixtures/program.ts';
import { add, echo } from '../fixtures/tasks/echo.ts';
import { cleansUp, Gate, holds } from '../fixtures/tasks/holds.ts';
import { asksWhatWasLeft, counts, diesAfterwards, leavesItsContext } from '../fixtures/tasks/lingers.ts';
import { tellsItsId } from '../fixtures/tasks/sees-itself.ts';
import { spinsOn } from '../fixtures/tasks/spins.ts';
import { throwsAtOnce } from '../fixtures/tasks/throws.ts';

const foreverMs = 2 ** 30;
const one = { poolSize: 1, reserveNormal: 0, reserveHigh: 0, idleTimeoutMs: Infinity };
const types = ['thread', 'loop'] as const;

function superviseOne(): TaskSupervisor {
  return new TaskSupervisor({ logger: false, threads: one, loop: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 } });
}

function sharedWords(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

function raise(words: Int32Array): void {
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
}

describe('a thread that is about to die', () => {
  /** Hands the second task to the thread that the first one has doomed, which never reads of it. */
  async function handToDying(
    supervisor: TaskSupervisor,
    words: Int32Array,
  ): Promise<{ first: TaskHandle<string>; second: TaskHandle<number> }> {
    const death = sharedWords();
    const first = diesAfterwards.with({ supervisor })(death);
    await first;
    const second = counts.with({ supervisor })(words);
    await nextTurn(); // now it was sent
    expect(supervisor.getInfo().threads).toMatchObject({ running: 1, size: 1 });
    raise(death);
    return { first, second };
  }

  it('is not the end of the task that it was given too late', async () => {
    await using supervisor = superviseOne();
    const words = sharedWords();
    const { first, second } = await handToDying(supervisor, words);
    expect(await second).toBe(1);
    expect(second.info).toMatchObject({ status: 'completed', attempt: 1, error: undefined });
    expect(second.info.threadId).not.toBe(first.info.threadId);
    expect(Atomics.load(words, 0)).toBe(1);
  });

  it('is so as often as it happens, also where the thread knows the task', async () => {
    await using supervisor = superviseOne();
    const words = sharedWords();
    for (let n = 1; n <= 3; n += 1) {
      expect(await counts.with({ supervisor })(words)).toBe(1);
      const { second } = await handToDying(supervisor, words);
      expect(await second).toBe(1);
      expect(Atomics.load(words, 0)).toBe(2 * n);
    }
    expect(supervisor.getInfo()).toMatchObject({ submitted: 9, retried: 0, pending: 0, ended: { completed: 9 } });
  });

  it('keeps nobody from canceling the task that it never began', async () => {
    await using supervisor = superviseOne();
    const death = sharedWords();
    const words = sharedWords();
    await counts.with({ supervisor })(words);
    await diesAfterwards.with({ supervisor })(death);
    const handle = counts.with({ supervisor, stopGraceMs: foreverMs })(words);
    await nextTurn();
    expect(handle.cancel('too late')).toBe(true);
    raise(death);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'too late' });
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
    expect(Atomics.load(words, 0)).toBe(1);
  });

  it('does not keep the supervisor from stopping', async () => {
    const supervisor = superviseOne();
    const words = sharedWords();
    const { second } = await handToDying(supervisor, words);
    expect(await supervisor.stop()).toEqual({ finished: 1, canceled: 0, terminated: 0 });
    expect(second.result).toBe(1);
  });
});

describe('a thread that an ended task keeps busy', () => {
  /** Hands a task to a thread that knows it, and that never turns to it. */
  async function handToDeaf(
    supervisor: TaskSupervisor,
    words: Int32Array,
    options: { readonly timeoutMs?: number; readonly stopGraceMs?: number } = {},
  ): Promise<{ handle: TaskHandle<number> }> {
    await counts.with({ supervisor })(words);
    await diesAfterwards.with({ supervisor })(sharedWords());
    const handle = counts.with({ supervisor, ...options })(words);
    await nextTurn(); // now it was sent
    return { handle };
  }

  it('is ended when the task that it was given is canceled', async () => {
    await using supervisor = superviseOne();
    const words = sharedWords();
    const { handle } = await handToDeaf(supervisor, words, { stopGraceMs: 0 });
    expect(handle.cancel('not heard')).toBe(true);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'not heard' });
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
    expect(Atomics.load(words, 0)).toBe(1);
  });

  it('is ended when the task that it was given runs out of time', async () => {
    await using supervisor = superviseOne();
    const { handle } = await handToDeaf(supervisor, sharedWords(), { timeoutMs: 20, stopGraceMs: 0 });
    expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT' });
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
  });

  it('does not keep the supervisor from stopping at once', async () => {
    const supervisor = superviseOne();
    const { handle } = await handToDeaf(supervisor, sharedWords());
    const { finished, canceled, terminated } = await supervisor.stop({ wait: false });
    expect({ finished, others: canceled + terminated }).toEqual({ finished: 0, others: 1 });
    expect(handle.info).toMatchObject({ status: 'canceled', endReason: 'shutdown' });
  });
});

describe('what an ended task has left', () => {
  it('does not see that the next task of its thread is asked to stop', async () => {
    await using supervisor = superviseOne();
    const words = sharedWords();
    expect(await leavesItsContext.with({ supervisor })()).toBe(false);
    const next = asksWhatWasLeft.with({ supervisor, stopGraceMs: foreverMs })(words);
    await begun(next);
    next.cancel();
    await failure(next);
    expect(Atomics.load(words, 0)).toBe(2);
  });

  it('is, where its thread was ended, the time that it has run', async () => {
    await using supervisor = superviseOne();
    const handle = spinsOn.with({ supervisor, timeoutMs: 20, stopGraceMs: 0 })();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT' });
    expect(handle.info.runMs).toBeGreaterThan(0);
  });
});

describe('submitting from a callback, and from a listener,', () => {
  it.each(types)('does not keep the process alive when all has ended (%s)', async (type) => {
    const { code, signal, lines, stderr } = await runProgram('submits-when-told.mjs', { args: [type] });
    expect(stderr).toBe('');
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(lines.toSorted()).toEqual(['after the callback', 'after the listener', 'first']);
  });

  it.each(types)('is waited for by stop() (%s)', async (type) => {
    const supervisor = superviseOne();
    let second: TaskHandle<number> | undefined;
    const callback = () => {
      second = add.with({ supervisor, type })(1, 2);
    };
    await add.with({ supervisor, type, callback })(1, 1);
    expect(await supervisor.stop()).toEqual({ finished: 1, canceled: 0, terminated: 0 });
    expect(second?.result).toBe(3);
  });
});

describe('the status after the call', () => {
  it.each(types)('is queued, also where the task can start at once (%s)', async (type) => {
    await using supervisor = superviseOne();
    await add.with({ supervisor, type })(1, 1);
    const heardOf: string[] = [];
    supervisor.on('task:queued', ({ task }) => heardOf.push(task.status));
    supervisor.on('task:started', ({ task }) => heardOf.push(task.status));
    const handle = add.with({ supervisor, type })(1, 2);
    expect(handle.status).toBe('queued');
    expect(heardOf).toEqual(['queued']);
    expect(await handle).toBe(3);
    expect(heardOf).toEqual(['queued', 'started']);
  });
});

describe('what users throw where nobody expects it', () => {
  const hostile: readonly [string, () => unknown][] = [
    [
      'an object that throws when it is inspected',
      () => ({
        [inspect.custom]() {
          throw new Error('not to be seen');
        },
      }),
    ],
    [
      'an error that throws when its stack is read',
      () =>
        Object.defineProperty(new Error('without a stack'), 'stack', {
          get() {
            throw new Error('no stack');
          },
        }),
    ],
  ];

  it.each(types)('in a logger harms no task (%s)', async (type) => {
    const calls: string[] = [];
    const shout = (line: string): never => {
      calls.push(line);
      throw new Error('the disk is full');
    };
    await using supervisor = new TaskSupervisor({ logger: { warn: shout, error: shout }, threads: one });
    supervisor.on('task:started', () => {
      throw new Error('a bad listener');
    });
    const task = echo.with({ supervisor, type });
    expect([await task(1), await task(2)]).toEqual([1, 2]);
    expect(calls).toHaveLength(2);
    throwsAtOnce.with({ supervisor, type })('and nobody awaits it');
    await heard(supervisor, 'task:failed');
    await nextTurn();
    expect(calls.some((line) => line.includes('nobody awaits it'))).toBe(true);
    expect(await task(3)).toBe(3);
  });

  it.each(hostile)('in a listener or a callback harms no task, and is logged: %s', async (_, make) => {
    const lines: string[] = [];
    const keep = (line: string) => void lines.push(line);
    await using supervisor = new TaskSupervisor({ logger: { warn: keep, error: keep }, threads: one });
    const throwIt = () => {
      throw make();
    };
    for (const event of ['task:queued', 'task:started', 'task:completed'] as const) supervisor.once(event, throwIt);
    expect(await echo.with({ supervisor, callback: throwIt })(1)).toBe(1);
    expect(await echo.with({ supervisor })(2)).toBe(2);
    expect(lines).toHaveLength(4);
    expect(supervisor.getInfo()).toMatchObject({ pending: 0, threads: { running: 0 } });
  });

  it.each(hostile)('in a task that nobody awaits is logged: %s', async (_, make) => {
    const lines: string[] = [];
    const keep = (line: string) => void lines.push(line);
    await using supervisor = new TaskSupervisor({ logger: { warn: keep, error: keep } });
    supervisor.putTask(
      () => {
        throw make();
      },
      { name: 'throwsIt', type: 'loop' },
    );
    await heard(supervisor, 'task:failed');
    await nextTurn();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('task "throwsIt"');
  });
});

describe('cancel in the grace of a timeout', () => {
  it.each(
    types.flatMap((type) => [
      [type, 'cancel()'],
      [type, 'its signal'],
    ]) as readonly ['thread' | 'loop', string][],
  )('ends a task that would have been tried again (%s, by %s)', async (type, by) => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    const controller = new AbortController();
    const retried = vi.fn();
    supervisor.on('task:retried', retried);
    const handle = cleansUp.with({
      supervisor,
      type,
      retries: 5,
      retryDelayMs: 0,
      timeoutMs: 20,
      stopGraceMs: foreverMs,
      signal: controller.signal,
    })(gate.port, 'cleaning');
    await gate.arrived(1); // it was asked to stop
    if (by === 'cancel()') expect(handle.cancel('enough')).toBe(true);
    else controller.abort('enough');
    expect(handle.done).toBe(false);
    gate.open();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
    expect(handle.info).toMatchObject({ status: 'canceled', endReason: 'canceled', attempt: 1 });
    expect(retried).not.toHaveBeenCalled();
    expect(await add.with({ supervisor, type })(1, 1)).toBe(2);
    expect(gate.arrivals).toEqual(['cleaning']);
  });

  it('comes too late for a task without retries', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    const handle = cleansUp.with({ supervisor, timeoutMs: 20, stopGraceMs: foreverMs })(gate.port, 'cleaning');
    await gate.arrived(1);
    handle.cancel('enough');
    gate.open();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT' });
    expect(handle.info.endReason).toBe('timeout');
  });
});

describe('retryIf', () => {
  it.each(types)('may cancel the handle that it is asked about (%s)', async (type) => {
    await using supervisor = superviseOne();
    const retried = vi.fn();
    supervisor.on('task:retried', retried);
    const retryIf = vi.fn(() => handle.cancel('hopeless'));
    const handle: TaskHandle<never> = throwsAtOnce.with({ supervisor, type, retries: 3, retryDelayMs: 0, retryIf })(
      'once',
    );
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'hopeless' });
    expect(handle.info).toMatchObject({ status: 'canceled', attempt: 1 });
    expect(await add.with({ supervisor, type })(1, 1)).toBe(2);
    expect(retryIf).toHaveReturnedTimes(1);
    expect(retryIf).toHaveReturnedWith(true);
    expect(retried).not.toHaveBeenCalled();
    expect(supervisor.getInfo()).toMatchObject({
      pending: 0,
      delayed: 0,
      threads: { running: 0 },
      loop: { running: 0 },
    });
  });

  it.each(types)('may stop the supervisor (%s)', async (type) => {
    const supervisor = superviseOne();
    let report: ReturnType<TaskSupervisor['stop']> | undefined;
    const retryIf = () => {
      report ??= supervisor.stop({ wait: false });
      return true;
    };
    const handle = throwsAtOnce.with({ supervisor, type, retries: 3, retryDelayMs: 0, retryIf })('once');
    expect(await failure(handle)).toMatchObject({ message: 'once' });
    expect(handle.info.attempt).toBe(1);
    expect(await report).toMatchObject({ terminated: 0 });
    expect(supervisor.state).toBe('stopped');
  });
});

describe('an attempt on the event loop that was given up', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([
    ['returns', (lateness: PromiseWithResolvers<string>) => lateness.resolve('late')],
    ['throws', (lateness: PromiseWithResolvers<string>) => lateness.reject(new Error('late'))],
  ] as const)('does not end the next one when it %s at last', async (_, endLate) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await using supervisor = superviseOne();
    const attempts: PromiseWithResolvers<string>[] = [];
    const answers = backgroundTask(
      () => {
        const attempt = promiseWithResolvers<string>();
        attempts.push(attempt);
        return attempt.promise;
      },
      { name: 'answers', type: 'loop', supervisor, retries: 1, retryDelayMs: 10, timeoutMs: 100, stopGraceMs: 10 },
    );
    const handle = answers();
    await heard(supervisor, 'task:started');
    const retried = heard(supervisor, 'task:retried');
    vi.advanceTimersByTime(100); // its time
    await nextTurn();
    vi.advanceTimersByTime(10); // its grace
    expect((await retried).error).toMatchObject({ code: 'TASK_TIMEOUT' });
    const startedAgain = heard(supervisor, 'task:started');
    vi.advanceTimersByTime(20); // the delay, jitter and all
    await startedAgain;
    expect(attempts).toHaveLength(2);
    const [first, second] = attempts as [PromiseWithResolvers<string>, PromiseWithResolvers<string>];
    endLate(first);
    await nextTurn();
    expect(handle.status).toBe('started');
    second.resolve('in time');
    expect(await handle).toBe('in time');
    expect(handle.info.attempt).toBe(2);
    expect(supervisor.getInfo().loop).toMatchObject({ running: 0 });
  });
});

describe('a main thread that is busy for long', () => {
  /** The thread answers while nobody here can hear it. */
  function blockFor(ms: number): void {
    Atomics.wait(sharedWords(), 0, 0, ms);
  }

  it('takes no time from a task that has ended within its own', async () => {
    await using supervisor = superviseOne();
    const words = sharedWords();
    await counts.with({ supervisor })(words);
    const handle = counts.with({ supervisor, timeoutMs: 1_000 })(words);
    await heard(supervisor, 'task:started');
    Atomics.wait(words, 0, 1); // it has counted
    blockFor(1_200);
    expect(await handle).toBe(1);
    expect(handle.info).toMatchObject({ status: 'completed', attempt: 1 });
    expect(handle.info.runMs).toBeLessThan(1_000);
  });

  it('lets no task expire that could start at once', async () => {
    await using supervisor = superviseOne();
    const words = sharedWords();
    await counts.with({ supervisor })(words);
    const handle = counts.with({ supervisor, queueTimeoutMs: 1 })(words);
    blockFor(20);
    expect(await handle).toBe(1);
    expect(Atomics.load(words, 0)).toBe(2);
  });
});

describe('the AsyncLocalStorage of who submitted a task', () => {
  const names = ['alice', 'bob', 'carol'];

  it('is seen by a function on the event loop, also when it had to wait', async () => {
    await using supervisor = superviseOne();
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const callback = () => seen.push(storage.getStore());
    const who = async () => {
      const before = storage.getStore();
      await nextTurn();
      return [before, storage.getStore()];
    };
    const task = backgroundTask(who, { name: 'who', type: 'loop', supervisor, callback });
    const handles = names.map((name) => storage.run(name, () => task()));
    expect(handles.map(({ status }) => status)).toEqual(['queued', 'queued', 'queued']);
    expect(await Promise.all(handles)).toEqual(names.map((name) => [name, name]));
    expect(seen).toEqual(names);
  });

  it('is seen by the callback of a task in a thread, also when it had to wait', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const callback = (label: string) => seen.push([label, storage.getStore()]);
    const task = holds.with({ supervisor, callback });
    const handles = names.map((name) => storage.run(name, () => task(gate.port, name)));
    await gate.arrived(1);
    gate.open();
    await Promise.all(handles);
    expect(seen).toEqual(names.map((name) => [name, name]));
  });
});

describe('the AsyncLocalStorage of a caller', () => {
  const names = ['alice', 'bob', 'carol'];

  it('is seen by its retryIf', async () => {
    await using supervisor = superviseOne();
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const retryIf = (error: unknown) => {
      seen.push([(error as Error).message, storage.getStore()]);
      return false;
    };
    const task = throwsAtOnce.with({ supervisor, retries: 1, retryIf });
    await Promise.all(names.map((name) => storage.run(name, () => failure(task(name)))));
    expect(seen).toEqual(names.map((name) => [name, name]));
  });

  it('is seen by its transfer', async () => {
    await using supervisor = superviseOne();
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const transfer = ([value]: readonly [unknown]) => {
      seen.push([value, storage.getStore()]);
      return [];
    };
    const task = echo.with({ supervisor, transfer });
    await Promise.all(names.map((name) => storage.run(name, () => task(name))));
    expect(seen).toEqual(names.map((name) => [name, name]));
  });

  it.each(types)('is seen by who listens for the progress of a task (%s)', async (type) => {
    await using supervisor = superviseOne();
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const task = tellsItsId.with({ supervisor, type });
    const handles = names.map((name) =>
      storage.run(`who calls for ${name}`, () => {
        const handle = task.with({ taskId: name })();
        return storage.run(name, () => handle.onProgress(({ note }) => seen.push([note, storage.getStore()])));
      }),
    );
    await Promise.all(handles);
    expect(seen).toEqual(names.map((name) => [name, name]));
  });

  it('is seen by who listens in a task for its end, and so is the task', async () => {
    await using supervisor = superviseOne();
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const waits = () =>
      new Promise<void>((resolve) => {
        const { signal } = currentTask();
        signal.addEventListener('abort', () => {
          seen.push([storage.getStore(), currentTask().name]);
          resolve();
        });
        currentTask().progress(0, 'begun');
      });
    const handle = storage.run('alice', () => backgroundTask(waits, { name: 'waits', type: 'loop', supervisor })());
    await begun(handle);
    storage.run('bob', () => handle.cancel());
    await failure(handle);
    expect(seen).toEqual([['alice', 'waits']]);
  });
});

describe('map() on a supervisor where few may wait', () => {
  it.each(types)('gives a result for each of many inputs (%s)', async (type) => {
    await using supervisor = new TaskSupervisor({
      logger: false,
      maxQueued: 4,
      threads: one,
      loop: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 },
    });
    const inputs = Array.from({ length: 50 }, (_, n): [number, number] => [n, 1]);
    const results: number[] = [];
    for await (const result of add.with({ supervisor, type }).map(inputs)) results.push(result);
    expect(results.toSorted((a, b) => a - b)).toEqual(inputs.map(([n]) => n + 1));
    expect(supervisor.getInfo().ended).toMatchObject({ completed: 50, failed: 0 });
  });
});

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** `Promise.withResolvers`, which Node 20 has not. */
function promiseWithResolvers<T>(): PromiseWithResolvers<T> {
  let settle!: Omit<PromiseWithResolvers<T>, 'promise'>;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle };
}
