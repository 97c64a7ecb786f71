/** Modules on real lanes: the cap holds over all of them, and what it holds back blocks nobody and goes on in order. */
import { backgroundTask, type TaskInfo, TaskModule, TaskSupervisor, type TaskType } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { echo } from '../fixtures/tasks/echo.ts';
import { exits } from '../fixtures/tasks/exits.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import { recurses, waitsForTheLast } from '../fixtures/tasks/recurses.ts';
import { failsBefore } from '../fixtures/tasks/throws.ts';

const types: readonly TaskType[] = ['thread', 'process', 'loop'];

function supervise(): TaskSupervisor {
  return new TaskSupervisor({ threads: { poolSize: 4 }, processes: { poolSize: 4 }, logger: false });
}

/** Notes the most tasks of the module that ran at a time. */
function watchPeak(supervisor: TaskSupervisor, module: string): () => number {
  let peak = 0;
  const running = new Set<string>();
  supervisor.on('task:started', ({ task }) => {
    if (task.module === module) running.add(task.id);
    peak = Math.max(peak, running.size);
  });
  for (const event of ['task:completed', 'task:failed', 'task:canceled', 'task:retried'] as const) {
    supervisor.on(event, ({ task }) => running.delete(task.id));
  }
  return () => peak;
}

describe('the cap of a module', () => {
  it('holds over threads, children and the loop together', async () => {
    await using supervisor = supervise();
    await using gate = await Gate.create();
    const module = supervisor.module('images', { maxWorkers: 2 });
    const peak = watchPeak(supervisor, 'images');
    const handles = Array.from({ length: 9 }, (_, n) =>
      holds.with({ module, type: types[n % 3] as TaskType })(gate.port, `${n}`),
    );
    await gate.arrived(2);
    expect([module.running, module.waiting]).toEqual([2, 7]);
    gate.open();
    await Promise.all(handles);
    expect(peak()).toBe(2);
    expect([module.running, module.waiting]).toEqual([0, 0]);
  });

  it('holds back nobody else, of any priority', async () => {
    await using supervisor = supervise();
    await using gate = await Gate.create();
    const module = supervisor.module('slow', { maxWorkers: 1 });
    const held = (['high', 'normal', 'low', 'critical'] as const).map((priority) =>
      holds.with({ module, priority })(gate.port, priority),
    );
    await gate.arrived(1);
    expect(await echo.with({ supervisor, priority: 'low' })('not held')).toBe('not held');
    expect(gate.arrivals).toHaveLength(1);
    gate.open();
    await Promise.all(held);
  });

  it('lets those it held back go on by priority, then in the order in which they came', async () => {
    await using supervisor = supervise();
    await using gate = await Gate.create();
    const module = supervisor.module('slow', { maxWorkers: 1 });
    const put = (priority: 'low' | 'normal' | 'high', label: string) =>
      holds.with({ module, priority })(gate.port, label);
    const first = put('normal', 'first');
    await gate.arrived(1);
    const rest = [
      put('low', 'low 1'),
      put('normal', 'normal 1'),
      put('low', 'low 2'),
      put('high', 'high 1'),
      put('normal', 'normal 2'),
    ];
    gate.open();
    await Promise.all([first, ...rest]);
    expect(gate.arrivals).toEqual(['first', 'high 1', 'normal 1', 'normal 2', 'low 1', 'low 2']);
  });

  it('can be changed while tasks wait and run', async () => {
    await using supervisor = supervise();
    await using gate = await Gate.create();
    const module = supervisor.module('images', { maxWorkers: 1 });
    const handles = Array.from({ length: 6 }, (_, n) => module.addTask(holds, { args: [gate.port, `${n}`] }));
    await gate.arrived(1);
    module.maxWorkers = 3;
    await gate.arrived(3);
    expect([module.maxWorkers, module.running, module.waiting]).toEqual([3, 3, 3]);
    supervisor.module('images', { maxWorkers: 1 });
    gate.pass('0');
    await handles[0];
    gate.pass('1');
    await handles[1];
    expect([module.running, module.waiting]).toEqual([1, 3]);
    gate.pass('2');
    await gate.arrived(4);
    expect(gate.arrivals.at(-1)).toBe('3');
    gate.open();
    await Promise.all(handles);
  });

  it('gives back the place of a task that fails, crashes, is canceled or times out', async () => {
    await using supervisor = supervise();
    await using gate = await Gate.create();
    const module = supervisor.module('risky', { maxWorkers: 1 });
    const ends = [
      failure(failsBefore.with({ module })(9)),
      failure(exits.with({ module })(3)),
      failure(holds.with({ module, timeoutMs: 1, stopGraceMs: 1 })(gate.port, 'late')),
    ];
    const waiting = holds.with({ module })(gate.port, 'never');
    waiting.cancel();
    await Promise.all([...ends, failure(waiting)]);
    expect(await echo.with({ module })('free')).toBe('free');
    expect([module.running, module.waiting]).toEqual([0, 0]);
  });

  it('counts the tasks of a batch one by one', async () => {
    await using supervisor = supervise();
    const module = supervisor.module('small', { maxWorkers: 3 });
    let most = 0;
    supervisor.on('task:started', () => {
      most = Math.max(most, module.running);
    });
    const results = await Promise.all(Array.from({ length: 1_000 }, (_, n) => echo.with({ module })(n)));
    expect(results).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
    expect(most).toBeLessThanOrEqual(3);
    expect([module.running, module.waiting]).toEqual([0, 0]);
  });

  it.each(types)('is lent by a %s task that waits for tasks of its own module', async (type) => {
    await using supervisor = supervise();
    const module = supervisor.module('recursion', { maxWorkers: 1 });
    const computing = () => module.running;
    let most = 0;
    supervisor.on('task:started', () => {
      most = Math.max(most, computing());
    });
    expect(await recurses.with({ module, type })(3, 2)).toBe(15);
    expect(most).toBe(1);
    expect([module.running, module.waiting]).toEqual([0, 0]);
  });

  it.each(types)('is lent by a %s task to one that it waits for, whatever is held back before that', async (type) => {
    await using supervisor = supervise();
    const module = supervisor.module('recursion', { maxWorkers: 1 });
    expect(await waitsForTheLast.with({ module, type, timeoutMs: 10_000 })()).toBe(2);
  });

  it('is made for the supervisor by a thread that asks for a module it does not know', async () => {
    await using supervisor = supervise();
    expect(await recurses.with({ supervisor })(2, 2)).toBe(7);
    expect(supervisor.module('recursion').maxWorkers).toBe(1);
  });

  it('is seen in TaskInfo and in the figures of the supervisor', async () => {
    await using supervisor = supervise();
    await using gate = await Gate.create();
    const module = supervisor.module('images', { maxWorkers: 1 });
    const handles = ['a', 'b', 'c'].map((label) => module.addTask(holds, { args: [gate.port, label] }));
    await gate.arrived(1);
    expect(handles.map(({ info }) => info.module)).toEqual(['images', 'images', 'images']);
    expect(supervisor.getInfo().modules).toEqual({
      images: { maxWorkers: 1, isPaused: false, running: 1, waiting: 2 },
    });
    expect(supervisor.getInfo().threads).toMatchObject({ running: 1, waiting: { normal: 2 } });
    expect(supervisor.getTasks({ status: 'queued' }).map(({ id }) => id)).toEqual([handles[1]?.id, handles[2]?.id]);
    expect(echo.with({ supervisor })(1).info.module).toBeUndefined();
    gate.open();
    await Promise.all(handles);
  });

  it('reports tasks that it holds back for too long', async () => {
    await using supervisor = new TaskSupervisor({ logger: false, timeoutWarningMs: 20 });
    await using gate = await Gate.create();
    const module = supervisor.module('slow', { maxWorkers: 1 });
    const late: TaskInfo[] = [];
    supervisor.on('task:timeout-warning', ({ task }) => late.push(task));
    const handles = ['a', 'b', 'c'].map((label) => holds.with({ module })(gate.port, label));
    await gate.arrived(1);
    while (late.length < 2) await heard(supervisor, 'task:timeout-warning');
    expect(late.map(({ id }) => id)).toEqual([handles[1]?.id, handles[2]?.id]);
    gate.open();
    await Promise.all(handles);
  });

  it('counts what it holds back against maxQueued, and takes in what could start at once', async () => {
    await using supervisor = new TaskSupervisor({ logger: false, maxQueued: 1 });
    await using gate = await Gate.create();
    const module = supervisor.module('slow', { maxWorkers: 1 });
    const running = holds.with({ module })(gate.port, 'a');
    await gate.arrived(1);
    const waiting = holds.with({ module })(gate.port, 'b');
    expect(await failure(holds.with({ module })(gate.port, 'c'))).toMatchObject({ code: 'QUEUE_FULL' });
    expect(await echo.with({ supervisor })('at once')).toBe('at once');
    gate.open();
    await Promise.all([running, waiting]);
  });

  it('holds nobody up when the supervisor stops', async () => {
    const supervisor = supervise();
    await using gate = await Gate.create();
    const module = supervisor.module('slow', { maxWorkers: 1 });
    const handles = ['a', 'b', 'c'].map((label) => holds.with({ module })(gate.port, label));
    await gate.arrived(1);
    const stopped = supervisor.stop();
    gate.open();
    expect(await stopped).toEqual({ finished: 3, canceled: 0, terminated: 0 });
    expect(await Promise.all(handles)).toEqual(['a', 'b', 'c']);
  });
});

