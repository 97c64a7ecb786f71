/** `deadlineMs`: one time for all that a task does, from its call to its end. */
import { backgroundTask, currentTask, TaskSupervisor, type TaskType } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { oneSlot, superviseOne } from '../fixtures/one-slot.ts';
import { echo } from '../fixtures/tasks/echo.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';

const types: readonly TaskType[] = ['thread', 'process', 'loop'];
const foreverMs = 1e9;

/** Lets a host load what it is to run. */
async function warm(supervisor: TaskSupervisor, type: TaskType): Promise<void> {
  await using gate = await Gate.create();
  gate.open();
  await holds.with({ supervisor, type })(gate.port, 'warm');
}

describe.each(types)('deadlineMs (%s)', (type) => {
  it('ends a task that runs when it is over, and does not try it again', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    await warm(supervisor, type);
    const options = {
      supervisor,
      type,
      deadlineMs: 500,
      stopGraceMs: 0,
      retries: 5,
      retryDelayMs: 0,
      crashRetries: 5,
    };
    const handle = holds.with(options)(gate.port, 'held');
    const error = await failure(handle);
    expect(error).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 500, taskId: handle.id });
    expect(handle.info).toMatchObject({ status: 'failed', endReason: 'timeout', attempt: 1 });
    expect(await echo.with({ supervisor, type })('the slot is free')).toBe('the slot is free');
  });

  it('ends a task that waits, and never runs it', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    const first = holds.with({ supervisor, type })(gate.port, 'first');
    await gate.arrived(1);
    const late = holds.with({ supervisor, type, deadlineMs: 20 })(gate.port, 'late');
    expect(await failure(late)).toMatchObject({ code: 'TASK_EXPIRED', timeoutMs: 20, taskId: late.id });
    expect(late.info).toMatchObject({ status: 'failed', endReason: 'expired', attempt: 0 });
    gate.open();
    await first;
    expect(gate.arrivals).toEqual(['first']);
  });

  it('takes no notice of a task that has ended in time', async () => {
    await using supervisor = superviseOne();
    const results = [1, 2, 3].map((n) => echo.with({ supervisor, type, deadlineMs: 60_000 })(n));
    expect(await Promise.all(results)).toEqual([1, 2, 3]);
  });

  it('ends an all() as a whole', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    await warm(supervisor, type);
    const options = { supervisor, type, deadlineMs: 500, stopGraceMs: 0 };
    const handle = holds.with(options).all([
      [gate.port, 'a'],
      [gate.port, 'b'],
    ]);
    await gate.arrived(1);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 500, taskId: handle.id });
    expect(handle.info).toMatchObject({ status: 'failed', endReason: 'timeout' });
  });
});

