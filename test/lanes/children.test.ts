/** What only the process lane does: children are processes, and their ends are ends of processes. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type TaskHandle, type TaskOptions, TaskSupervisor, TaskwardenError, tasksFrom } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { begun, failure, heard, interceptStderr } from '../fixtures/listening.ts';
import { Program, runProgram } from '../fixtures/program.ts';
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
import { exitsWhileLoading } from '../fixtures/tasks/exits-where-told.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import {
  aborts,
  cleansUpAtSigterm,
  fills,
  kills,
  leavesAnother,
  outlivesSigterm,
  returnsBytes,
  saysWhere,
  seesBytes,
  spinsAtSigterm,
  throwsShared,
} from '../fixtures/tasks/processes.ts';
import { makeRecorded, type RecordedAct, Records, recorded } from '../fixtures/tasks/recorded.ts';
import { spins, spinsOn } from '../fixtures/tasks/spins.ts';
import { returnsFunction } from '../fixtures/tasks/transfers.ts';

const foreverMs = 2 ** 30;
const type = 'process';
const hasProc = existsSync('/proc/self/stat');

const shared = new SharedSupervisors();

const optionsOf = (poolSize: number, options: object) => ({
  logger: false as const,
  processes: { poolSize, reserveNormal: 0, reserveHigh: 0, idleTimeoutMs: Infinity, ...options },
});

/** One child for all but critical tasks. */
function superviseOne(options = {}): TaskSupervisor {
  return superviseMany(1, options);
}

function superviseMany(poolSize: number, options = {}): TaskSupervisor {
  return new TaskSupervisor(optionsOf(poolSize, options));
}

/** Children that may have run tasks of other tests. */
function superviseShared(poolSize = 1, options = {}): TaskSupervisor {
  return shared.take(optionsOf(poolSize, options));
}

function pidOf(supervisor: TaskSupervisor): Promise<number> {
  return supervisor.putTask(async () => process.pid, { name: 'pid', type });
}

/** Also true of a process that has ended, and whose parent does not know that: a zombie. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A child whose parent has ended belongs to the first process of the system, and how soon that takes note of its end is no concern of ours. */
async function ended(pid: number): Promise<void> {
  while (isThere(pid) && statOf(pid)?.state !== 'Z') await pause(5);
}