describe('a module', () => {
  it('calls back with the result, one function or several', async () => {
    await using supervisor = supervise();
    const module = supervisor.module('images');
    const heardOf: string[] = [];
    const log = (value: unknown) => heardOf.push(`log ${value}`);
    const store = (value: unknown) => heardOf.push(`store ${value}`);
    await module.addTask(echo, { args: ['a'], callback: log });
    await module.addTask(echo, { args: ['b'], callback: [log, store] });
    expect(heardOf).toEqual(['log a', 'log b', 'store b']);
  });

  it('runs functions that are no background tasks, as putTask does', async () => {
    await using supervisor = supervise();
    const sum = (a: number, b: number) => a + b;
    expect(await supervisor.module('sums').addTask(sum, { args: [2, 3] })).toBe(5);
  });

  it('is one for each name, until which it is made', async () => {
    await using supervisor = supervise();
    const module = supervisor.module('images', { maxWorkers: 5 });
    expect(supervisor.module('images')).toBe(module);
    expect(module.maxWorkers).toBe(5);
    expect(supervisor.module('other').maxWorkers).toBe(Infinity);
    expect(() => new TaskModule('images', { supervisor })).toThrow(
      expect.objectContaining({ code: 'DUPLICATE_MODULE_NAME', message: expect.stringContaining('"images"') }),
    );
  });

  it('can be extended, and is then named after its class', async () => {
    await using supervisor = supervise();
    class Images extends TaskModule {
      add = (a: number, b: number) =>
        this.addTask(
          backgroundTask((x: number, y: number) => x + y, { name: 'add' }),
          { args: [a, b] },
        );
    }
    const images = new Images({ supervisor, maxWorkers: 5 });
    expect([images.name, images.maxWorkers]).toEqual(['Images', 5]);
    const handle = images.add(2, 3);
    expect(handle.info.module).toBe('Images');
    expect(await handle).toBe(5);
  });

  it('has the cap that a field of a class in JavaScript gives it', async () => {
    await using supervisor = supervise();
    class Images extends TaskModule {
      constructor() {
        super({ supervisor });
        Object.defineProperty(this, 'maxWorkers', { value: 1, writable: true, enumerable: true, configurable: true });
      }
    }
    const module = new Images();
    await using gate = await Gate.create();
    const handles = ['first', 'second'].map((label) => holds.with({ module })(gate.port, label));
    expect([module.running, module.waiting]).toEqual([1, 1]);
    gate.open();
    await Promise.all(handles);
    module.maxWorkers = 2;
    expect([Object.hasOwn(module, 'maxWorkers'), supervisor.getInfo().modules['Images']?.maxWorkers]).toEqual([
      false,
      2,
    ]);
  });

  it('brings its supervisor along, and goes with no other', async () => {
    await using supervisor = supervise();
    await using other = supervise();
    const module = supervisor.module('images');
    await echo.with({ module })(1);
    expect(supervisor.getInfo().submitted).toBe(1);
    expect(() => echo.with({ module, supervisor: other })).toThrow(/of another supervisor/);
    expect(() => other.putTask(echo.with({ module }), { args: [1] })).toThrow(
      /"echo" is of module "images" of another supervisor/,
    );
  });

  it.each([
    [{ maxWorkers: -1 }, /maxWorkers.*0 or more, or Infinity; got -1/],
    [{ maxWorkers: '5' }, /maxWorkers.*got '5'/],
    [{ maxworkers: 5 }, /no option "maxworkers"/],
  ])('refuses %j', async (options, message) => {
    await using supervisor = supervise();
    expect(() => supervisor.module('images', options as object)).toThrow(message);
    expect(() => new TaskModule('images', { supervisor, ...options } as object)).toThrow(message);
    expect(() => supervisor.module('')).toThrow(/name/);
  });

  it('refuses a cap that is none, and keeps the one it has', async () => {
    await using supervisor = supervise();
    const module = supervisor.module('images', { maxWorkers: 2 });
    expect(() => {
      module.maxWorkers = Number.NaN;
    }).toThrow(/maxWorkers of module "images"/);
    expect(module.maxWorkers).toBe(2);
  });
});
