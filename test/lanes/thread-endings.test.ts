import { backgroundTask, type TaskHandle, TaskSupervisor, TaskwardenError } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { begun, failure, heard } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import { add, echo } from '../fixtures/tasks/echo.ts';
import {
  exhaustsMemory,
  exits,
  exitsBefore,
  exitsLater,
  rejectsUnhandled,
  survivesUncaught,
  throwsUncaught,
} from '../fixtures/tasks/exits.ts';
import { neverLoads as exitsWhileLoading } from '../fixtures/tasks/exits-while-loading.ts';
import { neverLoads as hangsWhileLoading } from '../fixtures/tasks/hangs-while-loading.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import { spins, spinsOn, spinsUntil } from '../fixtures/tasks/spins.ts';
import { throws } from '../fixtures/tasks/throws.ts';
import { neverLoads as throwsWhileLoading } from '../fixtures/tasks/throws-while-loading.ts';
import { countsBytes, handsOverTwice, increments, keeps, returnsFunction } from '../fixtures/tasks/transfers.ts';

const foreverMs = 2 ** 30;

const shared = new SharedSupervisors();

const optionsOf = (options: object) => ({
  logger: false as const,
  threads: { poolSize: 1, reserveNormal: 0, reserveHigh: 0, idleTimeoutMs: Infinity, ...options },
});

/** One thread for all but critical tasks. */
function superviseOne(options = {}): TaskSupervisor {
  return new TaskSupervisor(optionsOf(options));
}

/** One thread, which may have run tasks of other tests. */
function superviseShared(): TaskSupervisor {
  return shared.take(optionsOf({}));
}

async function threadOf(handle: TaskHandle<unknown>): Promise<number | undefined> {
  await handle.catch(() => {});
  return handle.info.threadId;
}

describe('the death of a thread', () => {
  it.each([0, 1, 42])('by process.exit(%d) fails its task, and the next one has another thread', async (code) => {
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'thread:exited');
    const handle = exits.with({ supervisor })(code);
    const waiting = add.with({ supervisor })(1, 2);
    const error = await failure(handle);
    expect(error).toBeInstanceOf(TaskwardenError);
    expect(error).toMatchObject({ code: 'TASK_CRASHED', exitCode: code, taskId: handle.id });
    expect(handle.info).toMatchObject({ status: 'failed', endReason: 'crashed', error });
    expect(await exited).toMatchObject({ threadId: handle.info.threadId, exitCode: code });
    expect(await waiting).toBe(3);
    expect(waiting.info.threadId).not.toBe(handle.info.threadId);
  });

  it.each([
    ['an uncaught exception', throwsUncaught, RangeError, 'LATE'],
    ['an unhandled rejection', rejectsUnhandled, TypeError, undefined],
  ] as const)('by %s fails its task with that as the cause', async (_, task, errorClass, code) => {
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'thread:exited');
    const handle = task.with({ supervisor })('out of reach');
    const error = await failure(handle);
    expect(error).toMatchObject({ code: 'TASK_CRASHED', exitCode: 1 });
    const { cause } = error as Error;
    expect(cause).toBeInstanceOf(errorClass);
    expect((cause as Error).message).toBe('out of reach');
    expect((cause as { code?: string }).code).toBe(code);
    expect((error as Error).message).toContain('out of reach');
    expect((await exited).cause).toBe(cause);
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
  });

  it('has no other thread started for it: that is left to the next task', async () => {
    let started = 0;
    const count = () => {
      started += 1;
    };
    process.on('worker', count);
    try {
      await using supervisor = superviseOne();
      await failure(exits.with({ supervisor })(1));
      expect(started).toBe(1);
      await failure(throwsUncaught.with({ supervisor })('late'));
      expect(started).toBe(2);
      await failure(
        exhaustsMemory.with({
          supervisor: supervisor.configure({ threads: { resourceLimits: { maxOldGenerationSizeMb: 48 } } }),
        })(),
      );
      expect(started).toBe(3);
      expect(await add.with({ supervisor })(1, 2)).toBe(3);
      expect(started).toBe(4);
    } finally {
      process.off('worker', count);
    }
  });

  it('is not blamed on an exception that the task module has caught before', async () => {
    await using supervisor = superviseShared();
    expect(await survivesUncaught.with({ supervisor })()).toBe('survived');
    const error = (await failure(exits.with({ supervisor })(3))) as Error;
    expect(error).toMatchObject({ code: 'TASK_CRASHED', exitCode: 3 });
    expect(error.message).not.toContain('caught by the module');
    expect(error.cause).toBeUndefined();
  });

  it('for want of memory fails its task, and harms no other thread', async () => {
    await using supervisor = new TaskSupervisor({
      logger: false,
      threads: { poolSize: 2, resourceLimits: { maxOldGenerationSizeMb: 48 } },
    });
    await using gate = await Gate.create();
    const neighbour = holds.with({ supervisor })(gate.port, 'neighbour');
    await gate.arrived(1);
    const error = await failure(exhaustsMemory.with({ supervisor })());
    expect(error).toMatchObject({ code: 'TASK_CRASHED', cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' } });
    gate.open();
    expect(await neighbour).toBe('neighbour');
  });

  it('harms neither its neighbours nor those that wait', async () => {
    await using supervisor = new TaskSupervisor({ logger: false, threads: { poolSize: 2, reserveNormal: 0 } });
    await using gate = await Gate.create();
    const neighbour = holds.with({ supervisor })(gate.port, 'neighbour');
    await gate.arrived(1);
    const handles = Array.from({ length: 12 }, (_, n) =>
      n % 3 === 0 ? exits.with({ supervisor })(n + 1) : add.with({ supervisor })(n, 1),
    );
    const outcomes = await Promise.allSettled(handles);
    expect(outcomes.map(({ status }) => status)).toEqual(
      Array.from({ length: 12 }, (_, n) => (n % 3 === 0 ? 'rejected' : 'fulfilled')),
    );
    expect(neighbour.done).toBe(false);
    gate.open();
    expect(await neighbour).toBe('neighbour');
  });

  it('while it is idle is told of, and the next task has another thread', async () => {
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'thread:exited');
    const handle = exitsLater.with({ supervisor })();
    expect(await handle).toBe('done');
    expect(await exited).toMatchObject({ threadId: handle.info.threadId, exitCode: 9 });
    expect(handle.info.status).toBe('completed');
    expect(supervisor.getInfo().threads.size).toBe(0);
    const next = add.with({ supervisor })(1, 1);
    expect(await next).toBe(2);
    expect(next.info.threadId).not.toBe(handle.info.threadId);
  });

  it('while it is idle has it replaced where minSize wants it', async () => {
    await using supervisor = superviseOne({ minSize: 1 });
    await supervisor.ready();
    const exited = heard(supervisor, 'thread:exited');
    await exitsLater.with({ supervisor })();
    const { threadId } = await exited;
    const started = await heard(supervisor, 'thread:started');
    expect(started.threadId).not.toBe(threadId);
    expect(supervisor.getInfo().threads.size).toBe(1);
  });
});

