/** A task seen from inside: its context, the joining of its progress, and being asked to stop. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TaskwardenError } from '../../src/base/errors.ts';
import { currentTask, isInTask } from '../../src/task/inside/context.ts';
import { Run } from '../../src/task/inside/run.ts';
import type { Progress } from '../../src/task/record/progress.ts';

let reports: Progress[];
let stopFlag: boolean;
let run: Run;

class TestRun extends Run {
  readonly id: string;
  readonly name = 'resize';
  readonly attempt = 2;

  constructor(id: string, args: readonly unknown[]) {
    super(args);
    this.id = id;
  }

  protected isStopRequested(): boolean {
    return stopFlag;
  }

  protected report(progress: Progress): void {
    reports.push(progress);
  }

  post(): void {}

  poll(): boolean {
    return false;
  }
}

beforeEach(() => {
  reports = [];
  stopFlag = false;
  run = new TestRun('id', ['a.png', 200]);
});

/** As a lane does it: the flag is up before the call. */
function stop(reason: unknown): void {
  stopFlag = true;
  run.stop(reason);
}

describe('currentTask()', () => {
  it('is the context of the function that a run calls, with its arguments and receiver', () => {
    const receiver = {};
    const seen = run.call(function (this: unknown, ...args: unknown[]) {
      return { context: currentTask(), receiver: this, args, isInTask: isInTask() };
    }, receiver);
    expect(seen).toEqual({ context: run, receiver, args: ['a.png', 200], isInTask: true });
    expect(run).toMatchObject({ id: 'id', name: 'resize', args: ['a.png', 200], attempt: 2, stopped: false });
  });

  it('follows await, and two runs at once are kept apart', async () => {
    const other = new TestRun('other', []);
    const see = async () => {
      await nextTurn();
      await Promise.resolve();
      return currentTask().id;
    };
    expect(await Promise.all([run.call(see, undefined), other.call(see, undefined)])).toEqual(['id', 'other']);
  });

  it('throws NOT_IN_TASK outside of a task, also after one has run', () => {
    run.call(() => {}, undefined);
    expect(isInTask()).toBe(false);
    expect(() => currentTask()).toThrow(TaskwardenError);
    expect(() => currentTask()).toThrow(expect.objectContaining({ code: 'NOT_IN_TASK' }));
  });

  it('is the same for another copy of the package', async () => {
    const copy: typeof import('../../src/task/inside/context.ts') = await import(
      // @ts-expect-error a query makes it another module
      '../../src/task/inside/context.ts?copy'
    );
    expect(copy.currentTask).not.toBe(currentTask);
    expect(run.call(() => copy.currentTask(), undefined)).toBe(run);
  });

  it('what the function throws, and the promise that it returns, come out as they are', async () => {
    const error = new Error('thrown');
    const thrower = () => {
      throw error;
    };
    expect(() => run.call(thrower, undefined)).toThrow(error);
    const promise = Promise.resolve(1);
    expect(run.call(() => promise, undefined)).toBe(promise);
  });
});

describe('being asked to stop', () => {
  it('stopped is what the flag says at the moment', () => {
    expect(run.stopped).toBe(false);
    stopFlag = true;
    expect(run.stopped).toBe(true);
  });

  it('the signal aborts with the reason, and is one and the same', () => {
    const { signal } = run;
    const heard = vi.fn();
    signal.addEventListener('abort', heard);
    expect(signal.aborted).toBe(false);
    const reason = new Error('canceled');
    stop(reason);
    expect([signal.aborted, signal.reason]).toEqual([true, reason]);
    expect(heard).toHaveBeenCalledTimes(1);
    expect(run.signal).toBe(signal);
  });

  it('a signal that is first asked for after the stop is aborted already, with the reason', () => {
    const reason = new Error('canceled');
    stop(reason);
    expect([run.signal.aborted, run.signal.reason]).toEqual([true, reason]);
  });

  it('a signal that is read when the flag is up, but the reason is still on its way, is aborted', () => {
    const { signal } = run;
    stopFlag = true;
    expect(run.signal).toBe(signal);
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ code: 'TASK_CANCELED' });
  });
});

describe('progress', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('the first report goes at once', () => {
    run.progress(0.1, 'begins');
    expect(reports).toEqual([{ fraction: 0.1, note: 'begins' }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('those that come within 20 ms are joined to the last of them', () => {
    for (const fraction of [0, 0.1, 0.2, 0.3]) run.progress(fraction);
    expect(reports).toEqual([{ fraction: 0 }]);
    vi.advanceTimersByTime(19);
    expect(reports).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(reports).toEqual([{ fraction: 0 }, { fraction: 0.3 }]);
    vi.advanceTimersByTime(1_000);
    expect(reports).toHaveLength(2);
  });

  it('at most 50 a second go, however many are made', () => {
    for (let ms = 0; ms < 999; ms += 1) {
      run.progress(ms / 1_000);
      vi.advanceTimersByTime(1);
    }
    expect(reports).toHaveLength(50);
  });

  it('a loop that never lets a timer run reports all the same', () => {
    const now = vi.spyOn(performance, 'now');
    for (let i = 0; i <= 100; i += 1) {
      now.mockReturnValue(i);
      run.progress(i / 100);
    }
    expect(reports.map(({ fraction }) => fraction)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    now.mockRestore();
  });

  it('one that comes 20 ms after the last goes at once', () => {
    run.progress(0.1);
    vi.advanceTimersByTime(20);
    run.progress(0.2);
    expect(reports).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('the last one goes when the function ends, and leaves no timer', () => {
    run.progress(0.5);
    run.progress(1);
    run.end();
    expect(reports).toEqual([{ fraction: 0.5 }, { fraction: 1 }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('nothing is said twice, and nothing without a report', () => {
    run.end();
    expect(reports).toEqual([]);
  });

  it('after the end it is ignored', () => {
    run.progress(0.5);
    run.end();
    run.progress(0.9);
    vi.advanceTimersByTime(1_000);
    expect(reports).toEqual([{ fraction: 0.5 }]);
  });

  it('has a note only if one was given', () => {
    run.progress(0.5);
    expect(Object.keys(reports[0] as Progress)).toEqual(['fraction']);
  });

  it('takes 0 and 1, and an empty note', () => {
    run.progress(0);
    vi.advanceTimersByTime(20);
    run.progress(1, '');
    expect(reports).toEqual([{ fraction: 0 }, { fraction: 1, note: '' }]);
  });

  it.each([-0.1, 1.1, 50, Number.NaN, Infinity])('refuses %d as a fraction', (fraction) => {
    const refused = () => run.progress(fraction);
    expect(refused).toThrow(new RangeError(`the fraction of progress() must be a number from 0 to 1; got ${fraction}`));
    expect(refused).toThrow(RangeError);
    expect(reports).toEqual([]);
  });

  it('refuses what is no number, and a note that is no text', () => {
    expect(() => run.progress('1' as unknown as number)).toThrow(
      new TypeError(`the fraction of progress() must be a number from 0 to 1; got '1'`),
    );
    expect(() => run.progress(1, 5 as unknown as string)).toThrow(
      new TypeError('the note of progress() must be a string; got 5'),
    );
    expect(reports).toEqual([]);
  });
});

it.each([false, true])('once ended, it does not follow the flag any more (stopped: %s)', (stopped) => {
  stopFlag = stopped;
  run.end();
  stopFlag = !stopped;
  expect(run.stopped).toBe(stopped);
});
