/** Pauses of a supervisor, of priorities, of modules: what runs goes on, nothing new starts, and all go on in order. */
import { backgroundTask, type Priority, TaskModule, TaskSupervisor, type TaskType } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { oneSlot, superviseOne } from '../fixtures/one-slot.ts';
import { echo } from '../fixtures/tasks/echo.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';

const types: readonly TaskType[] = ['thread', 'process', 'loop'];

describe.each(types)('a paused supervisor (%s)', (type) => {
  it('lets what runs go on, starts nothing, and then all in their order', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    const put = (label: string, priority: Priority = 'normal') =>
      holds.with({ supervisor, type, priority })(gate.port, label);
    const first = put('first');
    await gate.arrived(1);
    const before = [put('low 1', 'low'), put('normal 1'), put('normal 2')];
    supervisor.pause();
    const later = [put('low 2', 'low'), put('high', 'high'), put('normal 3')];
    expect(supervisor.isPaused).toBe(true);
    gate.open();
    await first;
    expect(supervisor.getInfo()).toMatchObject({ isPaused: true, pausedPriorities: [], pending: 6 });
    expect(gate.arrivals).toEqual(['first']);
    expect([...before, ...later].map(({ status }) => status)).toEqual(Array(6).fill('queued'));
    supervisor.resume();
    expect(supervisor.isPaused).toBe(false);
    await Promise.all([...before, ...later]);
    expect(gate.arrivals).toEqual(['first', 'high', 'normal 1', 'normal 2', 'normal 3', 'low 1', 'low 2']);
  });

  it('takes back what was handed over and has not begun', async () => {
    await using supervisor = superviseOne();
    const handle = echo.with({ supervisor, type })('later');
    await new Promise(setImmediate); // its thread or child is being started
    if (type === 'loop') return; // there it has begun
    supervisor.pause();
    await supervisor.configure({ threads: { minSize: 1 }, processes: { minSize: 1 } }).ready();
    expect(handle.status).toBe('queued');
    supervisor.resume();
    expect(await handle).toBe('later');
  });

  it('takes back what was submitted in the same moment', async () => {
    await using supervisor = superviseOne();
    const handles = [1, 2, 3].map((n) => echo.with({ supervisor, type })(n));
    supervisor.pause();
    await new Promise(setImmediate);
    expect(handles.map(({ status }) => status)).toEqual(['queued', 'queued', 'queued']);
    supervisor.resume();
    expect(await Promise.all(handles)).toEqual([1, 2, 3]);
  });

  it('starts the tasks that a running task calls', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    await using gate = await Gate.create();
    const parent = backgroundTask(
      async (port: number) => {
        const { holds: held } = await import('../fixtures/tasks/holds.ts');
        await held.with({ type: 'loop' })(port, 'parent');
        return await held.with({ type: 'loop' })(port, 'child');
      },
      { name: 'parent', type: 'loop', supervisor },
    )(gate.port);
    await gate.arrived(1);
    supervisor.pause();
    gate.open();
    await parent;
    expect(gate.arrivals).toEqual(['parent', 'child']);
  });

  it('cancels what waits when it is stopped, and also when it is paused then', async () => {
    const supervisor = superviseOne();
    await using gate = await Gate.create();
    const runs = holds.with({ supervisor, type })(gate.port, 'runs');
    await gate.arrived(1);
    const waits = echo.with({ supervisor, type })(1);
    supervisor.pause({ priority: 'normal' });
    const low = echo.with({ supervisor, type, priority: 'low' })(2);
    const stopped = supervisor.stop();
    expect(await failure(waits)).toMatchObject({ code: 'TASK_CANCELED' });
    expect(waits.info.endReason).toBe('shutdown');
    expect(low.status).toBe('queued');
    supervisor.pause();
    expect(await failure(low)).toMatchObject({ code: 'TASK_CANCELED' });
    gate.open();
    await runs;
    expect(await stopped).toEqual({ finished: 1, canceled: 2, terminated: 0 });
  });
});

