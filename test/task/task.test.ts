/** One task: which status may follow which, that it settles once, and what it leaves behind. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TaskHandle } from '../../src/task/call/handle.ts';
import { resolveTaskOptions, type TaskOptions } from '../../src/task/call/task-options.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';
import { Task } from '../../src/task/record/task.ts';
import type { EndReason } from '../../src/task/record/task-info.ts';
import type { TaskStatus } from '../../src/task/record/task-status.ts';
import { noOwner } from './no-owner.ts';

const definition = defineBySource('resize', (path: string) => path);

function newTask(options: TaskOptions = {}): Task {
  return new Task({ definition, options: resolveTaskOptions(options, 'it') }, ['a.png'], 7, noOwner);
}

const endReasons: Record<EndReason, TaskStatus> = {
  completed: 'completed',
  failed: 'failed',
  timeout: 'failed',
  expired: 'failed',
  crashed: 'failed',
  canceled: 'canceled',
  shutdown: 'canceled',
};

/** How a new task comes to a status. */
const ways: Record<TaskStatus, (task: Task) => unknown> = {
  delayed: () => {},
  queued: (task) => task.enqueue(),
  started: (task) => {
    task.enqueue();
    task.start(1);
  },
  completed: (task) => {
    ways.started(task);
    task.settle('completed', 1);
  },
  failed: (task) => task.settle('failed', new Error('m')),
  canceled: (task) => task.settle('canceled', new Error('m')),
};

function taskThatIs(status: TaskStatus, options?: TaskOptions): Task {
  const task = newTask(options);
  ways[status](task);
  expect(task.status).toBe(status);
  return task;
}

const moves: Record<string, { move: (task: Task) => unknown; to: TaskStatus; from: TaskStatus[] }> = {
  'enqueue()': { move: (task) => task.enqueue(), to: 'queued', from: ['delayed'] },
  'start()': { move: (task) => task.start(1), to: 'started', from: ['queued'] },
  'putBack()': { move: (task) => task.putBack(), to: 'queued', from: ['started', 'queued'] },
  'retry()': { move: (task) => task.retry(), to: 'delayed', from: ['started'] },
};

/** For listeners of which none throws. */
function fail(problem: unknown): void {
  throw problem;
}

describe('status', () => {
  const all = Object.keys(ways) as TaskStatus[];
  const table = Object.entries(moves).flatMap(([name, { from, to, move }]) =>
    all.map((status) => ({ name, status, to, move, isLegal: from.includes(status) })),
  );

  it.each(table.filter(({ isLegal }) => isLegal))('$name: $status becomes $to', ({ status, move, to }) => {
    const task = taskThatIs(status);
    move(task);
    expect(task.status).toBe(to);
  });

  it.each(table.filter(({ isLegal }) => !isLegal))('$name: $status can not become $to', ({ status, move, to }) => {
    const task = taskThatIs(status);
    const { attempt, timeStarted } = task;
    expect(() => move(task)).toThrow(new Error(`task id-7 can't go from ${status} to ${to}`));
    expect(task).toMatchObject({ status, attempt, timeStarted });
  });

  it.each(Object.entries(endReasons))('settled as %s, a started task is %s', (reason, status) => {
    const task = taskThatIs('started');
    expect(task.settle(reason as EndReason, new Error('m'))).toBe(true);
    expect(task).toMatchObject({ status, endReason: reason, isSettled: true });
  });

  it.each(['delayed', 'queued'] as const)('a %s task can fail or be canceled, but not complete', (status) => {
    const task = taskThatIs(status);
    expect(() => task.settle('completed', 1)).toThrow(`can't go from ${status} to completed`);
    expect(task).toMatchObject({ status, isSettled: false });
    for (const reason of ['expired', 'failed', 'canceled', 'shutdown'] as const) {
      const other = taskThatIs(status);
      other.settle(reason, new Error('m'));
      expect(other.status).toBe(endReasons[reason]);
    }
  });
});

describe('settling', () => {
  it.each(['completed', 'failed', 'canceled'] as const)('%s: it settles once, by the first cause', (first) => {
    const task = taskThatIs('started');
    const error = new Error('first');
    expect(task.settle(first, error)).toBe(true);
    const info = task.info;
    for (const second of Object.keys(endReasons) as EndReason[]) {
      expect(task.settle(second, new Error('second'))).toBe(false);
    }
    expect({ ...task.info, waitMs: 0 }).toEqual({ ...info, waitMs: 0 });
  });

  it('resolves its handle with the result, which the task does not keep', async () => {
    const task = newTask();
    const handle = new TaskHandle(task);
    ways.started(task);
    const result = { bytes: 5 };
    task.settle('completed', result);
    expect(await handle).toBe(result);
    expect(task.error).toBeUndefined();
    expect(JSON.stringify(task)).not.toContain('bytes');
  });

  it('rejects its handle with the error', async () => {
    const task = newTask();
    const handle = new TaskHandle(task);
    const error = new Error('m');
    task.settle('expired', error);
    await expect(handle).rejects.toBe(error);
    expect(task.error).toBe(error);
  });

  it('lets go of its arguments, its timer, and the signal that it listened to', () => {
    vi.useFakeTimers();
    const { signal } = new AbortController();
    const task = newTask({ signal });
    task.listenToSignal(signal, () => {});
    task.setTimer(1_000, () => {});
    expect([getEventListeners(signal, 'abort').length, vi.getTimerCount()]).toEqual([1, 1]);
    task.settle('canceled', new Error('m'));
    expect([task.args, getEventListeners(signal, 'abort').length, vi.getTimerCount()]).toEqual([[], 0, 0]);
    vi.useRealTimers();
  });
});

