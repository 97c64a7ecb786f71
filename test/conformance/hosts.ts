/** What holds for the threads and children that tasks run in: how they are set up, replaced, and given their callers' context. */
import { getPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import {
  type SupervisorOptions,
  type TaskHandle,
  TaskSupervisor,
  TaskwardenError,
  type ThreadOptions,
} from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure, interceptStderr } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import {
  type Context,
  callsInContext,
  callsInUncloneable,
  carrier,
  seesRequest,
  seesRequestAgain,
  seesRequestAtOnce,
  storage,
} from '../fixtures/tasks/carries.ts';
import { Diary } from '../fixtures/tasks/diary.ts';
import { add, echo } from '../fixtures/tasks/echo.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import { importsSetUp } from '../fixtures/tasks/imports-set-up.ts';
import { makeRecorded, recorded } from '../fixtures/tasks/recorded.ts';
import { here, keepsMemory, seesSetup, seesSetupToo } from '../fixtures/tasks/sets-up.ts';
import { setsUpTwice } from '../fixtures/tasks/sets-up-twice.ts';
import { makeSmall, small } from '../fixtures/tasks/small.ts';
import { systemPriority } from '../fixtures/tasks/system-priority.ts';

interface HostsUnderTest {
  readonly type: 'thread' | 'process';
  readonly pool: 'threads' | 'processes';
}

/** How the threads and children of a supervisor come and go. */
class Comings {
  /** `+1` for one that has started, and `-1` when that has exited; the number is its id. */
  readonly log: string[] = [];
  #wake = () => {};