/** From the system, where it has /proc. */
function statOf(pid: number | string): { state: string; parent: number } | undefined {
  try {
    const [state = '', parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

/** The processes whose parent this one is, zombies among them. */
function ownChildren(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && statOf(name)?.parent === process.pid);
}

/** The path of a file that a task may leave. */
class Leaving implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'taskwarden-test-'));
  readonly path: string = join(this.#folder, 'left');

  get text(): string | undefined {
    return existsSync(this.path) ? readFileSync(this.path, 'utf8') : undefined;
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

describe('a child', () => {
  it('is a process, and its id is told by the task and by events', async () => {
    await using supervisor = superviseShared();
    const started = heard(supervisor, 'child:started');
    const handle = saysWhere.with({ type, supervisor })();
    const { pid } = await handle;
    expect(pid).not.toBe(process.pid);
    expect(handle.info).toMatchObject({ type: 'process', pid, threadId: undefined });
    expect(await started).toEqual({ pid });
    const exited = heard(supervisor, 'child:exited');
    await supervisor.stop();
    expect(await exited).toEqual({ pid, exitCode: 0, signal: undefined, cause: undefined });
  });

  it('runs the next task, too', async () => {
    await using supervisor = superviseShared();
    expect(await pidOf(supervisor)).toBe(await pidOf(supervisor));
  });

  it('has no channel to its parent, and is not ended by a module that would use one', async () => {
    await using supervisor = superviseShared();
    const module = new URL('../fixtures/tasks/greets-its-parent.js', import.meta.url);
    const { greetsItsParent } = tasksFrom<{ greetsItsParent(): unknown }>(module, { supervisor, type });
    expect(await greetsItsParent()).toEqual({ connected: false, left: [] });
  });

  it('is used by every way to submit: with(), callbacks, putTask(), map()', async () => {
    await using supervisor = superviseOne();
    const results: number[] = [];
    results.push(await add.with({ type: 'process', supervisor })(1, 2));
    const called = new Promise<number>((resolve) => {
      void add.with({ type, supervisor, callback: resolve })(3, 4);
    });
    results.push(await called);
    results.push(await supervisor.putTask(add, { args: [5, 6], type }));
    for await (const sum of add.with({ type, supervisor }).map([[7, 8]])) results.push(sum);
    expect(results).toEqual([3, 7, 11, 15]);
    expect(supervisor.getTasks().map((task) => task.type)).toEqual(new Array(4).fill('process'));
  });
});

describe('the death of a child', () => {
  it.each([0, 1, 42])('by process.exit(%d) fails its task with the exit code, and no signal', async (code) => {
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'child:exited');
    const handle = exits.with({ type, supervisor })(code);
    const waiting = add.with({ type, supervisor })(1, 2);
    const error = (await failure(handle)) as TaskwardenError;
    expect(error).toBeInstanceOf(TaskwardenError);
    expect(error).toMatchObject({ code: 'TASK_CRASHED', exitCode: code, taskId: handle.id });
    expect(error.signal).toBeUndefined();
    expect(error.cause).toBeUndefined();
    expect(handle.info).toMatchObject({ status: 'failed', endReason: 'crashed', error });
    expect(await exited).toEqual({ pid: handle.info.pid, exitCode: code, signal: undefined, cause: undefined });
    expect(await waiting).toBe(3);
    expect(waiting.info.pid).not.toBe(handle.info.pid);
  });

  it.each([
    ['process.abort()', () => aborts, 'SIGABRT', 'Native stack trace'],
    ['SIGKILL', () => kills, 'SIGKILL', ''],
    ['SIGTERM that nobody of taskwarden sent', () => kills, 'SIGTERM', ''],
  ] as const)('by %s fails its task with the signal, and no exit code', async (_, task, signal, lastWords) => {
    const prints = interceptStderr();
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'child:exited');
    const handle = (task() as typeof kills).with({ type, supervisor })(signal);
    const error = (await failure(handle)) as TaskwardenError;
    expect(error).toMatchObject({ code: 'TASK_CRASHED', signal });
    expect(error.exitCode).toBeUndefined();
    expect(error.message).toContain(signal);
    expect(await exited).toEqual({ pid: handle.info.pid, exitCode: undefined, signal, cause: undefined });
    expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
    await prints(lastWords);
  });

  it('by SIGKILL from outside, while it is busy, fails its task with the signal', async () => {
    await using supervisor = superviseShared();
    const handle = spinsOn.with({ type, supervisor })();
    await begun(handle);
    process.kill(handle.info.pid as number, 'SIGKILL');
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CRASHED', signal: 'SIGKILL' });
    expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
  });

  it.each([
    ['an uncaught exception', throwsUncaught, RangeError, 'LATE'],
    ['an unhandled rejection', rejectsUnhandled, TypeError, undefined],
  ] as const)('by %s fails its task with that as the cause', async (_, task, errorClass, code) => {
    const prints = interceptStderr();
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'child:exited');
    const handle = task.with({ type, supervisor })('out of reach');
    const error = await failure(handle);
    expect(error).toMatchObject({ code: 'TASK_CRASHED', exitCode: 1 });
    const { cause } = error as Error;
    expect(cause).toBeInstanceOf(errorClass);
    expect((cause as Error).message).toBe('out of reach');
    expect((cause as { code?: string }).code).toBe(code);
    expect((error as Error).message).toContain('out of reach');
    expect((await exited).cause).toBe(cause);
    expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
    await prints('out of reach');
  });

  it('is not blamed on an exception that the task module has caught before', async () => {
    await using supervisor = superviseShared();
    expect(await survivesUncaught.with({ type, supervisor })()).toBe('survived');
    const error = (await failure(exits.with({ type, supervisor })(3))) as Error;
    expect(error).toMatchObject({ code: 'TASK_CRASHED', exitCode: 3 });
    expect(error.cause).toBeUndefined();
  });

  it.each([
    ['resourceLimits', { resourceLimits: { maxOldGenerationSizeMb: 24 } }],
    ['execArgv', { execArgv: ['--max-old-space-size=24'] }],
  ])('for want of memory, which %s limit, fails its task, and harms no other child', async (_, options) => {
    const prints = interceptStderr();
    await using supervisor = superviseMany(2, options);
    await using gate = await Gate.create();
    const neighbour = holds.with({ type, supervisor })(gate.port, 'neighbour');
    await gate.arrived(1);
    const error = await failure(exhaustsMemory.with({ type, supervisor })());
    expect(error).toMatchObject({ code: 'TASK_CRASHED', signal: expect.stringMatching(/^SIG/) });
    gate.open();
    expect(await neighbour).toBe('neighbour');
    expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
    await prints('heap out of memory');
  });

  it('harms neither its neighbours nor those that wait', async () => {
    await using supervisor = superviseShared(2);
    await using gate = await Gate.create();
    const neighbour = holds.with({ type, supervisor })(gate.port, 'neighbour');
    await gate.arrived(1);
    const handles = Array.from({ length: 9 }, (_, n) =>
      n % 3 === 0 ? exits.with({ type, supervisor })(n + 1) : add.with({ type, supervisor })(n, 1),
    );
    const outcomes = await Promise.allSettled(handles);
    outcomes.forEach((outcome, n) => {
      if (n % 3 === 0) expect(outcome).toMatchObject({ status: 'rejected', reason: { exitCode: n + 1 } });
      else expect(outcome).toEqual({ status: 'fulfilled', value: n + 1 });
    });
    expect(neighbour.done).toBe(false);
    gate.open();
    expect(await neighbour).toBe('neighbour');
  });

  it('while it is idle is told of, and the next task has another child', async () => {
    await using supervisor = superviseShared();
    const pid = await pidOf(supervisor);
    const exited = heard(supervisor, 'child:exited');
    process.kill(pid, 'SIGKILL');
    expect(await exited).toMatchObject({ pid, signal: 'SIGKILL' });
    expect(supervisor.getInfo().processes.size).toBe(0);
    expect(await pidOf(supervisor)).not.toBe(pid);
  });

  it('while it is idle, by what a task left behind, changes nothing about the task', async () => {
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'child:exited');
    const handle = exitsLater.with({ type, supervisor })();
    expect(await handle).toBe('done');
    expect(await exited).toMatchObject({ pid: handle.info.pid, exitCode: 9 });
    expect(handle.info.status).toBe('completed');
  });

  it('while it is idle has it replaced where minSize wants it', async () => {
    await using supervisor = superviseOne({ minSize: 1 });
    const first = heard(supervisor, 'child:started');
    await supervisor.ready();
    const { pid } = await first;
    await pidOf(supervisor); // a child that has never answered is not replaced for ever
    const next = heard(supervisor, 'child:started');
    process.kill(pid, 'SIGKILL');
    expect((await next).pid).not.toBe(pid);
    expect(supervisor.getInfo().processes.size).toBe(1);
  });

  it('is heard of, though another process keeps its pipe open', async () => {
    await using supervisor = superviseShared();
    const handle = leavesAnother.with({ type, supervisor })(6);
    const other = Number((await begun(handle)).note);
    try {
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CRASHED', exitCode: 6 });
      expect(isThere(other)).toBe(true);
    } finally {
      process.kill(other, 'SIGKILL');
    }
  });

  it('as its module loads fails its task, and no other', async () => {
    await using supervisor = superviseOne({ env: { ...process.env, TASKWARDEN_TEST_EXIT_CODE: '11' } });
    const handles = Array.from({ length: 2 }, () => exitsWhileLoading.with({ type, supervisor })());
    const errors = await Promise.all(handles.map(failure));
    expect(errors).toMatchObject(new Array(2).fill({ code: 'TASK_CRASHED', exitCode: 11 }));
    expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
  });

  it('leaves the results of many tasks as they are', async () => {
    await using supervisor = superviseShared(2);
    const handles = Array.from({ length: 200 }, (_, n) =>
      n % 80 === 40 ? exits.with({ type, supervisor })(n) : echo.with({ type, supervisor })(n),
    );
    const outcomes = await Promise.allSettled<unknown>(handles);
    outcomes.forEach((outcome, n) => {
      if (n % 80 === 40) expect(outcome).toMatchObject({ status: 'rejected', reason: { exitCode: n } });
      else expect(outcome).toEqual({ status: 'fulfilled', value: n });
    });
  });
});