describe('attempts', () => {
  it('counts each start, and forgets the progress and the ending of the one before', () => {
    const task = taskThatIs('started');
    expect(task.attempt).toBe(1);
    task.report({ fraction: 0.5 }, fail);
    task.endRequest = { reason: 'timeout', error: new Error('m') };
    task.retry();
    expect(task).toMatchObject({ attempt: 1, progress: undefined, endRequest: undefined, status: 'delayed' });
    task.enqueue();
    task.start(2);
    expect(task).toMatchObject({ attempt: 2 });
    expect(task.info.threadId).toBe(2);
  });
});

describe('put back', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: 1_000_000 });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('it has made no attempt, and waits as before', () => {
    const task = newTask();
    task.enqueue();
    const { queuedAt } = task;
    task.warnings = 2;
    vi.advanceTimersByTime(30);
    task.start(1);
    vi.advanceTimersByTime(50);
    task.putBack();
    expect(task).toMatchObject({ status: 'queued', attempt: 0, queuedAt, warnings: 2 });
    expect(task.info).toMatchObject({ timeStarted: undefined, runMs: undefined, waitMs: 80 });
    vi.advanceTimersByTime(5);
    expect(task.waitMs).toBe(85);
    task.start(2);
    expect(task.info).toMatchObject({ attempt: 1, threadId: 2, timeStarted: 1_000_085, waitMs: 85 });
  });

  it('one that waits already is left as it is', () => {
    const task = taskThatIs('queued');
    task.putBack();
    expect(task).toMatchObject({ status: 'queued', attempt: 0 });
  });

  it('it keeps the attempts that it has made', () => {
    const task = taskThatIs('started');
    task.retry();
    task.enqueue();
    task.start(2);
    task.putBack();
    expect(task.attempt).toBe(1);
  });
});

it('knows how long it has run while it runs', () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const task = taskThatIs('queued');
  expect(task.runMs).toBeUndefined();
  task.start(1);
  vi.advanceTimersByTime(40);
  expect(task.runMs).toBe(40);
  task.settle('completed', 1);
  expect(task.runMs).toBeUndefined();
  vi.useRealTimers();
});

it('is queued without warnings', () => {
  const task = taskThatIs('started');
  task.warnings = 3;
  task.retry();
  task.enqueue();
  expect(task.warnings).toBe(0);
});

describe('runInScope()', () => {
  const storage = new AsyncLocalStorage<string>();
  const seen = (options: TaskOptions) => {
    const task = storage.run('submitter', () => newTask(options));
    return storage.run('another', () => task.runInScope(() => storage.getStore()));
  };

  it.each<[string, TaskOptions]>([
    ['of the event loop', { type: 'loop' }],
    ['with a callback', { callback() {} }],
  ])('calls what belongs to a task %s in the context of who submitted it', (_, options) => {
    expect(seen(options)).toBe('submitter');
  });

  it('calls as it is where no context was kept', () => {
    expect(seen({ type: 'thread' })).toBe('another');
  });

  it('gives what the call gives, and throws what it throws', () => {
    const error = new Error('m');
    for (const task of [newTask(), newTask({ type: 'loop' })]) {
      expect(task.runInScope(() => 5)).toBe(5);
      expect(() =>
        task.runInScope(() => {
          throw error;
        }),
      ).toThrow(error);
    }
  });
});

describe('timer', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('there is one: the next takes the place of the one before', () => {
    const task = newTask();
    const [first, second] = [vi.fn(), vi.fn()];
    task.setTimer(10, first);
    task.setTimer(20, second);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(100);
    expect([first.mock.calls.length, second.mock.calls.length]).toEqual([0, 1]);
  });

  it('stopped, it does not fire', () => {
    const task = newTask();
    const fire = vi.fn();
    task.setTimer(10, fire);
    task.stopTimer();
    task.stopTimer();
    vi.advanceTimersByTime(100);
    expect(fire).not.toHaveBeenCalled();
  });
});

it('is called once when its signal aborts', () => {
  const controller = new AbortController();
  const task = newTask();
  const abort = vi.fn();
  task.listenToSignal(controller.signal, abort);
  controller.abort();
  expect(abort).toHaveBeenCalledTimes(1);
});

