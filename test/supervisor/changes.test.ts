/** Tasks that wait are changed: their priority, their end; and tasks that have ended run again. */
import { backgroundTask, currentTask, type Priority, TaskSupervisor, type TaskType } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { oneSlot, superviseOne } from '../fixtures/one-slot.ts';
import { echo } from '../fixtures/tasks/echo.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';

const types: readonly TaskType[] = ['thread', 'process', 'loop'];

describe.each(types)('setPriority() (%s)', (type) => {
  it('puts a task behind those that wait with the new priority at that moment', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    const put = (label: string, priority: Priority = 'normal') =>
      holds.with({ supervisor, type, priority })(gate.port, label);
    const first = put('first');
    await gate.arrived(1);
    const oldest = put('low 1', 'low');
    const tasks = [oldest, put('normal 1'), put('low 2', 'low'), put('high', 'high'), put('normal 2')];
    expect(oldest.setPriority('normal')).toBe(true);
    expect(oldest.priority).toBe('normal');
    tasks.push(put('normal 3'));
    expect(first.setPriority('low')).toBe(false);
    gate.open();
    await Promise.all([first, ...tasks]);
    expect(gate.arrivals).toEqual(['first', 'high', 'normal 1', 'normal 2', 'low 1', 'normal 3', 'low 2']);
    expect(oldest.info.priority).toBe('normal');
    expect(oldest.setPriority('high')).toBe(false);
  });

  it('starts a task that has no slot with its old priority', async () => {
    await using supervisor = new TaskSupervisor({
      threads: { ...oneSlot, reserveHigh: 1 },
      processes: { ...oneSlot, reserveHigh: 1 },
      loop: { ...oneSlot, reserveHigh: 1 },
      logger: false,
    });
    await using gate = await Gate.create();
    const first = holds.with({ supervisor, type })(gate.port, 'first');
    await gate.arrived(1);
    const second = echo.with({ supervisor, type })('second');
    second.setPriority('high');
    expect(await second).toBe('second');
    gate.open();
    await first;
  });
});

describe('setPriority()', () => {
  it('holds for a task before its start, also in the moment of its call, and for its next attempt', async () => {
    await using supervisor = superviseOne();
    const seen: Priority[] = [];
    supervisor.on('task:started', ({ task }) => seen.push(task.priority));
    const now = echo.with({ supervisor })(1);
    expect(now.setPriority('low')).toBe(true);
    await now;
    const delayed = echo.with({ supervisor, delayMs: 1 })(2);
    delayed.setPriority('high');
    await delayed;
    const flaky = backgroundTask(
      () => {
        if (currentTask().attempt === 1) throw new Error('once');
      },
      { name: 'flaky', type: 'loop', supervisor, retries: 1, retryDelayMs: 1 },
    )();
    supervisor.once('task:retried', () => flaky.setPriority('critical'));
    await flaky;
    expect(seen).toEqual(['low', 'high', 'normal', 'critical']);
  });

  it('changes all that match a filter and wait, in their order, and says how many', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    const put = (label: string, priority: Priority, name: string) =>
      holds.with({ supervisor, priority, name })(gate.port, label);
    const first = put('first', 'low', 'mail');
    await gate.arrived(1);
    const rest = [
      put('n1', 'normal', 'other'),
      put('l1', 'low', 'mail'),
      put('n2', 'normal', 'mail'),
      put('l2', 'low', 'mail'),
    ];
    expect(supervisor.setPriority({ name: 'mail' }, 'normal')).toBe(3);
    gate.open();
    await Promise.all([first, ...rest]);
    expect(gate.arrivals).toEqual(['first', 'n1', 'n2', 'l1', 'l2']);
  });

  it('keeps the cap of a module, and the order in it', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    await using gate = await Gate.create();
    const module = supervisor.module('one', { maxWorkers: 1 });
    const put = (label: string, priority: Priority) => holds.with({ module, priority })(gate.port, label);
    const first = put('first', 'normal');
    await gate.arrived(1);
    const rest = [put('l1', 'low'), put('n1', 'normal'), put('l2', 'low')];
    expect(supervisor.setPriority({ module: 'one', priority: 'low' }, 'high')).toBe(2);
    expect(module.waiting).toBe(3);
    gate.open();
    await Promise.all([first, ...rest]);
    expect(gate.arrivals).toEqual(['first', 'l1', 'l2', 'n1']);
  });

  it('changes the inputs of an all() that wait', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    const first = holds.with({ supervisor })(gate.port, 'first');
    await gate.arrived(1);
    const all = echo.with({ supervisor, priority: 'low' }).all([[1], [2], [3]]);
    expect(all.setPriority('high')).toBe(true);
    expect(supervisor.getInfo().threads.waiting).toMatchObject({ high: 3, low: 0 });
    gate.open();
    expect(await all).toEqual([1, 2, 3]);
    await first;
  });

  it('is asked of the program by a task that has called it', async () => {
    await using supervisor = superviseOne();
    const caller = backgroundTask(
      async () => {
        const { backgroundTask: define } = await import('taskwarden');
        const child = define((n: number) => n, { name: 'child', delayMs: 5 })(1);
        const given = child.setPriority('high');
        await child;
        return [given, child.info.priority, child.setPriority('low')];
      },
      { name: 'caller', supervisor },
    );
    const seen: string[] = [];
    supervisor.on('task:started', ({ task }) => seen.push(`${task.name} ${task.priority}`));
    expect(await caller()).toEqual([true, 'high', false]);
    expect(seen).toEqual(['caller normal', 'child high']);
  });

  it('refuses a bad priority or filter', async () => {
    await using supervisor = superviseOne();
    const handle = echo.with({ supervisor })(1);
    expect(() => handle.setPriority('urgent' as Priority)).toThrow(/priority of setPriority\(\) must be one of/);
    expect(() => supervisor.setPriority({}, 'urgent' as Priority)).toThrow(/must be one of/);
    expect(() => supervisor.setPriority({ modul: 'x' } as never, 'low')).toThrow(
      /setPriority\(\) has no option "modul"/,
    );
    expect(() => supervisor.cancelTasks({ worker: 5 } as never)).toThrow(/option "worker" of cancelTasks\(\)/);
    await handle;
  });
});