describe('crashRetries', () => {
  it('run a task again whose thread died, apart from its retries', async () => {
    await using supervisor = superviseShared();
    const retried: unknown[] = [];
    supervisor.on('task:retried', ({ error, task }) => retried.push([(error as TaskwardenError).code, task.attempt]));
    const handle = exitsBefore.with({ supervisor, crashRetries: 2 })(3);
    expect(await handle).toBe(3);
    expect(retried).toEqual([
      ['TASK_CRASHED', 1],
      ['TASK_CRASHED', 2],
    ]);
    expect(handle.info).toMatchObject({ status: 'completed', attempt: 3 });
  });

  it('are counted', async () => {
    await using supervisor = superviseShared();
    const handle = exitsBefore.with({ supervisor, crashRetries: 1 })(9);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CRASHED', exitCode: 7 });
    expect(handle.info).toMatchObject({ endReason: 'crashed', attempt: 2 });
  });

  it('are not retries: those never run a task again whose thread died', async () => {
    await using supervisor = superviseShared();
    const handle = exitsBefore.with({ supervisor, retries: 5, retryDelayMs: 0 })(2);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CRASHED' });
    expect(handle.info.attempt).toBe(1);
  });
});

describe('a task', () => {
  it('that is asked to stop knows the reason by the class that it imports', async () => {
    const says = backgroundTask(async function says() {
      const { currentTask, TaskwardenError: Imported } = await import('taskwarden');
      const task = currentTask();
      const { signal } = task;
      task.progress(0);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      task.progress(1, String(signal.reason instanceof Imported));
    });
    await using supervisor = superviseShared();
    const handle = says.with({ supervisor })();
    const last = new Promise((resolve) => {
      handle.onProgress(({ note }) => {
        if (note === undefined) handle.cancel();
        else resolve(note);
      });
    });
    await failure(handle);
    expect(await last).toBe('true');
  });
});