describe('deadlineMs', () => {
  const attempts: number[] = [];
  const fails = backgroundTask(
    () => {
      attempts.push(currentTask().attempt);
      throw new Error(`attempt ${currentTask().attempt}`);
    },
    { name: 'fails', type: 'loop' },
  );

  it('ends a task at once if a pause before the next attempt would last longer, with the last error as cause', async () => {
    await using supervisor = superviseOne();
    const handle = fails.with({ supervisor, deadlineMs: foreverMs, retries: 9, retryDelayMs: () => 2 * foreverMs })();
    expect(await failure(handle)).toMatchObject({
      code: 'TASK_TIMEOUT',
      cause: expect.objectContaining({ message: 'attempt 1' }),
    });
    expect(handle.info).toMatchObject({ endReason: 'timeout', attempt: 1 });
    expect(supervisor.getInfo()).toMatchObject({ retried: 0, pending: 0 });
  });

  it('ends a task that always fails, whatever its retries', async () => {
    await using supervisor = superviseOne();
    const options = {
      supervisor,
      deadlineMs: 100,
      retries: Infinity,
      retryDelayMs: { minMs: 1, factor: 1, jitter: 0 },
    };
    const handle = fails.with(options)();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 100 });
    expect(handle.info.attempt).toBeGreaterThan(1);
  });

  it('ends a task that waits for its next attempt, with the last error as cause', async () => {
    await using supervisor = superviseOne();
    const once = backgroundTask(
      () => {
        supervisor.pause();
        throw new Error('once');
      },
      { name: 'once', type: 'loop' },
    );
    const handle = once.with({ supervisor, deadlineMs: 100, retries: 1, retryDelayMs: 0 })();
    const error = await failure(handle);
    expect(error).toMatchObject({ code: 'TASK_TIMEOUT', cause: expect.objectContaining({ message: 'once' }) });
    expect(handle.info).toMatchObject({ endReason: 'timeout', attempt: 1 });
  });

  it('replaces the time-out of an attempt that would be tried again', async () => {
    await using supervisor = superviseOne();
    const stubborn = backgroundTask(() => new Promise(() => {}), { name: 'stubborn', type: 'loop' });
    const options = { supervisor, timeoutMs: 1, stopGraceMs: 200, deadlineMs: 50, retries: 9, retryDelayMs: 0 };
    const handle = stubborn.with(options)();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 50 });
    expect(handle.info.attempt).toBe(1);
  });

  it('refuses a result that came too late, though its timer could not fire', async () => {
    await using supervisor = superviseOne();
    const blocks = backgroundTask(
      () => {
        const end = performance.now() + 30;
        while (performance.now() < end);
        return 'late';
      },
      { name: 'blocks', type: 'loop' },
    );
    expect(await failure(blocks.with({ supervisor, deadlineMs: 10 })())).toMatchObject({ code: 'TASK_TIMEOUT' });
  });

  it('ends the tasks that the task has called, and they can have one of their own', async () => {
    await using supervisor = superviseOne();
    const below: string[] = [];
    const waits = backgroundTask(
      () =>
        new Promise((_, reject) => {
          const { signal } = currentTask();
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
      { name: 'waits', type: 'loop' },
    );
    supervisor.on('task:failed', ({ task }) => below.push(`${task.name} ${task.endReason}`));
    supervisor.on('task:canceled', ({ task }) => below.push(`${task.name} ${task.endReason}`));
    const parent = backgroundTask(() => waits.with({ supervisor })(), { name: 'parent', type: 'loop' });
    expect(await failure(parent.with({ supervisor, deadlineMs: 50 })())).toMatchObject({ code: 'TASK_TIMEOUT' });
    expect(below.toSorted()).toEqual(['parent timeout', 'waits canceled']);
    const patient = backgroundTask(() => failure(waits.with({ supervisor, deadlineMs: 20 })()), {
      type: 'loop',
      name: 'p',
    });
    expect(await patient.with({ supervisor })()).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 20 });
  });

  it('is kept by a task that a thread calls', async () => {
    await using supervisor = new TaskSupervisor({ threads: oneSlot, loop: oneSlot, logger: false });
    const parent = backgroundTask(
      async () => {
        const { backgroundTask: define } = await import('taskwarden');
        const hangs = define(() => new Promise(() => {}), { name: 'hangs', deadlineMs: 300, stopGraceMs: 0 });
        try {
          return await hangs();
        } catch (error) {
          return (error as { code: string }).code;
        }
      },
      { name: 'parent' },
    );
    expect(await parent.with({ supervisor })()).toMatch(/^TASK_(TIMEOUT|EXPIRED)$/);
  });

  it('of callers that have joined a task ends the wait of each, and the task with the last', async () => {
    await using supervisor = superviseOne();
    let runs = 0;
    let wasStopped = false;
    const joined = backgroundTask(
      (_key: string) => {
        runs += 1;
        return new Promise((resolve) => {
          currentTask().signal.addEventListener('abort', () => {
            wasStopped = true;
            resolve(1);
          });
        });
      },
      { name: 'joined', type: 'loop', key: (key: string) => key, unique: 'join', supervisor },
    );
    const first = joined.with({ deadlineMs: 30 })('a');
    const second = joined.with({ deadlineMs: 60 })('a');
    const third = joined('a');
    expect(await failure(first)).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 30 });
    expect([first.status, first.info.endReason, first.done]).toEqual(['failed', 'timeout', true]);
    expect(await failure(second)).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 60 });
    expect([second.status, third.status, wasStopped]).toEqual(['failed', 'started', false]);
    third.cancel();
    await failure(third);
    expect([runs, wasStopped]).toEqual([1, true]);
    const last = joined.with({ deadlineMs: 30 })('b');
    await begunOf(supervisor, 'joined');
    expect(await failure(last)).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 30 });
    expect(runs).toBe(2);
  });

  it('counts the delay, which must be shorter', async () => {
    await using supervisor = superviseOne();
    const delayed = echo.with({ supervisor, delayMs: 20, deadlineMs: 60_000 })('delayed');
    expect(await delayed).toBe('delayed');
    expect(() => echo.with({ delayMs: 20, deadlineMs: 20 })).toThrow(
      'option "deadlineMs" of echo.with() counts from the call, so it must be more than "delayMs", which is 20; got 20',
    );
    expect(() => echo.with({ deadlineMs: 0 })).toThrow(RangeError);
  });

  it('starts again for a task that is run again', async () => {
    await using supervisor = superviseOne();
    supervisor.pause();
    const handle = echo.with({ supervisor, type: 'loop', deadlineMs: 500 })('again');
    await failure(handle);
    supervisor.resume();
    expect(await supervisor.retryTask(handle.id)).toBe('again');
  });

  it('leaves no timer behind', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const handle = holds.with({ supervisor, type: 'loop', deadlineMs: foreverMs })(gate.port, 'canceled');
    await begunOf(supervisor, 'holds');
    handle.cancel();
    await failure(handle);
    expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length).toBeLessThanOrEqual(before);
  });
});

function begunOf(supervisor: TaskSupervisor, name: string): Promise<unknown> {
  return heard(supervisor, 'task:started', ({ task }) => task.name === name);
}