  constructor(supervisor: TaskSupervisor) {
    supervisor.on('thread:started', ({ threadId }) => this.#note(`+${threadId}`));
    supervisor.on('thread:exited', ({ threadId }) => this.#note(`-${threadId}`));
    supervisor.on('child:started', ({ pid }) => this.#note(`+${pid}`));
    supervisor.on('child:exited', ({ pid }) => this.#note(`-${pid}`));
  }

  #note(what: string): void {
    this.log.push(what);
    this.#wake();
  }

  /** Their ids. */
  get started(): readonly number[] {
    return this.#ids('+');
  }

  get exited(): readonly number[] {
    return this.#ids('-');
  }

  #ids(sign: string): readonly number[] {
    return this.log.filter((each) => each.startsWith(sign)).map((each) => Number(each.slice(1)));
  }

  async until(isSo: (comings: this) => boolean): Promise<void> {
    while (!isSo(this)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function hostOf({ info }: TaskHandle<unknown>): number {
  return (info.threadId ?? info.pid) as number;
}

export function testHosts({ type, pool }: HostsUnderTest): void {
  const staying = { reserveNormal: 0, reserveHigh: 0, idleTimeoutMs: Infinity };

  /** With so many slots, and hosts that stay. */
  function supervise(poolSize = 1, limits: ThreadOptions = {}, options: SupervisorOptions = {}): TaskSupervisor {
    return new TaskSupervisor({ [pool]: { ...staying, poolSize, ...limits }, logger: false, ...options });
  }

  const shared = new SharedSupervisors();

  function superviseWithContext(poolSize = 1): TaskSupervisor {
    return shared.take({ [pool]: { ...staying, poolSize }, logger: false, context: carrier });
  }

  /** Has each of so many run a task at the same time, and gives their ids. */
  async function occupy(supervisor: TaskSupervisor, count: number): Promise<number[]> {
    await using gate = await Gate.create();
    const handles = Array.from({ length: count }, (_, n) => holds.with({ type, supervisor })(gate.port, `${n}`));
    await gate.arrived(count);
    gate.open();
    await Promise.all(handles);
    return handles.map(hostOf);
  }

  /** Options that no host can start with. */
  const fatal: ThreadOptions =
    type === 'process' ? { execArgv: ['--no-such-option'] } : { resourceLimits: { maxOldGenerationSizeMb: 2 } };
  const lastWords = type === 'process' ? 'bad option: --no-such-option' : '';
  const healthy: ThreadOptions =
    type === 'process' ? { execArgv: [] } : { resourceLimits: { maxOldGenerationSizeMb: 256 } };

  it(`tasks one by one take turns in the two of ${type === 'thread' ? 'the threads' : 'the children'} that were busy last`, async () => {
    await using supervisor = supervise(3);
    await occupy(supervisor, 3);
    const hosts: number[] = [];
    for (let n = 0; n < 6; n += 1) {
      const handle = seesSetup.with({ type, supervisor })();
      await handle;
      hosts.push(hostOf(handle));
    }
    const [one, other] = hosts;
    expect(other).not.toBe(one);
    expect(hosts).toEqual([one, other, one, other, one, other]);
  });

  describe(`laneSetup() in a ${type}`, () => {
    it('is awaited before the first task of its module', async () => {
      using _diary = new Diary();
      await using supervisor = supervise();
      expect(await seesSetup.with({ type, supervisor })()).toBe(true);
    });

    it('is called once in each, however many tasks and definitions there are', async () => {
      using diary = new Diary();
      await using supervisor = supervise(2);
      await occupy(supervisor, 2);
      const tasks = Array.from({ length: 40 }, (_, n) =>
        (n % 2 ? seesSetup : seesSetupToo).with({ type, supervisor })(),
      );
      expect(await Promise.all(tasks)).toEqual(new Array(40).fill(true));
      const who = diary.whoWrote('setup');
      expect(who).toHaveLength(new Set(tasks.map(hostOf)).size);
      expect(new Set(who)).toEqual(new Set(tasks.map(hostOf)));
    });

    it('is not called for the tasks of other modules, also if they import it', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      await importsSetUp.with({ type, supervisor })();
      await supervisor.stop();
      expect(diary.of()).toEqual(['loaded']);
    });

    it('is not called in the program itself, or for tasks on its event loop', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      expect(await seesSetup.with({ supervisor, type: 'loop' })()).toBe(false);
      await supervisor.stop();
      expect(diary.of()).toEqual([]);
    });

    it('is called in the order of the module, and cleaned up in reverse', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      await setsUpTwice.with({ type, supervisor })();
      await supervisor.stop();
      expect(diary.of().filter((what) => !what.endsWith('begins'))).toEqual([
        'first setup',
        'second setup',
        'second teardown',
        'first teardown',
      ]);
    });

    it('refuses what is no function', async () => {
      const { laneSetup } = await import('taskwarden');
      expect(() => laneSetup(import.meta.url, 'setup' as never)).toThrow(TypeError);
    });
  });

  describe(`the preload of a ${type}`, () => {
    it('is loaded and set up in each new one, before ready() resolves and before its first task', async () => {
      using diary = new Diary();
      await using supervisor = supervise(2, { minSize: 2, preload: [here] });
      await supervisor.ready();
      expect(diary.whoWrote('setup')).toHaveLength(2);
      const handle = seesSetup.with({ type, supervisor })();
      expect(await handle).toBe(true);
      expect(diary.whoWrote('setup')).toHaveLength(2);
      expect(diary.whoWrote('setup')).toContain(hostOf(handle));
    });

    it('may be tasks: their first call finds them loaded, as does one that is started for it', async () => {
      using diary = new Diary();
      await using supervisor = supervise(1, { preload: [seesSetup, fileURLToPath(here)] });
      await echo.with({ type, supervisor })(1);
      expect(diary.of()).toEqual(['loaded', 'setup begins', 'setup']);
    });

    it('is loaded by the successor of one that is recycled, too', async () => {
      using diary = new Diary();
      await using supervisor = supervise(1, { minSize: 1, preload: [seesSetup] });
      await supervisor.ready();
      await supervisor.recycle();
      expect(diary.whoWrote('setup')).toHaveLength(2);
    });

    it('that can not be loaded is logged, and fails its own tasks alone', async () => {
      const errors: string[] = [];
      const logger = { warn: () => {}, error: (line: string) => errors.push(line) };
      const missing = new URL('../fixtures/tasks/is-not-there.js', import.meta.url);
      await using supervisor = supervise(1, { minSize: 1, preload: [missing, echo] }, { logger });
      await supervisor.ready();
      expect(errors).toEqual([expect.stringMatching(/could not preload.*is-not-there/s)]);
      expect(await echo.with({ type, supervisor })('all the same')).toBe('all the same');
    });

    it.each([['./relative.js'], [() => {}], [5], [null]])('is refused where it is no module and no task: %s', (bad) => {
      expect(() => supervise(1, { preload: [bad] as never })).toThrow('an array of module URLs and background tasks');
    });
  });

  describe(`the ${pool} of the reserves`, () => {
    it('are kept free while the others are busy, as far as minSize goes, so that an urgent task finds one', async () => {
      await using supervisor = supervise(1, { reserveHigh: 1, minSize: 1, preload: [echo] });
      await supervisor.ready();
      const comings = new Comings(supervisor);
      await using gate = await Gate.create();
      const low = holds.with({ type, supervisor, priority: 'low' })(gate.port, 'low');
      await gate.arrived(1);
      await comings.until(({ started }) => started.length === 1);
      const urgent = echo.with({ type, supervisor, priority: 'high' })('urgent');
      expect(await urgent).toBe('urgent');
      expect(comings.log).toEqual([expect.stringMatching(/^\+/)]);
      gate.open();
      await low;
      expect(new Set([hostOf(low), hostOf(urgent)]).size).toBe(2);
    });

    it('are no more than the slots', async () => {
      await using supervisor = supervise(1, { reserveHigh: 1, minSize: 2 });
      await supervisor.ready();
      await using gate = await Gate.create();
      const held = (['low', 'high'] as const).map((priority) =>
        holds.with({ type, supervisor, priority })(gate.port, priority),
      );
      await gate.arrived(2);
      expect(supervisor.getInfo()[pool]).toMatchObject({ size: 2, idle: 0 });
      gate.open();
      await Promise.all(held);
    });
  });

  describe.runIf(process.platform === 'linux')(`the system priority of a ${type}`, () => {
    it('is that of the program, or lower by `nice`, but for those that urgent tasks find', async () => {
      const own = getPriority(0);
      await using plain = supervise();
      expect(await systemPriority.with({ type, supervisor: plain })()).toBe(own);
      await using supervisor = supervise(1, { reserveHigh: 1, minSize: 1, nice: 3 });
      await supervisor.ready();
      await using gate = await Gate.create();
      const first = holds.with({ type, supervisor, priority: 'low' })(gate.port, 'first');
      await gate.arrived(1);
      const run = (priority: 'low' | 'high') => systemPriority.with({ type, supervisor, priority })();
      expect(await run('high')).toBe(own);
      gate.open();
      await first;
      expect([await run('low'), await run('high')]).toEqual([own + 3, own]);
    });
  });

  describe(`the teardown of a ${type}`, () => {
    it('is awaited when it retires', async () => {
      using diary = new Diary();
      await using supervisor = supervise(1, { idleTimeoutMs: 20 });
      const comings = new Comings(supervisor);
      await seesSetup.with({ type, supervisor })();
      await comings.until(({ exited }) => exited.length === 1);
      expect(diary.of(comings.exited[0]).at(-1)).toBe('teardown');
    });

    it('is awaited when the pool shrinks', async () => {
      using diary = new Diary();
      await using supervisor = supervise(2, { maxSize: 2 });
      const comings = new Comings(supervisor);
      await occupy(supervisor, 2);
      while (diary.whoWrote('setup').length < 2) {
        await Promise.all([seesSetup.with({ type, supervisor })(), seesSetup.with({ type, supervisor })()]);
      }
      supervisor.configure({ [pool]: { poolSize: 1, maxSize: 1 } });
      await comings.until(({ exited }) => exited.length === 1);
      expect(diary.whoWrote('teardown')).toEqual(comings.exited);
    });

    it('is awaited when it is recycled', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      const handle = seesSetup.with({ type, supervisor })();
      await handle;
      await supervisor.recycle();
      expect(diary.whoWrote('teardown')).toEqual([hostOf(handle)]);
    });

    it('is awaited by stop()', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      const handle = seesSetup.with({ type, supervisor })();
      await supervisor.stop();
      expect(diary.whoWrote('teardown')).toEqual([hostOf(handle)]);
    });

    it.each(['throws', 'rejects', 'throws text'] as const)('that %s is logged, and harms nothing', async (mishap) => {
      using diary = new Diary();
      const lines: string[] = [];
      const logger = { warn: (line: string) => lines.push(line), error: (line: string) => lines.push(line) };
      await using supervisor = supervise(1, {}, { logger });
      diary.let('second teardown', mishap);
      const handle = setsUpTwice.with({ type, supervisor })();
      expect(await supervisor.stop()).toEqual({ finished: 1, canceled: 0, terminated: 0 });
      expect(diary.of().at(-1)).toBe('first teardown');
      expect(lines).toEqual([
        expect.stringContaining(mishap === 'throws text' ? 'just text' : `second teardown ${mishap}`),
      ]);
      expect(lines[0]).toContain(`${type === 'thread' ? 'thread' : 'child'} ${hostOf(handle)}`);
    });

    it('that hangs is ended: stop() resolves', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      const comings = new Comings(supervisor);
      diary.let('teardown', 'hangs');
      await seesSetup.with({ type, supervisor })();
      await supervisor.stop();
      expect(comings.exited).toEqual(comings.started);
      expect(diary.of().at(-1)).toBe('teardown begins');
    });

    it('that hangs does not keep one from being retired or recycled', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      const comings = new Comings(supervisor);
      diary.let('teardown', 'hangs');
      await seesSetup.with({ type, supervisor })();
      await supervisor.recycle();
      expect(comings.exited).toHaveLength(1);
      supervisor.configure({ [pool]: { idleTimeoutMs: 1 } });
      await comings.until(({ exited }) => exited.length === 2);
      expect(diary.whoWrote('teardown begins')).toEqual(comings.exited);
    });