describe('progress', () => {
  it('goes to every listener, and is in its info', () => {
    const task = taskThatIs('started');
    const [one, two] = [vi.fn(), vi.fn()];
    task.onProgress(one);
    task.onProgress(two);
    task.report({ fraction: 0.5, note: 'half' }, fail);
    for (const listener of [one, two]) expect(listener.mock.calls).toEqual([[{ fraction: 0.5, note: 'half' }]]);
    expect(task.info.progress).toEqual({ fraction: 0.5, note: 'half' });
    expect(Object.isFrozen(task.info.progress)).toBe(true);
  });

  it('an error of a listener is reported, and the others are called all the same', () => {
    const task = taskThatIs('started');
    const problem = new Error('from a listener');
    const after = vi.fn();
    task.onProgress(() => {
      throw problem;
    });
    task.onProgress(after);
    const onProblem = vi.fn();
    task.report({ fraction: 0.5 }, onProblem);
    expect(onProblem.mock.calls).toEqual([[problem]]);
    expect(after).toHaveBeenCalledTimes(1);
  });

  it('a listener that rejects is no unhandled rejection', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const task = taskThatIs('started');
    const problem = new Error('from a promise');
    const listener = async () => {
      throw problem;
    };
    task.onProgress(listener as () => unknown);
    const onProblem = vi.fn();
    task.report({ fraction: 0.5 }, onProblem);
    await nextTurn();
    await nextTurn();
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect(onProblem.mock.calls).toEqual([[problem]]);
  });
});

describe('info', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: 1_000_000 });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('is a frozen snapshot, which does not follow the task', () => {
    const task = newTask({ name: 'shrink', priority: 'high', type: 'loop' });
    const { info } = task;
    expect(Object.isFrozen(info)).toBe(true);
    expect(info).toEqual({
      id: 'id-7',
      name: 'shrink',
      type: 'loop',
      priority: 'high',
      status: 'delayed',
      attempt: 0,
      timeQueued: 1_000_000,
      timeStarted: undefined,
      timeFinished: undefined,
      waitMs: 0,
      runMs: undefined,
      threadId: undefined,
      pid: undefined,
      progress: undefined,
      error: undefined,
      endReason: undefined,
    });
    task.enqueue();
    expect(info.status).toBe('delayed');
  });

  it('tells durations in whole microseconds', () => {
    const task = newTask();
    task.enqueue();
    vi.advanceTimersByTime(12.345678);
    task.start(3);
    task.runMs = 0.123456789;
    expect(`${task.info.waitMs}`).toMatch(/^\d+(\.\d{1,3})?$/);
    expect(task.info.runMs).toBe(0.124);
    task.runMs = 0.069; // times 1,000 is more than 69
    expect(task.info.runMs).toBe(0.069);
    task.runMs = 0;
    expect(task.info.runMs).toBe(0);
  });

  it('tells the times of its way, which stand still once it has ended', () => {
    const task = newTask();
    task.enqueue();
    vi.advanceTimersByTime(30);
    expect(task.info).toMatchObject({ waitMs: 30, runMs: undefined });
    task.start(3);
    vi.advanceTimersByTime(50);
    expect(task.info).toMatchObject({ waitMs: 30, runMs: 50, timeStarted: 1_000_030, timeFinished: undefined });
    task.runMs = 49;
    task.settle('completed', 1);
    vi.advanceTimersByTime(1_000);
    expect(task.info).toMatchObject({
      timeQueued: 1_000_000,
      timeStarted: 1_000_030,
      timeFinished: 1_000_080,
      waitMs: 30,
      runMs: 49,
      threadId: 3,
      pid: undefined,
      endReason: 'completed',
    });
  });

  it('one that never started has waited until its end', () => {
    const task = newTask();
    task.enqueue();
    vi.advanceTimersByTime(20);
    const error = new Error('m');
    task.settle('expired', error);
    vi.advanceTimersByTime(1_000);
    expect(task.info).toMatchObject({ waitMs: 20, runMs: undefined, attempt: 0, error, endReason: 'expired' });
  });

  it('waits anew for each attempt', () => {
    const task = newTask();
    task.enqueue();
    vi.advanceTimersByTime(20);
    task.start(1);
    task.retry();
    vi.advanceTimersByTime(500);
    task.enqueue();
    vi.advanceTimersByTime(5);
    expect(task.waitMs).toBe(5);
  });
});

it('its id is made when it is first asked for, and once', () => {
  const assignId = vi.fn(() => 'made');
  const task = new Task({ definition, options: resolveTaskOptions({}, 'it') }, [], 1, { ...noOwner, assignId });
  task.enqueue();
  expect(assignId).not.toHaveBeenCalled();
  expect([task.id, task.id]).toEqual(['made', 'made']);
  expect(assignId.mock.calls).toEqual([[task]]);
});