describe('a paused supervisor', () => {
  it('lets the time in the queue go on', async () => {
    await using supervisor = superviseOne();
    supervisor.pause();
    const handle = echo.with({ supervisor, queueTimeoutMs: 5 })(1);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_EXPIRED' });
  });

  it('counts what is paused for maxQueued', async () => {
    await using supervisor = new TaskSupervisor({ maxQueued: 1, logger: false });
    supervisor.pause();
    const waits = echo.with({ supervisor })(1);
    expect(await failure(echo.with({ supervisor })(2))).toMatchObject({ code: 'QUEUE_FULL' });
    supervisor.resume();
    expect(await waits).toBe(1);
  });

  it('keeps the inputs of all() and of map()', async () => {
    await using supervisor = superviseOne();
    supervisor.pause();
    const all = echo.with({ supervisor }).all([[1], [2], [3]]);
    const mapped = echo
      .with({ supervisor })
      .map([[4], [5]], { ordered: true })
      .next();
    await new Promise(setImmediate);
    expect(all.status).toBe('queued');
    supervisor.resume();
    expect(await all).toEqual([1, 2, 3]);
    expect(await mapped).toEqual({ done: false, value: 4 });
  });

  it('ends an all() when it is stopped', async () => {
    const supervisor = superviseOne();
    supervisor.pause();
    const all = echo.with({ supervisor }).all([[1], [2], [3]]);
    const failed = failure(all);
    await supervisor.stop();
    expect(await failed).toMatchObject({ code: 'TASK_CANCELED' });
  });

  it('is an event, once', async () => {
    await using supervisor = superviseOne();
    const events: unknown[] = [];
    for (const event of ['supervisor:paused', 'supervisor:resumed'] as const) {
      supervisor.on(event, ({ priority }) => events.push([event, priority]));
    }
    supervisor.pause().pause().pause({ priority: 'low' }).resume().resume().resume({ priority: 'low' });
    expect(events).toEqual([
      ['supervisor:paused', undefined],
      ['supervisor:paused', 'low'],
      ['supervisor:resumed', undefined],
      ['supervisor:resumed', 'low'],
    ]);
  });

  it('refuses a bad priority', async () => {
    await using supervisor = superviseOne();
    expect(() => supervisor.pause({ priority: 'urgent' as Priority })).toThrow(
      /option "priority" of pause\(\) must be one of 'critical', .*; got 'urgent'$/,
    );
    expect(() => supervisor.resume({ prority: 'low' } as never)).toThrow(/did you mean "priority"/);
  });

  it('logs no stall', async () => {
    const lines: string[] = [];
    const logger = { warn: (line: string) => lines.push(line), error: (line: string) => lines.push(line) };
    await using supervisor = new TaskSupervisor({
      threads: oneSlot,
      timeoutWarningMs: 10,
      timeoutCriticalMs: 20,
      logger,
    });
    supervisor.pause();
    const handle = echo.with({ supervisor })(1);
    await heard(supervisor, 'task:timeout-critical');
    expect(lines).toEqual([]);
    supervisor.resume();
    await handle;
  });
});

describe('a paused priority', () => {
  it('blocks no other, neither above nor below', async () => {
    await using supervisor = superviseOne();
    supervisor.pause({ priority: 'normal' });
    const normal = echo.with({ supervisor })('normal');
    for (const priority of ['low', 'high', 'critical'] as const) {
      expect(await echo.with({ supervisor, priority })(priority)).toBe(priority);
    }
    expect(normal.status).toBe('queued');
    expect(supervisor.pausedPriorities).toEqual(['normal']);
    expect(supervisor.getInfo()).toMatchObject({ isPaused: false, pausedPriorities: ['normal'] });
    supervisor.resume({ priority: 'normal' });
    expect(await normal).toBe('normal');
  });

  it('stays paused when the supervisor is resumed', async () => {
    await using supervisor = superviseOne();
    supervisor.pause({ priority: 'low' }).pause().resume();
    const low = echo.with({ supervisor, priority: 'low' })('low');
    expect(await echo.with({ supervisor })('normal')).toBe('normal');
    expect(low.status).toBe('queued');
    supervisor.resume({ priority: 'low' });
    expect(await low).toBe('low');
  });
});

describe.each(['pause()', 'maxWorkers: 0'])('a module with %s', (how) => {
  function pause(module: TaskModule): void {
    if (how === 'pause()') module.pause();
    else module.maxWorkers = 0;
  }

  function resume(module: TaskModule): void {
    if (how === 'pause()') module.resume();
    else module.maxWorkers = 1;
  }

  it('lets what runs go on, starts nothing, blocks nobody, and goes on in order', async () => {
    await using supervisor = superviseOne();
    await using gate = await Gate.create();
    const module = supervisor.module('mail', { maxWorkers: 1 });
    const first = holds.with({ module })(gate.port, 'first');
    await gate.arrived(1);
    const rest = ['a', 'b', 'c'].map((label) => holds.with({ module })(gate.port, label));
    pause(module);
    gate.open();
    await first;
    expect(await echo.with({ supervisor })('other')).toBe('other');
    expect(gate.arrivals).toEqual(['first']);
    expect(module.isPaused).toBe(how === 'pause()');
    expect(supervisor.getInfo().modules['mail']).toMatchObject({ isPaused: how === 'pause()', running: 0, waiting: 3 });
    resume(module);
    await Promise.all(rest);
    expect(gate.arrivals).toEqual(['first', 'a', 'b', 'c']);
  });

  it('is stopped without what waits', async () => {
    const supervisor = superviseOne();
    const module = supervisor.module('mail', { maxWorkers: 1 });
    pause(module);
    const waits = echo.with({ module })(1);
    expect(await echo.with({ supervisor })(2)).toBe(2);
    const failed = failure(waits);
    expect(await supervisor.stop()).toEqual({ finished: 0, canceled: 1, terminated: 0 });
    expect(await failed).toMatchObject({ code: 'TASK_CANCELED' });
  });
});

it('a pause of a module keeps maxWorkers, and is an event', async () => {
  await using supervisor = superviseOne();
  const events: unknown[] = [];
  supervisor.on('module:paused', ({ name }) => events.push(['paused', name]));
  supervisor.on('module:resumed', ({ name }) => events.push(['resumed', name]));
  const module = new TaskModule('mail', { supervisor, maxWorkers: 3 });
  module.pause();
  module.pause();
  module.maxWorkers = 5;
  expect(module.maxWorkers).toBe(5);
  module.resume();
  expect(module.maxWorkers).toBe(5);
  expect(events).toEqual([
    ['paused', 'mail'],
    ['resumed', 'mail'],
  ]);
});