describe('crashRetries', () => {
  it('run a task again whose child died, in another child', async () => {
    await using supervisor = superviseShared();
    const retried: unknown[] = [];
    supervisor.on('task:retried', ({ error, task }) => retried.push([(error as TaskwardenError).code, task.attempt]));
    const pids: number[] = [];
    supervisor.on('child:started', ({ pid }) => pids.push(pid));
    expect(await exitsBefore.with({ type, supervisor, crashRetries: 2 })(3)).toBe(3);
    expect(retried).toEqual([
      ['TASK_CRASHED', 1],
      ['TASK_CRASHED', 2],
    ]);
    expect(new Set(pids).size).toBe(3);
  });

  it('are counted, and the last death fails the task', async () => {
    await using supervisor = superviseShared();
    const handle = kills.with({ type, supervisor, crashRetries: 1 })('SIGKILL');
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CRASHED', signal: 'SIGKILL' });
    expect(handle.info.attempt).toBe(2);
  });
});

describe('a task that keeps its child busy', () => {
  it('sees its stop flag in a synchronous loop, and keeps its child', async () => {
    await using supervisor = superviseShared();
    const handle = spins.with({ type, supervisor, stopGraceMs: foreverMs })();
    await begun(handle);
    handle.cancel('enough');
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
    expect(await pidOf(supervisor)).toBe(handle.info.pid);
  });

  it('sees it when it runs out of time', async () => {
    await using supervisor = superviseShared();
    const handle = spins.with({ type, supervisor, timeoutMs: 50, stopGraceMs: foreverMs })();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 50 });
    expect(await pidOf(supervisor)).toBe(handle.info.pid);
  });

  it('and never looks is ended after its grace by SIGTERM, with its child, which is replaced', async () => {
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'child:exited');
    const handle = spinsOn.with({ type, supervisor, stopGraceMs: 20 })();
    await begun(handle);
    const next = add.with({ type, supervisor })(1, 1);
    handle.cancel();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    expect(handle.info).toMatchObject({ status: 'canceled', endReason: 'canceled' });
    expect(await exited).toMatchObject({ pid: handle.info.pid, signal: 'SIGTERM' });
    expect(await next).toBe(2);
    expect(next.info.pid).not.toBe(handle.info.pid);
  });

  it('and never looks is ended after its timeout and its grace', async () => {
    await using supervisor = superviseShared();
    const handle = spinsOn.with({ type, supervisor, timeoutMs: 30, stopGraceMs: 20 })();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT' });
    expect(handle.info).toMatchObject({ status: 'failed', endReason: 'timeout' });
    expect(isThere(handle.info.pid as number)).toBe(false);
  });

  it('and has a handler of SIGTERM that it never gets to call is ended by SIGKILL', async () => {
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'child:exited');
    const handle = spinsAtSigterm.with({ type, supervisor, stopGraceMs: 0 })();
    await begun(handle);
    handle.cancel();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    expect(await exited).toMatchObject({ pid: handle.info.pid, exitCode: undefined, signal: 'SIGKILL' });
  });
});

describe('a handler of SIGTERM in a task module', () => {
  it('gets to clean up when the child is ended, and to say how it exits', async () => {
    using leaving = new Leaving();
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'child:exited');
    const handle = cleansUpAtSigterm.with({ type, supervisor, stopGraceMs: 0 })(leaving.path, 9);
    await begun(handle);
    handle.cancel();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    expect(leaving.text).toBe('cleaned up');
    expect(await exited).toMatchObject({ exitCode: 9, signal: undefined });
  });

  it('that does not exit is called, and is followed by SIGKILL', async () => {
    using leaving = new Leaving();
    await using supervisor = superviseShared();
    const exited = heard(supervisor, 'child:exited');
    const handle = outlivesSigterm.with({ type, supervisor, stopGraceMs: 0 })(leaving.path);
    await begun(handle);
    handle.cancel();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    expect(leaving.text).toBe('outlived');
    expect(await exited).toMatchObject({ pid: handle.info.pid, signal: 'SIGKILL' });
  });
});

interface Scene extends AsyncDisposable {
  readonly supervisor: TaskSupervisor;
  readonly records: Records;
  /** Submits, in one go, tasks of one batch as far as there is one slot. Their numbers are their places. */
  submit(...acts: readonly (RecordedAct | readonly [RecordedAct, TaskOptions])[]): TaskHandle<unknown>[];
}