describe('a task that keeps its thread busy', () => {
  it('sees its stop flag in a synchronous loop, and keeps its thread', async () => {
    await using supervisor = superviseShared();
    const handle = spins.with({ supervisor, stopGraceMs: foreverMs })();
    await begun(handle);
    handle.cancel('enough');
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
    expect(await threadOf(add.with({ supervisor })(1, 1))).toBe(handle.info.threadId);
  });

  it('sees it when it runs out of time', async () => {
    await using supervisor = superviseShared();
    const handle = spins.with({ supervisor, timeoutMs: 50, stopGraceMs: foreverMs })();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 50 });
    expect(await threadOf(add.with({ supervisor })(1, 1))).toBe(handle.info.threadId);
  });

  it('and never looks is ended after its grace, with its thread, which is replaced', async () => {
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'thread:exited');
    const handle = spinsOn.with({ supervisor, stopGraceMs: 20 })();
    await begun(handle);
    const next = add.with({ supervisor })(1, 1);
    handle.cancel();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    expect(handle.info).toMatchObject({ status: 'canceled', endReason: 'canceled' });
    expect((await exited).threadId).toBe(handle.info.threadId);
    expect(await next).toBe(2);
    expect(next.info.threadId).not.toBe(handle.info.threadId);
  });

  it('and never looks is ended after its timeout and its grace', async () => {
    await using supervisor = superviseShared();
    const handle = spinsOn.with({ supervisor, timeoutMs: 30, stopGraceMs: 20 })();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT' });
    expect(handle.info).toMatchObject({ status: 'failed', endReason: 'timeout' });
    expect(await threadOf(add.with({ supervisor })(1, 1))).not.toBe(handle.info.threadId);
  });

  it('is not ended while others are: only its own thread is replaced', async () => {
    await using supervisor = new TaskSupervisor({ logger: false, threads: { poolSize: 2, reserveNormal: 0 } });
    const words = new Int32Array(new SharedArrayBuffer(4));
    const neighbour = spinsUntil.with({ supervisor })(words);
    await begun(neighbour);
    const stubborn = spinsOn.with({ supervisor, stopGraceMs: 0 })();
    await begun(stubborn);
    stubborn.cancel();
    expect(await failure(stubborn)).toMatchObject({ code: 'TASK_CANCELED' });
    expect(neighbour.status).toBe('started');
    Atomics.store(words, 0, 5);
    Atomics.notify(words, 0);
    expect(await neighbour).toBe(5);
  });

  it('can be canceled while its thread is still starting, and then never runs', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    const handle = holds.with({ supervisor })(gate.port, 'never');
    handle.cancel();
    expect(handle.status).toBe('canceled');
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    await add.with({ supervisor })(1, 1);
    expect(gate.arrivals).toEqual([]);
  });
});

describe('what can not be copied', () => {
  it('among the arguments fails the task, says which, and harms no thread', async () => {
    await using supervisor = superviseShared();
    const before = await threadOf(add.with({ supervisor })(1, 1));
    const takesAny = add.with({ supervisor, retries: 3, retryDelayMs: 0 }) as unknown as (
      ...args: unknown[]
    ) => TaskHandle<unknown>;
    const handle = takesAny(1, () => 2);
    const error = await failure(handle);
    expect(error).toBeInstanceOf(TaskwardenError);
    expect(error).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE', cause: { name: 'DataCloneError' } });
    expect((error as Error).message).toContain('argument 2');
    expect(handle.info).toMatchObject({ status: 'failed', endReason: 'failed' });
    expect(await threadOf(add.with({ supervisor })(1, 1))).toBe(before);
  });

  it('in the result fails the task, without a retry, and harms no thread', async () => {
    await using supervisor = superviseShared();
    const handle = returnsFunction.with({ supervisor, retries: 3, retryDelayMs: 0 })();
    const error = await failure(handle);
    expect(error).toBeInstanceOf(TaskwardenError);
    expect(error).toMatchObject({ code: 'RESULT_NOT_CLONEABLE' });
    expect(handle.info.attempt).toBe(1);
    expect(await threadOf(add.with({ supervisor })(1, 1))).toBe(handle.info.threadId);
  });

  it('in a field of an error is a text there, and the error arrives', async () => {
    await using supervisor = superviseShared();
    const error = await failure(throws.with({ supervisor })('uncloneable'));
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ message: 'with a function', url: 'http://example.org', retry: expect.any(String) });
  });
});