it('cancelTasks() cancels what matches, whether it waits or runs, and says how many', async () => {
  await using supervisor = superviseOne();
  await using gate = await Gate.create();
  const runs = echo.with({ supervisor })('runs');
  await runs;
  const held = holds.with({ supervisor, stopGraceMs: 0, name: 'mail' })(gate.port, 'held');
  await gate.arrived(1);
  const waits = echo.with({ supervisor, name: 'mail' })(1);
  const delayed = echo.with({ supervisor, name: 'mail', delayMs: 1e6 })(2);
  const other = echo.with({ supervisor })(3);
  expect(supervisor.cancelTasks({ name: 'mail', status: 'completed' })).toBe(0);
  expect(supervisor.cancelTasks({ name: 'mail' }, 'no more mail')).toBe(3);
  for (const each of [held, waits, delayed]) {
    expect(await failure(each)).toMatchObject({ code: 'TASK_CANCELED', cause: 'no more mail' });
  }
  expect(await other).toBe(3);
});

describe('retryTask()', () => {
  it.each(types)('runs a task that failed once more, as a new task (%s)', async (type) => {
    await using supervisor = superviseOne();
    const fails = backgroundTask(
      async (word: string) => {
        const { currentTask: current } = await import('taskwarden');
        throw new Error(`${word} ${current().idempotencyKey}`);
      },
      { name: 'fails', supervisor, type, priority: 'high' },
    );
    const first = fails('tea');
    await failure(first);
    const again = supervisor.retryTask(first.id);
    expect(await failure(again)).toEqual(new Error(`tea ${first.id}`));
    expect(again.id).not.toBe(first.id);
    expect(again.info).toMatchObject({ retryOf: first.id, name: 'fails', priority: 'high', attempt: 1 });
    expect(first.info.retryOf).toBeUndefined();
    await failure(supervisor.retryTask(again.id));
  });

  it('runs a canceled one, though its signal has aborted and it had an id of its own', async () => {
    await using supervisor = superviseOne();
    const abort = new AbortController();
    const first = echo.with({ supervisor, signal: abort.signal, delayMs: 1e6, taskId: 'mine' })('tea');
    abort.abort();
    await failure(first);
    expect(await supervisor.retryTask('mine')).toBe('tea');
  });

  it('says why it can not', async () => {
    await using supervisor = new TaskSupervisor({ keepFinished: 1, threads: oneSlot, logger: false });
    const fault = (id: string): unknown => {
      try {
        return supervisor.retryTask(id);
      } catch (error) {
        return error;
      }
    };
    expect(fault('nobody')).toMatchObject({ code: 'TASK_NOT_FOUND', taskId: 'nobody' });
    const waits = echo.with({ supervisor, delayMs: 1e6 })(1);
    expect(fault(waits.id)).toMatchObject({ code: 'TASK_NOT_ENDED', message: expect.stringMatching(/it is delayed$/) });
    waits.cancel();
    await failure(waits);
    const done = echo.with({ supervisor })(2);
    await done;
    expect(fault(done.id)).toMatchObject({ code: 'ARGUMENTS_MISSING', message: expect.stringMatching(/completed/) });
    expect(fault(waits.id)).toMatchObject({ code: 'TASK_NOT_FOUND' });
    const moved = echo.with({ supervisor, transfer: (args) => args as never, delayMs: 1e6 })(new ArrayBuffer(8));
    moved.cancel();
    await failure(moved);
    expect(fault(moved.id)).toMatchObject({ code: 'ARGUMENTS_MISSING', message: expect.stringMatching(/transferred/) });
    const all = echo.with({ supervisor, delayMs: 1e6 }).all([[1]]);
    all.cancel();
    await failure(all);
    expect(fault(all.id)).toMatchObject({ code: 'ARGUMENTS_MISSING', message: expect.stringMatching(/an all\(\)/) });
    expect(() => supervisor.retryTask(5 as never)).toThrow(/the id of retryTask\(\) must be a string/);
  });
});

it('setPriority() of a call that has joined another changes the task of both', async () => {
  await using supervisor = superviseOne();
  await using gate = await Gate.create();
  const first = holds.with({ supervisor })(gate.port, 'first');
  await gate.arrived(1);
  const shared = echo.with({ supervisor, key: 'k', unique: 'join', priority: 'low' });
  const [own, two] = [shared('a'), shared('b')];
  expect(two.setPriority('high')).toBe(true);
  expect([own.priority, two.priority]).toEqual(['high', 'high']);
  expect(supervisor.setPriority({ key: 'k' }, 'low')).toBe(1);
  gate.open();
  expect(await Promise.all([first, own, two])).toHaveLength(3);
});