/** A shared supervisor whose one slot (or more) is free, and that knows that the tasks are small. */
async function scene(options: { poolSize?: number; resourceLimits?: object } = {}): Promise<Scene> {
  const { poolSize = 1, ...more } = options;
  const records = new Records();
  const supervisor = superviseShared(poolSize, more);
  await makeRecorded(supervisor, 16, poolSize);
  while (supervisor.getInfo().processes.running > 0) await pause(1);
  let n = 0;
  return {
    supervisor,
    records,
    submit: (...acts) =>
      acts.map((each) => {
        const [act, taskOptions] = typeof each === 'string' ? [each, {}] : each;
        n += 1;
        return recorded.with({ supervisor, ...taskOptions })(act, n - 1, records.folder);
      }),
    [Symbol.asyncDispose]: async () => {
      for (let other = 0; other < n; other += 1) records.open(other);
      if (supervisor.getInfo().pending > 0) await supervisor.stop({ wait: true, cancelTasks: true });
      else await supervisor[Symbol.asyncDispose]();
      records[Symbol.dispose]();
    },
  };
}

async function recordedBegun({ records }: Scene, n: number): Promise<void> {
  while (!records.order.includes(n)) await pause(1);
}

/** In the same turn of the event loop, so before anything of them is taken back. */
async function handedOver(): Promise<void> {
  for (let left = 10; left > 0; left -= 1) await null;
}