describe('a module', () => {
  it('that throws as it loads fails its task after its retries, and leaves no thread too many', async () => {
    await using supervisor = superviseShared();
    const handle = throwsWhileLoading.with({ supervisor, retries: 3, retryDelayMs: 0 })();
    const error = await failure(handle);
    expect(error).toBeInstanceOf(TaskwardenError);
    expect(error).toMatchObject({ code: 'MODULE_LOAD_FAILED', cause: { message: 'not on a weekday' } });
    expect((error as Error).cause).toBeInstanceOf(RangeError);
    expect((error as Error).message).toContain('throws-while-loading.');
    const { size } = supervisor.getInfo().threads;
    expect(size).toBe(1);
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
  });

  it('that exits as it loads fails its task, and is not loaded for ever', async () => {
    await using supervisor = superviseOne();
    let deaths = 0;
    supervisor.on('thread:exited', () => {
      deaths += 1;
    });
    const handle = exitsWhileLoading.with({ supervisor })();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CRASHED', exitCode: 11 });
    expect(handle.info.endReason).toBe('crashed');
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
    expect(deaths).toBe(1);
  });

  it('that never ends loading can be canceled, and does not keep its thread', async () => {
    await using supervisor = superviseOne();
    const handle = hangsWhileLoading.with({ supervisor, stopGraceMs: 10 })();
    await heard(supervisor, 'thread:started');
    const next = add.with({ supervisor })(1, 1);
    handle.cancel('enough');
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
    expect(handle.info.attempt).toBe(0);
    expect(await next).toBe(2);
  });

  it('that exits as it loads does not break the lane, however many of its tasks there are', async () => {
    await using supervisor = superviseOne();
    const handles = Array.from({ length: 6 }, () => exitsWhileLoading.with({ supervisor })());
    const codes = await Promise.all(handles.map(async (handle) => ((await failure(handle)) as TaskwardenError).code));
    expect(codes).toEqual(new Array(6).fill('TASK_CRASHED'));
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
  });
});

describe('transfer', () => {
  it('hands an argument over, and transferred() a result, without a copy', async () => {
    await using supervisor = superviseShared();
    const bytes = new Uint8Array([1, 2, 3]);
    const { buffer } = bytes;
    const handle = increments.with({ supervisor })(bytes);
    const result = await handle;
    expect(result).toEqual(new Uint8Array([2, 3, 4]));
    expect(buffer.byteLength).toBe(0);
    const first = await keeps.with({ supervisor })(1_000);
    expect(first).toEqual({ before: undefined, bytes: new Uint8Array(1_000) });
    expect((await keeps.with({ supervisor })(10)).before).toBe(0);
  });

  it('is a copy without the option', async () => {
    await using supervisor = superviseShared();
    const buffer = new ArrayBuffer(64);
    expect(await countsBytes.with({ supervisor })(buffer)).toBe(64);
    expect(buffer.byteLength).toBe(64);
  });

  it('is a copy where the task may need its arguments again', async () => {
    await using supervisor = superviseShared();
    const bytes = new Uint8Array([7]);
    for (const again of [{ retries: 1 }, { crashRetries: 1 }]) {
      expect(await increments.with({ supervisor, ...again })(bytes)).toEqual(new Uint8Array([8]));
      expect(bytes).toEqual(new Uint8Array([7]));
    }
  });

  it('leaves the buffer where it is on the event loop', async () => {
    await using supervisor = superviseShared();
    const bytes = new Uint8Array([7]);
    expect(await increments.with({ supervisor, type: 'loop' })(bytes)).toBe(bytes);
    expect(bytes).toEqual(new Uint8Array([8]));
  });

  it.each([
    ['a view', () => new Uint8Array([7]), increments],
    ['a buffer', () => new ArrayBuffer(1), countsBytes.with({ transfer: ([buffer]) => [buffer] })],
  ] as const)('fails a task that is given %s that was handed over before', async (_, make, task) => {
    await using supervisor = superviseShared();
    const argument = make() as never;
    await task.with({ supervisor })(argument);
    expect(await failure(task.with({ supervisor })(argument))).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
  });

  it('fails a task that hands back what it has handed back before', async () => {
    await using supervisor = superviseShared();
    expect(await handsOverTwice.with({ supervisor })()).toEqual(new Uint8Array([1, 2]));
    expect(await failure(handsOverTwice.with({ supervisor })())).toMatchObject({ code: 'RESULT_NOT_CLONEABLE' });
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
  });

  it('fails a task whose transfer option throws, and no other', async () => {
    await using supervisor = superviseShared();
    const transfer = () => {
      throw new Error('no list');
    };
    const handle = countsBytes.with({ supervisor, transfer })(new ArrayBuffer(8));
    const next = add.with({ supervisor })(1, 1);
    const error = (await failure(handle)) as Error;
    expect(`${error.message} ${String(error.cause)}`).toContain('no list');
    expect(await next).toBe(2);
  });

  it('fails a task whose transfer option throws, or whose argument does, what has no text', async () => {
    await using supervisor = superviseShared();
    const refuse = () => {
      throw Object.create(null);
    };
    const message = Object.defineProperty(new Error('m'), 'message', { get: refuse });
    const failures = [
      countsBytes.with({ supervisor, transfer: refuse })(new ArrayBuffer(8)),
      echo.with({ supervisor })(Object.defineProperty({}, 'total', { enumerable: true, get: refuse })),
      echo.with({ supervisor })({
        get total() {
          throw message;
        },
      }),
    ];
    const next = add.with({ supervisor })(1, 1);
    for (const handle of failures) expect(await failure(handle)).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
    expect(await next).toBe(2);
  });

  it('shares memory that is meant to be shared', async () => {
    await using supervisor = superviseShared();
    const words = new Int32Array(new SharedArrayBuffer(4));
    const handle = spinsUntil.with({ supervisor })(words);
    await begun(handle);
    Atomics.store(words, 0, 3);
    Atomics.notify(words, 0);
    expect(await handle).toBe(3);
  });
});