    it('that hangs is ended sooner where stop() has a deadline', async () => {
      using diary = new Diary();
      diary.let('teardown', 'hangs');
      const patient = supervise();
      const hasty = supervise();
      await Promise.all([patient, hasty].map((supervisor) => seesSetup.with({ type, supervisor })()));
      const order: string[] = [];
      await Promise.all([
        patient.stop().then(() => order.push('patient')),
        hasty.stop({ wait: 50 }).then(() => order.push('hasty')),
      ]);
      expect(order).toEqual(['hasty', 'patient']);
    });

    it('is called for what was set up before another setup failed', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      diary.let('second setup', 'throws');
      await failure(setsUpTwice.with({ type, supervisor })());
      await supervisor.stop();
      expect(diary.of().at(-1)).toBe('first teardown');
    });
  });

  describe(`a setup of a ${type}`, () => {
    it.each(['throws', 'rejects'] as const)('that %s fails the task with LANE_SETUP_FAILED', async (mishap) => {
      using diary = new Diary();
      await using supervisor = supervise();
      diary.let('setup', mishap);
      const handle = seesSetup.with({ type, supervisor })();
      const error = await failure(handle);
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'LANE_SETUP_FAILED', cause: { message: `setup ${mishap}` } });
      expect((error as Error).cause).toBeInstanceOf(RangeError);
      expect((error as Error).message).toContain('sets-up.');
      expect(handle.info).toMatchObject({ status: 'failed', endReason: 'failed' });
    });

    it('that throws what is no error is told as it is', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      diary.let('setup', 'throws text');
      const error = await failure(seesSetup.with({ type, supervisor })());
      expect(error).toMatchObject({ code: 'LANE_SETUP_FAILED', cause: 'just text' });
    });

    it('that failed is tried again for the next task, in the same one', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      const comings = new Comings(supervisor);
      diary.let('setup', 'rejects');
      await failure(seesSetup.with({ type, supervisor })());
      diary.let('setup', 'goes well');
      expect(await seesSetup.with({ type, supervisor })()).toBe(true);
      expect(diary.of()).toEqual(['loaded', 'setup begins', 'setup begins', 'setup']);
      expect(comings.started).toHaveLength(1);
    });

    it('that succeeded is not called again because another of its module failed', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      diary.let('second setup', 'rejects');
      await failure(setsUpTwice.with({ type, supervisor })());
      diary.let('second setup', 'goes well');
      await setsUpTwice.with({ type, supervisor })();
      expect(diary.whoWrote('first setup')).toHaveLength(1);
    });

    it('that failed harms no tasks of other modules', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      diary.let('setup', 'throws');
      const failed = seesSetup.with({ type, supervisor })();
      const other = add.with({ type, supervisor })(1, 2);
      await failure(failed);
      expect(await other).toBe(3);
    });

    it('that exits fails the task as a crash, and the next one has another', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      diary.let('setup', 'exits');
      const handle = seesSetup.with({ type, supervisor })();
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CRASHED', exitCode: 5 });
      expect(handle.info.endReason).toBe('crashed');
      diary.let('setup', 'goes well');
      expect(await seesSetup.with({ type, supervisor })()).toBe(true);
    });

    it('that hangs does not keep its task from being canceled', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      diary.let('setup', 'hangs');
      const handle = seesSetup.with({ type, supervisor, stopGraceMs: 10 })();
      await diary.wrote('setup begins');
      expect(handle.cancel('enough')).toBe(true);
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
      diary.let('setup', 'goes well');
      expect(await seesSetup.with({ type, supervisor })()).toBe(true);
    });

    it('that hangs does not keep the supervisor from being stopped', async () => {
      using diary = new Diary();
      const supervisor = supervise();
      diary.let('setup', 'hangs');
      const handle = seesSetup.with({ type, supervisor })();
      await diary.wrote('setup begins');
      const report = await supervisor.stop({ wait: false });
      expect(report.canceled + report.terminated).toBe(1);
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    });
  });

  describe(`recycle of ${pool}`, () => {
    it('afterTasks replaces one that has run so many', async () => {
      await using supervisor = supervise(1, { recycle: { afterTasks: 3 } });
      const comings = new Comings(supervisor);
      const handles = [];
      for (let n = 0; n < 3; n += 1) {
        const handle = add.with({ type, supervisor })(n, n);
        handles.push(handle);
        await handle;
        expect(comings.exited).toEqual([]);
      }
      await comings.until(({ exited }) => exited.length === 1);
      expect(new Set(handles.map(hostOf))).toEqual(new Set(comings.exited));
      const next = add.with({ type, supervisor })(1, 1);
      await next;
      expect(hostOf(next)).toBe(comings.started[1]);
    });

    it('afterTasks counts each of those of one batch', async () => {
      await using supervisor = supervise(1, {}, { keepFinished: 0 });
      const comings = new Comings(supervisor);
      const run =
        type === 'thread'
          ? (n: number) => small.with({ supervisor })('number', n)
          : (n: number) => recorded.with({ supervisor })('number', n);
      await (type === 'thread' ? makeSmall(supervisor, 20) : makeRecorded(supervisor, 20));
      supervisor.configure({ [pool]: { recycle: { afterTasks: 1_000_000 } } });
      expect(comings.started).toHaveLength(1);
      await supervisor.recycle(); // its successor has run none
      supervisor.configure({ [pool]: { recycle: { afterTasks: 150 } } });
      const numbers = Array.from({ length: 200 }, (_, n) => n);
      expect(await Promise.all(numbers.map(run))).toEqual(numbers);
      await comings.until(({ exited }) => exited.length === 2);
      expect(comings.exited).toEqual(comings.started.slice(0, 2));
    });

    it('maxHeapMb replaces one whose task keeps memory, and no other', async () => {
      using _diary = new Diary();
      await using supervisor = supervise(1, { recycle: { maxHeapMb: 80 } });
      const comings = new Comings(supervisor);
      const heavy = keepsMemory.with({ type, supervisor });
      const light = [heavy(1), heavy(1), heavy(1)];
      await Promise.all(light);
      const handle = heavy(100);
      expect(await handle).toBe(103);
      await comings.until(({ exited }) => exited.length === 1);
      expect(comings.exited).toEqual([hostOf(handle)]);
      expect(new Set(light.map(hostOf))).toEqual(new Set(comings.exited));
      expect(await heavy(1)).toBe(1);
    });

    it('afterMs replaces one that is so old, also if it is idle', async () => {
      await using supervisor = supervise(1, { recycle: { afterMs: 100 } });
      const comings = new Comings(supervisor);
      await add.with({ type, supervisor })(1, 1);
      await comings.until(({ exited }) => exited.length === 2);
      expect(comings.exited).toEqual(comings.started.slice(0, 2));
      expect(await add.with({ type, supervisor })(1, 2)).toBe(3);
    });

    it.each([
      [{ afterTask: 3 }, TypeError],
      [{ afterTasks: 0 }, RangeError],
      [{ afterTasks: 1.5 }, RangeError],
      [{ afterTasks: '3' }, TypeError],
      [{ maxHeapMb: 0 }, RangeError],
      [{ maxHeapMb: Number.NaN }, RangeError],
      [{ afterMs: -1 }, RangeError],
      [{ afterMs: null }, TypeError],
      [true, TypeError],
    ])('refuses the option %j', (recycle, errorClass) => {
      expect(() => supervise(1, { recycle: recycle as never })).toThrow(errorClass);
    });
  });

  describe(`recycle() of ${pool}`, () => {
    it('has the successor up before the old one exits', async () => {
      await using supervisor = supervise();
      const comings = new Comings(supervisor);
      await add.with({ type, supervisor })(1, 1);
      await supervisor.recycle();
      const [old, successor] = comings.started;
      expect(comings.log).toEqual([`+${old}`, `+${successor}`, `-${old}`]);
    });

    it('has the modules of the old one loaded and set up in the successor before the old one cleans up', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      const comings = new Comings(supervisor);
      await seesSetup.with({ type, supervisor })();
      await supervisor.recycle();
      const [old, successor] = comings.started;
      expect(diary.entries).toEqual([
        [old, 'loaded'],
        [old, 'setup begins'],
        [old, 'setup'],
        [successor, 'loaded'],
        [successor, 'setup begins'],
        [successor, 'setup'],
        [old, 'teardown begins'],
        [old, 'teardown'],
      ]);
    });

    it('has the successor set up once, for the tasks to come too', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      await seesSetup.with({ type, supervisor })();
      await supervisor.recycle();
      const next = seesSetup.with({ type, supervisor })();
      expect(await next).toBe(true);
      expect(diary.of(hostOf(next))).toEqual(['loaded', 'setup begins', 'setup']);
    });

    it('finishes a running task in the old one', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const comings = new Comings(supervisor);
      const handle = holds.with({ type, supervisor })(gate.port, 'held');
      await gate.arrived(1);
      const recycled = supervisor.recycle();
      await comings.until(({ started }) => started.length === 2);
      expect(comings.exited).toEqual([]);
      gate.open();
      expect(await handle).toBe('held');
      await recycled;
      expect(comings.exited).toEqual([hostOf(handle)]);
    });

    it('has the next task run in the successor while the old one still runs its own', async () => {
      await using supervisor = supervise(2, { maxSize: 2 });
      await using gate = await Gate.create();
      const comings = new Comings(supervisor);
      const held = holds.with({ type, supervisor })(gate.port, 'held');
      await gate.arrived(1);
      const recycled = supervisor.recycle();
      await comings.until(({ started }) => started.length === 2);
      const next = add.with({ type, supervisor })(1, 1);
      await next;
      expect(hostOf(next)).toBe(comings.started[1]);
      gate.open();
      await Promise.all([held, recycled]);
    });

    it('loses no task, and keeps their order', async () => {
      await using supervisor = supervise();
      const order: string[] = [];
      supervisor.on('task:started', ({ task }) => order.push(task.id));
      const comings = new Comings(supervisor);
      const submit = (from: number) =>
        Array.from({ length: 200 }, (_, n) => echo.with({ type, supervisor, taskId: `${from + n}` })(from + n));
      const handles = submit(0);
      for (let round = 1; round <= 3; round += 1) {
        await handles.at(-200);
        const recycled = supervisor.recycle();
        handles.push(...submit(200 * round));
        await recycled;
      }
      const numbers = Array.from({ length: 800 }, (_, n) => n);
      expect(await Promise.all(handles)).toEqual(numbers);
      expect(order).toEqual(numbers.map(String));
      expect(comings.exited).toHaveLength(3);
    });

    it('replaces all, and their number is as before', async () => {
      await using supervisor = supervise(2);
      const comings = new Comings(supervisor);
      const old = await occupy(supervisor, 2);
      await supervisor.recycle();
      expect(new Set(comings.exited)).toEqual(new Set(old));
      expect(supervisor.getInfo()[pool]).toMatchObject({ size: 2, running: 0 });
      const hosts = await occupy(supervisor, 2);
      expect(new Set(hosts)).toEqual(new Set(comings.started.slice(2)));
    });

    it('never has fewer than minSize', async () => {
      await using supervisor = supervise(2, { minSize: 2, maxSize: 2, idleTimeoutMs: 1 });
      await supervisor.ready();
      const comings = new Comings(supervisor);
      const sizes: number[] = [];
      for (const event of ['thread:started', 'thread:exited', 'child:started', 'child:exited'] as const)
        supervisor.on(event, () => sizes.push(supervisor.getInfo()[pool].size));
      await supervisor.recycle();
      expect(comings.exited).toHaveLength(2);
      expect(sizes.filter((size) => size < 2)).toEqual([]);
      expect(supervisor.getInfo()[pool].size).toBe(2);
    });

    it('takes no slot: the limit of running tasks holds', async () => {
      await using supervisor = supervise(1);
      await using gate = await Gate.create();
      const comings = new Comings(supervisor);
      const held = holds.with({ type, supervisor })(gate.port, 'held');
      await gate.arrived(1);
      const recycled = supervisor.recycle();
      const waits = add.with({ type, supervisor })(1, 1);
      await comings.until(({ started }) => started.length === 2);
      expect(waits.status).toBe('queued');
      expect(supervisor.getInfo()[pool].running).toBe(1);
      gate.open();
      await Promise.all([held, recycled, waits]);
    });

    it('resolves for a supervisor that was not started, and starts nothing', async () => {
      const supervisor = supervise();
      await supervisor.recycle();
      expect(supervisor.state).toBe('idle');
      expect(supervisor.getInfo()[pool].size).toBe(0);
    });

    it('resolves where there are none, and after stop()', async () => {
      const supervisor = supervise();
      await add.with({ supervisor, type: 'loop' })(1, 1);
      await supervisor.recycle();
      await supervisor.stop();
      await supervisor.recycle();
      expect(supervisor.getInfo()[pool].size).toBe(0);
    });

    it('resolves when it is called twice at once, and replaces each once', async () => {
      await using supervisor = supervise(2);
      await occupy(supervisor, 2);
      const comings = new Comings(supervisor);
      await Promise.all([supervisor.recycle(), supervisor.recycle()]);
      expect(comings.started).toHaveLength(2);
      expect(comings.exited).toHaveLength(2);
    });

    it('resolves where its old one dies while the successor starts', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const handle = holds.with({ type, supervisor, stopGraceMs: 0 })(gate.port, 'held');
      await gate.arrived(1);
      const recycled = supervisor.recycle();
      handle.cancel();
      await failure(handle);
      await recycled;
      expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
      expect(supervisor.getInfo()[pool].size).toBe(1);
    });

    it('resolves when the supervisor is stopped meanwhile, and none is left', async () => {
      const supervisor = supervise();
      await using gate = await Gate.create();
      const comings = new Comings(supervisor);
      const handle = holds.with({ type, supervisor })(gate.port, 'held');
      await gate.arrived(1);
      const before = supervisor.recycle();
      const stopped = supervisor.stop();
      const after = supervisor.recycle();
      gate.open();
      await Promise.all([before, after, stopped]);
      expect(await handle).toBe('held');
      expect(new Set(comings.exited)).toEqual(new Set(comings.started));
    });

    it('fails no task where the successor can not be set up, but the first that needs it', async () => {
      using diary = new Diary();
      await using supervisor = supervise();
      await seesSetup.with({ type, supervisor })();
      diary.let('setup', 'rejects');
      await supervisor.recycle();
      expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
      expect(await failure(seesSetup.with({ type, supervisor })())).toMatchObject({ code: 'LANE_SETUP_FAILED' });
      diary.let('setup', 'goes well');
      expect(await seesSetup.with({ type, supervisor })()).toBe(true);
    });

    it('rejects with LANE_BROKEN where no successor can start, and the old one goes on', async () => {
      await using supervisor = supervise();
      const first = add.with({ type, supervisor })(1, 1);
      await first;
      const prints = interceptStderr();
      supervisor.configure({ [pool]: fatal });
      const error = await failure(supervisor.recycle());
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'LANE_BROKEN' });
      const next = add.with({ type, supervisor })(2, 2);
      expect(await next).toBe(4);
      expect(hostOf(next)).toBe(hostOf(first));
      await prints(lastWords);
    });

    it('rejects each call where no successor can start', async () => {
      await using supervisor = supervise();
      await add.with({ type, supervisor })(1, 1);
      const prints = interceptStderr();
      supervisor.configure({ [pool]: fatal });
      const errors = await Promise.all([failure(supervisor.recycle()), failure(supervisor.recycle())]);
      expect(errors).toEqual([
        expect.objectContaining({ code: 'LANE_BROKEN' }),
        expect.objectContaining({ code: 'LANE_BROKEN' }),
      ]);
      await prints(lastWords);
    });

    it('works again as soon as the options do', async () => {
      await using supervisor = supervise();
      const comings = new Comings(supervisor);
      await add.with({ type, supervisor })(1, 1);
      const prints = interceptStderr();
      supervisor.configure({ [pool]: fatal });
      await failure(supervisor.recycle());
      supervisor.configure({ [pool]: healthy });
      await supervisor.recycle();
      expect(comings.exited).toHaveLength(1);
      expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
      await prints(lastWords);
    });
  });

  describe(`a context that is carried to ${pool}`, () => {
    const within = <R>(request: string, call: () => R): R => storage.run({ request }, call);

    it('is that of the caller, in all of the task', async () => {
      await using supervisor = superviseWithContext();
      expect(await within('r-1', async () => seesRequest.with({ type, supervisor })())).toEqual(['r-1', 'r-1']);
    });

    it('is that of the call, not of the start', async () => {
      await using supervisor = superviseWithContext();
      await using gate = await Gate.create();
      const held = holds.with({ type, supervisor })(gate.port, 'held');
      await gate.arrived(1);
      const waits = within('r-1', () => seesRequest.with({ type, supervisor })());
      within('r-2', () => gate.open());
      expect(await waits).toEqual(['r-1', 'r-1']);
      await held;
    });

    it('does not stay for the next task', async () => {
      await using supervisor = superviseWithContext();
      await within('r-1', async () => seesRequestAtOnce.with({ type, supervisor })());
      expect(await seesRequestAtOnce.with({ type, supervisor })()).toBeUndefined();
    });

    it('goes along with each retry', async () => {
      await using supervisor = superviseWithContext();
      const reasons: unknown[] = [];
      supervisor.on('task:retried', ({ error }) => reasons.push((error as Error).message));
      const options = { type, supervisor, retries: 1, retryDelayMs: 0 };
      expect(await within('r-1', async () => seesRequestAgain.with(options)())).toBe('r-1');
      expect(reasons).toEqual(['not yet, r-1']);
    });

    it('goes along with map()', async () => {
      await using supervisor = superviseWithContext(2);
      const seen = await within('r-1', async () => {
        const all: unknown[] = [];
        for await (const each of seesRequest.with({ type, supervisor }).map([[1], [2], [3]])) all.push(each);
        return all;
      });
      expect(seen).toEqual(new Array(3).fill(['r-1', 'r-1']));
    });

    it('goes along with tasks that tasks call, and can be another there', async () => {
      await using supervisor = superviseWithContext();
      const seen = within('r-1', async () => callsInContext.with({ type, supervisor })('inner'));
      expect(await seen).toEqual(['r-1', 'inner']);
    });

    it('is not mixed up with those of others at the same time', async () => {
      await using supervisor = superviseWithContext(2);
      const requests = Array.from({ length: 200 }, (_, n) => `r-${n}`);
      const handles = requests.map((request, n) =>
        n % 10 === 9
          ? seesRequest.with({ type, supervisor })()
          : within(request, () => seesRequest.with({ type, supervisor })()),
      );
      const expected = requests.map((request, n) => (n % 10 === 9 ? [undefined, undefined] : [request, request]));
      expect(await Promise.all(handles)).toEqual(expected);
    });

    it('is put on in the successor of a recycled one, too', async () => {
      await using supervisor = superviseWithContext();
      const see = () => within('r-1', async () => seesRequestAtOnce.with({ type, supervisor })());
      expect(await see()).toBe('r-1');
      await supervisor.recycle();
      expect(await see()).toBe('r-1');
    });

    it('is none without the option', async () => {
      await using supervisor = supervise();
      expect(await within('r-1', async () => seesRequest.with({ type, supervisor })())).toEqual([undefined, undefined]);
    });

    it('is the own one of the caller on the event loop, without a copy', async () => {
      await using supervisor = superviseWithContext();
      const context: Context = { request: 'r-1', load: () => {} };
      const seen = storage.run(context, async () => seesRequest.with({ supervisor, type: 'loop' })());
      expect(await seen).toEqual(['r-1', 'r-1']);
    });

    it('fails the task with ARGUMENT_NOT_CLONEABLE that names the carrier, where it can not be copied', async () => {
      await using supervisor = superviseWithContext();
      const context: Context = { request: 'r-1', load: () => {} };
      const handle = storage.run(context, () => seesRequest.with({ type, supervisor })());
      const error = await failure(handle);
      expect(error).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE', taskId: handle.id });
      expect((error as Error).message).toContain('context carrier');
      expect(await seesRequestAtOnce.with({ type, supervisor })()).toBeUndefined();
    });

    it('fails the task that a task calls with ARGUMENT_NOT_CLONEABLE that names the carrier', async () => {
      await using supervisor = superviseWithContext();
      const error = await failure(within('r-1', () => callsInUncloneable.with({ type, supervisor })()));
      expect(error).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
      expect((error as Error).message).toContain('context carrier');
    });

    if (type === 'process')
      it('is named where it holds shared memory, which no child can be given', async () => {
        await using supervisor = superviseWithContext();
        const context: Context = { request: 'r-1', load: new SharedArrayBuffer(4) };
        const error = await failure(storage.run(context, () => seesRequest.with({ type, supervisor })()));
        expect(error).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
        expect((error as Error).message).toContain('context carrier');
      });

    it('fails the task with what restore throws', async () => {
      await using supervisor = superviseWithContext();
      const context: Context = { request: 'r-1', problem: 'can not be put on' };
      const handle = storage.run(context, () => seesRequest.with({ type, supervisor })());
      const error = await failure(handle);
      expect(error).toBeInstanceOf(RangeError);
      expect((error as Error).message).toBe('can not be put on');
      expect(handle.info).toMatchObject({ status: 'failed', endReason: 'failed' });
      expect(await within('r-2', async () => seesRequestAtOnce.with({ type, supervisor })())).toBe('r-2');
    });

    it('has the module of its carrier set up, and cleaned up, though no task of that runs', async () => {
      using diary = new Diary();
      await using supervisor = supervise(1, {}, { context: carrier });
      await within('r-1', async () => add.with({ type, supervisor })(1, 1));
      await supervisor.stop();
      expect(diary.of()).toEqual(['setup of the carrier', 'teardown of the carrier']);
    });

    it('can be told to a supervisor later', async () => {
      await using supervisor = supervise();
      const see = () => within('r-1', async () => seesRequestAtOnce.with({ type, supervisor })());
      expect(await see()).toBeUndefined();
      supervisor.configure({ context: carrier });
      expect(await see()).toBe('r-1');
    });
  });
}