describe('small tasks', () => {
  it('go to a child in one batch, and each has its own result, with its type', async () => {
    await using s = await scene();
    for (let [n, areTogether] = [0, false]; !areTogether; n += 6) {
      const handles = s.submit('turn', 'number', 'object', 'buffer', 'throws', 'turn');
      const [first, ...results] = await Promise.allSettled(handles);
      const last = results.pop();
      expect(results).toEqual([
        { status: 'fulfilled', value: n + 1 },
        { status: 'fulfilled', value: { n: n + 2 } },
        { status: 'fulfilled', value: Buffer.from(`task ${n + 3}`) },
        { status: 'rejected', reason: new RangeError(`task ${n + 4}`) },
      ]);
      expect(handles[3]?.result).toBeInstanceOf(Buffer);
      expect(s.records.order).toEqual(Array.from({ length: n + 6 }, (_, each) => each));
      // A child that is held up gives back what it has not begun after a millisecond.
      areTogether = (first as { value?: unknown }).value === (last as { value?: unknown }).value;
    }
  });

  it('fail alone where an argument can not be copied, and those never run', async () => {
    await using s = await scene();
    const run = recorded.with({ supervisor: s.supervisor });
    const given = ['first', () => 'a function', { n: 2 }, Symbol('s'), 'last'];
    const outcomes = await Promise.allSettled(given.map((value, n) => run('gives', n, s.records.folder, value)));
    const refused = { status: 'rejected', reason: { code: 'ARGUMENT_NOT_CLONEABLE' } };
    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: 'first' },
      refused,
      { status: 'fulfilled', value: { n: 2 } },
      refused,
      { status: 'fulfilled', value: 'last' },
    ]);
    expect(s.records.order).toEqual([0, 2, 4]);
  });

  it.each([0, 2])('fail alone where an argument can not be copied, also at place %d of three', async (place) => {
    await using s = await scene();
    const run = recorded.with({ supervisor: s.supervisor });
    const given = Array.from({ length: 3 }, (_, n) => (n === place ? () => n : { n }));
    const outcomes = await Promise.allSettled(given.map((value, n) => run('gives', n, s.records.folder, value)));
    expect(outcomes).toMatchObject(
      given.map((value, n) => (n === place ? { reason: { code: 'ARGUMENT_NOT_CLONEABLE' } } : { value })),
    );
    expect(await run('number', 7)).toBe(7);
  });

  it.each<[RecordedAct, object, string]>([
    ['exits', { exitCode: 3 }, ''],
    ['isKilled', { signal: 'SIGKILL' }, ''],
    ['throwsUncaught', { exitCode: 1, cause: new TypeError('left behind by 3') }, 'left behind by 3'],
    ['exhaustsMemory', { signal: expect.stringMatching(/^SIG/) }, 'heap out of memory'],
  ])('lose the one under which their child dies, and no other: %s', async (act, facts, lastWords) => {
    const prints = interceptStderr();
    await using s = await scene({ resourceLimits: { maxOldGenerationSizeMb: 24 } });
    const handles = s.submit('object', 'buffer', 'pid', act, 'pid', 'object', 'throws', 'number');
    const outcomes = await Promise.allSettled(handles);
    expect(outcomes[3]).toMatchObject({ status: 'rejected', reason: { code: 'TASK_CRASHED', ...facts } });
    expect(handles[3]?.info.endReason).toBe('crashed');
    const pid = handles[3]?.info.pid;
    expect(outcomes.slice(0, 3)).toEqual([
      { status: 'fulfilled', value: { n: 0 } },
      { status: 'fulfilled', value: Buffer.from('task 1') },
      { status: 'fulfilled', value: pid },
    ]);
    expect(outcomes.slice(4)).toEqual([
      { status: 'fulfilled', value: handles[7]?.info.pid },
      { status: 'fulfilled', value: { n: 5 } },
      { status: 'rejected', reason: new RangeError('task 6') },
      { status: 'fulfilled', value: 7 },
    ]);
    expect(handles[7]?.info.pid).not.toBe(pid);
    expect(s.records.order).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(handles.map(({ info }) => info.attempt)).toEqual(new Array(8).fill(1));
    await prints(lastWords);
  });

  it('run once each where one after the other takes its child along', async () => {
    await using s = await scene();
    const acts = Array.from({ length: 8 }, (_, n): RecordedAct => (n % 4 === 1 ? 'exits' : 'number'));
    const outcomes = await Promise.allSettled(s.submit(...acts));
    outcomes.forEach((outcome, n) => {
      if (n % 4 === 1) expect(outcome).toMatchObject({ reason: { code: 'TASK_CRASHED', exitCode: n } });
      else expect(outcome).toEqual({ status: 'fulfilled', value: n });
    });
    expect(s.records.order).toEqual(acts.map((_, n) => n));
  });

  it('are run again by crashRetries only where they had begun', async () => {
    await using s = await scene();
    const again = { crashRetries: 1 };
    const handles = s.submit('number', ['exits', again], ['number', again], 'number');
    await Promise.allSettled(handles);
    expect(handles.map(({ info }) => info.attempt)).toEqual([1, 2, 1, 1]);
    expect(s.records.order.filter((n) => n !== 1)).toEqual([0, 2, 3]);
    expect(s.records.order.filter((n) => n === 1)).toHaveLength(2);
  });

  it('never run when they are canceled behind one that runs, and the others do', async () => {
    await using s = await scene();
    const handles = s.submit('number', 'holds', 'number', 'number', 'object');
    await handedOver();
    expect(handles[3]?.cancel('not needed')).toBe(true);
    expect(await failure(handles[3] as TaskHandle<unknown>)).toMatchObject({
      code: 'TASK_CANCELED',
      cause: 'not needed',
    });
    s.records.open(1);
    expect(await Promise.all(handles.filter((_, n) => n !== 3))).toEqual([0, 1, 2, { n: 4 }]);
    expect(s.records.order).toEqual([0, 1, 2, 4]);
  });

  it('that are canceled while they wait do not cost their neighbours their child', async () => {
    await using s = await scene();
    let deaths = 0;
    s.supervisor.on('child:exited', () => {
      deaths += 1;
    });
    const handles = s.submit('pid', 'holds', ['number', { stopGraceMs: 0 }], 'pid');
    await recordedBegun(s, 1);
    handles[2]?.cancel();
    expect(await failure(handles[2] as TaskHandle<unknown>)).toMatchObject({ code: 'TASK_CANCELED' });
    s.records.open(1);
    expect(await handles[3]).toBe(await handles[0]);
    expect(deaths).toBe(0);
  });

  it('that run are asked to stop by a cancel, and their neighbours have their results', async () => {
    await using s = await scene();
    const handles = s.submit('object', ['spinsUntilStopped', { stopGraceMs: foreverMs }], 'number', 'object');
    await recordedBegun(s, 1);
    handles[1]?.cancel('enough');
    expect(await failure(handles[1] as TaskHandle<unknown>)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
    expect(await Promise.all([handles[0], handles[2], handles[3]])).toEqual([{ n: 0 }, 2, { n: 3 }]);
    expect(new Set(handles.map(({ info }) => info.pid)).size).toBe(1);
    expect(s.records.order).toEqual([0, 1, 2, 3]);
  });

  it('that must be ended with their child harm no neighbour: those behind run once, in another', async () => {
    await using s = await scene();
    const exited = heard(s.supervisor, 'child:exited');
    const handles = s.submit('object', 'pid', ['spinsOn', { stopGraceMs: 5 }], 'pid', 'buffer', 'number');
    await recordedBegun(s, 2);
    handles[2]?.cancel();
    expect(await failure(handles[2] as TaskHandle<unknown>)).toMatchObject({ code: 'TASK_CANCELED' });
    const { pid } = await exited;
    expect(pid).toBe(handles[2]?.info.pid);
    const [first, second, third, ...others] = await Promise.all(handles.filter((_, n) => n !== 2));
    expect([first, second, ...others]).toEqual([{ n: 0 }, pid, Buffer.from('task 4'), 5]);
    expect(third).not.toBe(pid);
    expect(s.records.order).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('that must be ended for their timeout harm no neighbour', async () => {
    await using s = await scene();
    const handles = s.submit('object', ['spinsOn', { timeoutMs: 100, stopGraceMs: 1 }], 'number', 'object');
    expect(await failure(handles[1] as TaskHandle<unknown>)).toMatchObject({ code: 'TASK_TIMEOUT' });
    expect(await Promise.all([handles[0], handles[2], handles[3]])).toEqual([{ n: 0 }, 2, { n: 3 }]);
    expect(s.records.order).toEqual([0, 1, 2, 3]);
  });

  it('behind one that runs long are given back, and run where there is room', async () => {
    await using s = await scene({ poolSize: 2 });
    await using gate = await Gate.create();
    const other = holds.with({ type, supervisor: s.supervisor })(gate.port, 'other');
    await gate.arrived(1);
    const [long, ...behind] = s.submit('holds', 'pid', 'pid', 'pid', 'pid', 'pid');
    await recordedBegun(s, 0);
    while (s.supervisor.getInfo().processes.waiting.normal !== 5) await pause(1);
    gate.open();
    const pids = await Promise.all(behind);
    expect(new Set(pids)).toEqual(new Set([other.info.pid]));
    expect(long?.status).toBe('started');
    s.records.open(0);
    expect(await long).toBe(0);
    expect(s.records.order).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('behind one that runs long are told to wait again, and it to run', async () => {
    await using s = await scene();
    const handles = s.submit('number', 'holds', 'number', 'number');
    const waiting = () => Object.values(s.supervisor.getInfo().processes.waiting).reduce((sum, n) => sum + n, 0);
    while (waiting() !== 2) await pause(1);
    expect(handles.map(({ status }) => status)).toEqual(['completed', 'started', 'queued', 'queued']);
    s.records.open(1);
    expect(await Promise.all(handles)).toEqual([0, 1, 2, 3]);
  });

  it('at its end, and running long, are told to run', async () => {
    await using s = await scene();
    const handles = s.submit('number', 'number', 'holds');
    while (handles.at(-1)?.status !== 'started') await pause(1);
    s.records.open(2);
    expect(await Promise.all(handles)).toEqual([0, 1, 2]);
  });
});

describe('what can not be copied to a child', () => {
  it.each([
    ['a function', () => () => {}],
    ['shared memory', () => new SharedArrayBuffer(4)],
    ['a view of shared memory', () => ({ words: new Int32Array(new SharedArrayBuffer(4)) })],
  ])('among the arguments fails the task, says which, and harms no child: %s', async (_, make) => {
    await using supervisor = superviseShared();
    const before = await pidOf(supervisor);
    const takesAny = add.with({ type, supervisor, retries: 3, retryDelayMs: 0 }) as unknown as (
      ...args: unknown[]
    ) => TaskHandle<unknown>;
    const handle = takesAny(1, make());
    const error = await failure(handle);
    expect(error).toBeInstanceOf(TaskwardenError);
    expect(error).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE', cause: expect.any(Error) });
    expect((error as Error).message).toContain('argument 2');
    expect(handle.info).toMatchObject({ status: 'failed', endReason: 'failed' });
    expect(await pidOf(supervisor)).toBe(before);
  });

  it('in the result fails the task, without a retry, and harms no child', async () => {
    await using supervisor = superviseShared();
    const handle = returnsFunction.with({ type, supervisor, retries: 3, retryDelayMs: 0 })();
    expect(await failure(handle)).toMatchObject({ code: 'RESULT_NOT_CLONEABLE' });
    expect(handle.info.attempt).toBe(1);
    const shared = supervisor.putTask(async () => new SharedArrayBuffer(4), { name: 'shared', type });
    expect(await failure(shared)).toMatchObject({ code: 'RESULT_NOT_CLONEABLE' });
    expect(await pidOf(supervisor)).toBe(handle.info.pid);
  });

  it('in a field of an error is a text there, and the error arrives', async () => {
    await using supervisor = superviseShared();
    const handle = throwsShared.with({ type, supervisor })(false);
    const error = await failure(handle);
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ message: 'with shared memory', n: 7, shared: expect.any(String) });
    expect(await failure(throwsShared.with({ type, supervisor })(true))).toEqual(expect.any(String));
    expect(await pidOf(supervisor)).toBe(handle.info.pid);
  });

  it('in the reason of a cancel does not keep the task from being asked to stop', async () => {
    await using supervisor = superviseShared();
    const handle = spins.with({ type, supervisor, stopGraceMs: foreverMs })();
    await begun(handle);
    const reason = { shared: new SharedArrayBuffer(4) };
    expect(handle.cancel(reason)).toBe(true);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: reason });
  });
});