describe('threads that die as they start', () => {
  const bad = { execArgv: ['--no-such-option'] };

  it('are not started for ever: their tasks fail with LANE_BROKEN and the cause', async () => {
    await using supervisor = superviseOne(bad);
    const handles = [add.with({ supervisor })(1, 1), add.with({ supervisor })(2, 2)];
    for (const handle of handles) {
      const error = await failure(handle);
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'LANE_BROKEN' });
      expect((error as Error).cause).toBeInstanceOf(Error);
      expect(handle.info).toMatchObject({ status: 'failed', endReason: 'failed', attempt: 0 });
    }
    expect(supervisor.getInfo()).toMatchObject({ pending: 0, threads: { size: 0, running: 0 } });
  });

  it('make ready() fail', async () => {
    await using supervisor = superviseOne({ ...bad, minSize: 1 });
    expect(await failure(supervisor.ready())).toMatchObject({ code: 'LANE_BROKEN' });
  });

  it('leave the event loop as it is', async () => {
    await using supervisor = superviseOne(bad);
    await failure(add.with({ supervisor })(1, 1));
    expect(await add.with({ supervisor, type: 'loop' })(1, 1)).toBe(2);
  });

  it('are forgotten after configure()', async () => {
    await using supervisor = superviseOne(bad);
    await failure(add.with({ supervisor })(1, 1));
    supervisor.configure({ threads: { execArgv: [] } });
    expect(await add.with({ supervisor })(1, 1)).toBe(2);
  });
});

describe('the environment of threads', () => {
  const readsEnv = backgroundTask(async (name: string) => process.env[name], { name: 'readsEnv' });

  it('is a copy of the process environment, or what the option says', async () => {
    process.env['TASKWARDEN_TEST'] = 'from the process';
    await using plain = superviseOne();
    expect(await readsEnv.with({ supervisor: plain })('TASKWARDEN_TEST')).toBe('from the process');
    await using given = superviseOne({ env: { TASKWARDEN_TEST: 'from the option' } });
    expect(await readsEnv.with({ supervisor: given })('TASKWARDEN_TEST')).toBe('from the option');
    delete process.env['TASKWARDEN_TEST'];
  });

  it('takes execArgv', async () => {
    await using supervisor = superviseOne({ execArgv: ['--no-warnings'] });
    expect(await supervisor.putTask(async () => process.execArgv, { name: 'args' })).toEqual(['--no-warnings']);
  });
});

describe('many tasks at once', () => {
  it('keep their own results where threads die among them', async () => {
    await using supervisor = new TaskSupervisor({ logger: false, threads: { poolSize: 2 } });
    const handles = Array.from({ length: 400 }, (_, n) =>
      n % 160 === 40 ? exits.with({ supervisor })(n) : echo.with({ supervisor })(n),
    );
    const outcomes = await Promise.allSettled<unknown>(handles);
    outcomes.forEach((outcome, n) => {
      if (n % 160 === 40) expect(outcome).toMatchObject({ status: 'rejected', reason: { exitCode: n } });
      else expect(outcome).toEqual({ status: 'fulfilled', value: n });
    });
  });
});