describe('what goes to a child and back', () => {
  const manyBytes = 10_000_000;

  it('may be large', async () => {
    await using supervisor = superviseShared();
    const text = 'ä text '.repeat(manyBytes / 7);
    expect((await echo.with({ type, supervisor })(text)) === text).toBe(true);
    const pattern = Uint8Array.from({ length: 251 }, (_, n) => n);
    const bytes = new Uint8Array(Buffer.alloc(manyBytes, pattern));
    const { bytes: back } = await seesBytes.with({ type, supervisor })(bytes);
    expect(Buffer.compare(back, bytes)).toBe(0);
  });

  it('may be a large result of a small argument', async () => {
    await using supervisor = superviseShared();
    const result = await fills.with({ type, supervisor })(manyBytes);
    expect(result.equals(Buffer.alloc(manyBytes, 'result '))).toBe(true);
  });

  it('may be large both ways in several children at once', async () => {
    await using supervisor = superviseShared(2);
    const values = Array.from({ length: 6 }, (_, n) => Buffer.alloc(2_000_000, `value ${n} `));
    const backs = await Promise.all(values.map((value) => returnsBytes.with({ type, supervisor })(value)));
    expect(values.map((value, n) => value.equals(backs[n] as Uint8Array))).toEqual(new Array(6).fill(true));
  });

  it('is a Buffer there and here where it was one, and a Uint8Array where it was that', async () => {
    await using supervisor = superviseShared();
    const run = seesBytes.with({ type, supervisor });
    expect(await run(Buffer.from('bytes'))).toMatchObject({ isBuffer: true });
    expect(await run(new Uint8Array([1]))).toMatchObject({ isBuffer: false });
    const returns = returnsBytes.with({ type, supervisor });
    const buffer = await returns(Buffer.from('bytes'));
    expect(Buffer.isBuffer(buffer)).toBe(true);
    expect(buffer.toString()).toBe('bytes');
    expect(Buffer.isBuffer(await returns(new Uint8Array([1])))).toBe(false);
  });

  it('is a copy, also where it is to be handed over', async () => {
    await using supervisor = superviseShared();
    const bytes = new Uint8Array([1, 2, 3]);
    const options = { type, supervisor, transfer: () => [bytes.buffer] } as const;
    expect(await echo.with(options)(bytes)).toEqual(new Uint8Array([1, 2, 3]));
    expect(bytes).toEqual(new Uint8Array([1, 2, 3]));
  });
});

describe('the environment of children', () => {
  it('is that of the process as they start, or what the option says', async () => {
    process.env['TASKWARDEN_TEST'] = 'from the process';
    await using plain = superviseOne();
    const { env } = await saysWhere.with({ type, supervisor: plain })();
    delete process.env['TASKWARDEN_TEST'];
    expect(env['TASKWARDEN_TEST']).toBe('from the process');
    await using given = superviseOne({ env: { TASKWARDEN_TEST: 'from the option' } });
    const own = await saysWhere.with({ type, supervisor: given })();
    expect(own.env['TASKWARDEN_TEST']).toBe('from the option');
    expect(own.env['PATH']).toBeUndefined();
  });

  it('takes execArgv', async () => {
    await using supervisor = superviseOne({ execArgv: ['--no-warnings', '--stack-trace-limit=7'] });
    const { execArgv } = await saysWhere.with({ type, supervisor })();
    expect(execArgv).toEqual(['--no-warnings', '--stack-trace-limit=7']);
  });

  it('has the arguments and Node options of the program, but no debugger', async () => {
    const empty = 'data:text/javascript,';
    const nodeArgs = ['--no-warnings', '--inspect=0', '--inspect-publish-uid=http', '--import', empty];
    const { lines, code } = await runProgram('flags-of-child.mjs', { nodeArgs, args: ['one', '--two'] });
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      execArgv: ['--no-warnings', '--import', empty],
      argv: ['one', '--two'],
    });
    expect(code).toBe(0);
  });
});

describe('a program that is no file', () => {
  const script = `
    if (process.env.IS_CHILD) { console.log('runs again'); process.exit(); }
    process.env.IS_CHILD = 'yes';
    import('taskwarden').then(async ({ backgroundTask }) => {
      const add = backgroundTask((a, b) => a + b, { name: 'add', type: 'process' });
      console.log(await add(1, 2));
    });`;

  it.each([
    [['-e', script]],
    [['--eval', script]],
    [['--input-type=module', '-e', script]],
    [['--input-type', 'commonjs', '--no-warnings', '-e', script]],
    [[`--eval=${script}`]],
  ])('is not run again in its children: node %j', async (args) => {
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 25_000, killSignal: 'SIGKILL' });
    expect(stdout).toBe('3\n');
  });

  it('is not run again in its children where its value is printed', async () => {
    const run = promisify(execFile)(process.execPath, ['-p', `${script} 'value'`], { timeout: 25_000 });
    expect((await run).stdout).toBe('value\n3\n');
  });
});

describe('what a task prints in a child', () => {
  it('is seen by who reads the program, to the last line before it exits', async () => {
    const { lines, stderr, code } = await runProgram('prints-from-child.mjs', { args: ['exits', '50'] });
    const numbers = Array.from({ length: 50 }, (_, n) => n);
    expect(lines).toEqual([...numbers.map((n) => `out ${n}`), 'TASK_CRASHED 3']);
    expect(stderr.trimEnd().split('\n')).toEqual(numbers.map((n) => `error ${n}`));
    expect(code).toBe(0);
  });

  it('is seen however much it is, where the child is ended right after the task', async () => {
    const { lines, stderr } = await runProgram('prints-from-child.mjs', { args: ['returns', '5000'] });
    const numbers = Array.from({ length: 5_000 }, (_, n) => n);
    expect(lines).toEqual([...numbers.map((n) => `out ${n}`), 'stopped']);
    expect(stderr.trimEnd().split('\n')).toEqual(numbers.map((n) => `error ${n}`));
  });
});

describe('the pool of children', () => {
  it('has none before there is a task, and those of minSize when it is ready', async () => {
    await using lazy = superviseOne();
    await lazy.ready();
    expect(lazy.getInfo().processes.size).toBe(0);
    await using eager = superviseMany(2, { minSize: 2 });
    const pids: number[] = [];
    eager.on('child:started', ({ pid }) => pids.push(pid));
    await eager.ready();
    expect(eager.getInfo().processes).toMatchObject({ size: 2, running: 0 });
    expect(pids.map(isThere)).toEqual([true, true]);
  });

  it('grows while it runs: waiting tasks start', async () => {
    await using supervisor = superviseShared();
    await using gate = await Gate.create();
    const handles = ['a', 'b', 'c'].map((label) => holds.with({ type, supervisor })(gate.port, label));
    await gate.arrived(1);
    expect(handles.map(({ status }) => status)).toEqual(['started', 'queued', 'queued']);
    supervisor.configure({ processes: { poolSize: 3 } });
    await gate.arrived(3);
    expect(new Set(handles.map(({ info }) => info.pid)).size).toBe(3);
    gate.open();
    await Promise.all(handles);
  });

  it('shrinks while it runs: what runs finishes, what waits is not lost, and children are retired', async () => {
    await using supervisor = superviseMany(3, { maxSize: 3 });
    await using gate = await Gate.create();
    const handles = ['a', 'b', 'c', 'd'].map((label) => holds.with({ type, supervisor })(gate.port, label));
    await gate.arrived(3);
    let exits = 0;
    const two = heard(supervisor, 'child:exited', () => {
      exits += 1;
      return exits === 2;
    });
    supervisor.configure({ processes: { poolSize: 1, maxSize: 1 } });
    gate.open();
    expect(await Promise.all(handles)).toEqual(['a', 'b', 'c', 'd']);
    await two;
    expect(supervisor.getInfo().processes.size).toBe(1);
  });

  it('retires the idle, down to minSize', async () => {
    await using supervisor = superviseMany(3, { minSize: 1, idleTimeoutMs: 20 });
    await using gate = await Gate.create();
    const pids: number[] = [];
    const retired = heard(supervisor, 'child:exited', ({ pid }) => pids.push(pid) === 2);
    const handles = ['a', 'b', 'c'].map((label) => holds.with({ type, supervisor })(gate.port, label));
    await gate.arrived(3);
    gate.open();
    await Promise.all(handles);
    await retired;
    expect(pids.map(isThere)).toEqual([false, false]);
    expect(supervisor.getInfo().processes.size).toBe(1);
    const left = handles.map(({ info }) => info.pid as number).filter((pid) => !pids.includes(pid));
    expect(left.map(isThere)).toEqual([true]);
  });
});

describe('children that die as they start', () => {
  const bad = { execArgv: ['--no-such-option'] };

  it('are not started for ever: their tasks fail with LANE_BROKEN and the cause', async () => {
    const prints = interceptStderr();
    await using supervisor = superviseOne(bad);
    const handles = [add.with({ type, supervisor })(1, 1), add.with({ type, supervisor })(2, 2)];
    for (const handle of handles) {
      const error = await failure(handle);
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'LANE_BROKEN', cause: { message: expect.stringContaining('code 9') } });
      expect(handle.info).toMatchObject({ status: 'failed', endReason: 'failed', attempt: 0, pid: undefined });
    }
    expect(supervisor.getInfo()).toMatchObject({ pending: 0, processes: { size: 0, running: 0 } });
    await prints('bad option: --no-such-option');
  });

  it('make ready() fail', async () => {
    const prints = interceptStderr();
    await using supervisor = superviseOne({ ...bad, minSize: 1 });
    expect(await failure(supervisor.ready())).toMatchObject({ code: 'LANE_BROKEN' });
    await prints('bad option: --no-such-option');
  });

  it('leave threads and the event loop as they are', async () => {
    const prints = interceptStderr();
    await using supervisor = superviseOne(bad);
    await failure(add.with({ type, supervisor })(1, 1));
    expect(await add.with({ supervisor, type: 'thread' })(1, 1)).toBe(2);
    expect(await add.with({ supervisor, type: 'loop' })(1, 1)).toBe(2);
    await prints('bad option: --no-such-option');
  });

  it('are forgotten after configure()', async () => {
    const prints = interceptStderr();
    await using supervisor = superviseOne(bad);
    await failure(add.with({ type, supervisor })(1, 1));
    supervisor.configure({ processes: { execArgv: [] } });
    expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
    await prints('bad option: --no-such-option');
  });
});

describe('stop()', () => {
  it('leaves no child, and no zombie', async () => {
    const supervisor = superviseMany(3, { minSize: 3 });
    const pids: number[] = [];
    supervisor.on('child:started', ({ pid }) => pids.push(pid));
    await supervisor.ready();
    await supervisor.stop();
    expect(pids).toHaveLength(3);
    expect(pids.filter(isThere)).toEqual([]); // a zombie would still be there
  });

  it('with wait: false ends the children of what runs', async () => {
    const supervisor = superviseOne();
    const running = spinsOn.with({ type, supervisor })();
    await begun(running);
    const waiting = add.with({ type, supervisor })(1, 1);
    expect(await supervisor.stop({ wait: false })).toEqual({ finished: 0, canceled: 1, terminated: 1 });
    for (const handle of [running, waiting]) {
      expect(handle.info).toMatchObject({ status: 'canceled', endReason: 'shutdown' });
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', taskId: handle.id });
    }
    expect(isThere(running.info.pid as number)).toBe(false);
  });

  if (hasProc)
    it('with wait: false leaves no child that was still starting', async () => {
      const before = ownChildren();
      const supervisor = superviseMany(2);
      const handles = [add.with({ type, supervisor })(1, 1), add.with({ type, supervisor })(2, 2)];
      await handedOver();
      expect(ownChildren().length).toBe(before.length + 2);
      await supervisor.stop({ wait: false });
      expect(ownChildren()).toEqual(before);
      for (const handle of handles) expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    });

  it('with a number ends what takes longer, also if it takes no notice of SIGTERM', async () => {
    using leaving = new Leaving();
    const supervisor = superviseOne();
    const handle = outlivesSigterm.with({ type, supervisor, stopGraceMs: 0 })(leaving.path);
    await begun(handle);
    expect(await supervisor.stop({ wait: 10 })).toEqual({ finished: 0, canceled: 0, terminated: 1 });
    expect(handle.info.endReason).toBe('shutdown');
    expect(leaving.text).toBe('outlived');
    expect(isThere(handle.info.pid as number)).toBe(false);
  });

  it('holds its program until a stubborn child is gone', async () => {
    const { lines, code } = await runProgram('stops-stubborn-child.mjs');
    expect(lines).toEqual(['TASK_CANCELED', '{"finished":0,"canceled":0,"terminated":1}', 'ESRCH']);
    expect(code).toBe(0);
  });
});

describe('a program', () => {
  it('with idle children ends by itself, and they with it', async () => {
    const { lines, code, signal } = await runProgram('idle-children.mjs');
    const [told, ...pids] = lines;
    expect(told).toBe('2 children');
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    await Promise.all(pids.map(Number).map(ended));
    expect(pids).toHaveLength(2);
  });

  it.each(['SIGKILL', 'SIGTERM', 'exit'] as const)(
    'that ends by %s leaves no child, neither an idle one nor a busy one',
    async (how) => {
      const program = new Program('leaves-children.mjs', how === 'exit' ? { args: ['exit'] } : {});
      const { busy, idle } = JSON.parse(await program.printed(/^\{/)) as { busy: number; idle: number };
      expect(busy).not.toBe(idle);
      if (how !== 'exit') {
        expect([busy, idle].map(isThere)).toEqual([true, true]);
        program.kill(how);
      }
      await Promise.all([ended(busy), ended(idle)]);
      expect(await program.ended).toMatchObject(how === 'exit' ? { code: 0 } : { signal: how });
    },
  );

  it('that exits leaves no child that is stopped', async () => {
    const program = new Program('leaves-children.mjs', { args: ['stop'] });
    const { busy, idle } = JSON.parse(await program.printed(/^\{/)) as { busy: number; idle: number };
    await Promise.all([ended(busy), ended(idle)]);
    expect(await program.ended).toMatchObject({ code: 0 });
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('that blocks stops gracefully at %s', async (signal) => {
    const program = new Program('blocks-with-child.mjs');
    await program.printed('running');
    program.kill(signal);
    const { lines, code } = await program.ended;
    expect(lines).toEqual(['running', 'stopping', 'finished', '{"finished":1,"canceled":0,"terminated":0}']);
    expect(code).toBe(0);
  });

  it('whose whole group is sent SIGINT, as by Ctrl-C, stops gracefully: the task in the child finishes', async () => {
    const program = new Program('blocks-with-child.mjs', { isGroup: true });
    await program.printed('running');
    program.killGroup('SIGINT');
    const { lines, code } = await program.ended;
    expect(lines).toEqual(['running', 'stopping', 'finished', '{"finished":1,"canceled":0,"terminated":0}']);
    expect(code).toBe(0);
  });
});
