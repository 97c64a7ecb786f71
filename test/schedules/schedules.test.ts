import { AsyncLocalStorage } from 'node:async_hooks';
import {
  backgroundTask,
  currentTask,
  type Schedule,
  type TaskHandle,
  TaskSupervisor,
  type TaskwardenError,
} from 'taskwarden';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { runProgram } from '../fixtures/program.ts';
import { add } from '../fixtures/tasks/echo.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import { schedules } from '../fixtures/tasks/schedules.ts';
import { throws } from '../fixtures/tasks/throws.ts';

const dayMs = 24 * 60 * 60 * 1_000;
const loop = { type: 'loop' } as const;
const one = () => 1;

let supervisor: TaskSupervisor;
let lines: string[];

beforeEach(() => {
  lines = [];
  const log = (line: string) => void lines.push(line);
  supervisor = new TaskSupervisor({ name: 'test', logger: { warn: log, error: log } });
});

afterEach(async () => {
  await supervisor.stop({ wait: false });
});

/** Resolves with the results of so many tasks. */
async function results(count: number): Promise<unknown[]> {
  const found: unknown[] = [];
  await heard(supervisor, 'task:completed', ({ result }) => found.push(result) === count);
  return found;
}

describe('a scheduled task', () => {
  it('runs once, at once, if nothing else is said', async () => {
    const given = results(1);
    const schedule = supervisor.scheduleTask(add, { args: [1, 2] });
    expect(schedule).toMatchObject({ name: 'add', state: 'ended', runs: 1 });
    expect(supervisor.getTasks()).toHaveLength(1);
    expect(await given).toEqual([3]);
    expect(supervisor.getSchedules()).toEqual([]);
  });

  it('runs once, not twice, if that is to be now', () => {
    expect(supervisor.scheduleTask(add, { args: [1, 2], runNow: true })).toMatchObject({ state: 'ended', runs: 1 });
  });

  it('runs after a delay, and with runNow also before', async () => {
    const given = results(2);
    const schedule = supervisor.scheduleTask(add, { args: [1, 2], delayMs: 20, runNow: true });
    expect(schedule).toMatchObject({ state: 'active', runs: 1 });
    expect(supervisor.getSchedules()).toEqual([schedule]);
    expect(await given).toEqual([3, 3]);
    expect(schedule).toMatchObject({ state: 'ended', runs: 2 });
  });

  it('runs again and again, each time as a task with the options and the TaskInfo of one', async () => {
    const given = results(3);
    const callback = vi.fn();
    supervisor.scheduleTask(add, {
      args: [2, 2],
      delayMs: 5,
      recurring: true,
      priority: 'high',
      name: 'sum',
      callback,
    });
    expect(await given).toEqual([4, 4, 4]);
    const infos = supervisor.getTasks({ name: 'sum', priority: 'high', status: 'completed' });
    expect(infos.length).toBeGreaterThanOrEqual(3);
    expect(new Set(infos.map(({ id }) => id)).size).toBe(infos.length);
    expect(infos[0]).toMatchObject({ type: 'thread', endReason: 'completed' });
    expect(callback.mock.calls.slice(0, 2)).toEqual([[4], [4]]);
  });

  it('runs by a cron pattern', async () => {
    const given = results(1);
    const schedule = supervisor.scheduleTask(() => 'tick', {
      ...loop,
      name: 'tick',
      cron: '* * * * * *',
      timezone: 'UTC',
    });
    expect((schedule.nextRun as number) % 1_000).toBe(0);
    expect(await given).toEqual(['tick']);
    expect(schedule.state).toBe('active');
  });

  it('can be a function, which is sent to a thread as that of putTask is', async () => {
    const given = results(1);
    supervisor.scheduleTask((n: number) => n * 2, { args: [21], name: 'doubles' });
    expect(await given).toEqual([42]);
  });

  it('is not delayed once more by what its definition says', async () => {
    const slow = backgroundTask(() => 'soon', { ...loop, name: 'slow', delayMs: dayMs });
    const given = results(1);
    supervisor.scheduleTask(slow, { delayMs: 1 });
    expect(await given).toEqual(['soon']);
  });

  it('is triggered for a handle of its own', async () => {
    const schedule = supervisor.scheduleTask(add, { args: [1, 2], delayMs: dayMs });
    expect(await schedule.trigger()).toBe(3);
    expect(schedule).toMatchObject({ state: 'active', runs: 1 });
  });

  it('may be a generator that nobody reads: it ends, and the next run comes', async () => {
    async function* counts() {
      for (let n = 0; n < 1_000; n += 1) yield n;
    }
    const ended = heard(supervisor, 'task:completed', () => schedule.runs === 2);
    const schedule: Schedule<TaskHandle<unknown>> = supervisor.scheduleTask(counts, { delayMs: 5, recurring: true });
    await ended;
  });

  it('starts the supervisor', () => {
    supervisor.scheduleTask(one, { delayMs: dayMs });
    expect(supervisor.state).toBe('running');
  });
});

describe('a run that is still going on', () => {
  it('keeps the next from being run, until it has ended', async () => {
    await using gate = await Gate.create();
    const schedule = supervisor.scheduleTask(holds, { args: [gate.port, 'a'], delayMs: 10, recurring: true });
    await gate.arrived(1);
    expect(schedule.trigger()).toBeUndefined();
    await vi.waitUntil(() => schedule.skipped > 0);
    expect(schedule.runs).toBe(1);
    gate.open();
    await gate.arrived(2);
  });
});

describe('a run that fails', () => {
  it('is logged as a task that nobody awaits, and the schedule goes on', async () => {
    const schedule = supervisor.scheduleTask(throws, { args: ['error'], delayMs: 5, recurring: true });
    await heard(supervisor, 'task:failed', () => schedule.runs === 3);
    await vi.waitUntil(() => lines.length >= 3);
    expect(lines[0]).toContain('failed, and nobody awaits it');
    expect(schedule.state).toBe('active');
  });

  it('is not logged if whoever has triggered it awaits it', async () => {
    const schedule = supervisor.scheduleTask(throws, { args: ['error'], delayMs: dayMs });
    const ended = failure(schedule.trigger() as TaskHandle<unknown>);
    expect(await ended).toBeInstanceOf(Error);
    await new Promise((resolve) => setImmediate(resolve));
    expect(lines).toEqual([]);
  });

  it('may be one that is refused', async () => {
    supervisor.configure({ maxQueued: 1, loop: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 } });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const long = supervisor.putTask(() => held, { ...loop, name: 'held' });
    supervisor.putTask(one, loop);
    const schedule = supervisor.scheduleTask(() => 'done', { ...loop, name: 'done', delayMs: 5, recurring: true });
    const { error } = await heard(supervisor, 'task:failed', () => schedule.runs === 2);
    expect((error as TaskwardenError).code).toBe('QUEUE_FULL');
    const given = heard(supervisor, 'task:completed', ({ result }) => result === 'done');
    release();
    await long;
    await given;
  });
});

describe('the signal of a schedule', () => {
  it('ends it, and cancels the task that runs', async () => {
    await using gate = await Gate.create();
    const abort = new AbortController();
    const schedule = supervisor.scheduleTask(holds, {
      args: [gate.port, 'a'],
      delayMs: 5,
      recurring: true,
      signal: abort.signal,
    });
    await gate.arrived(1);
    const canceled = heard(supervisor, 'task:canceled');
    abort.abort('enough');
    expect(schedule.state).toBe('ended');
    expect((await canceled).task.endReason).toBe('canceled');
  });

  it('that has aborted before lets it run nothing', () => {
    const schedule = supervisor.scheduleTask(one, {
      ...loop,
      runNow: true,
      delayMs: 5,
      signal: AbortSignal.abort(),
    });
    expect(schedule).toMatchObject({ state: 'ended', runs: 0 });
    expect(supervisor.getSchedules()).toEqual([]);
  });

  it('is left with no listener in the end', () => {
    const { signal } = new AbortController();
    const remove = vi.spyOn(signal, 'removeEventListener');
    supervisor.scheduleTask(one, { ...loop, delayMs: dayMs, signal }).cancel();
    expect(remove).toHaveBeenCalledTimes(1);
  });
});

describe('stop()', () => {
  it('ends all schedules at once, and waits for the tasks that they have begun', async () => {
    await using gate = await Gate.create();
    const begun = supervisor.scheduleTask(holds, { args: [gate.port, 'a'], delayMs: dayMs, runNow: true });
    const paused = supervisor.scheduleTask(add, { args: [1, 1], cron: '@daily' });
    paused.pause();
    await gate.arrived(1);
    const stopped = supervisor.stop();
    expect([begun.state, paused.state]).toEqual(['ended', 'ended']);
    expect(supervisor.getSchedules()).toEqual([]);
    expect(begun.trigger()).toBeUndefined();
    expect(() => supervisor.scheduleTask(one)).toThrow(
      expect.objectContaining({
        code: 'SUPERVISOR_STOPPED',
        message: 'task "one" can\'t be scheduled: test is stopping',
      }),
    );
    gate.open();
    expect(await stopped).toEqual({ finished: 1, canceled: 0, terminated: 0 });
    expect(() => supervisor.scheduleTask(one)).toThrow(expect.objectContaining({ code: 'SUPERVISOR_STOPPED' }));
  });
});

describe('where it is called', () => {
  it('inside a task on the event loop, its runs belong to no task, and see what the caller saw', async () => {
    const storage = new AsyncLocalStorage<string>();
    const tick = backgroundTask(() => `${storage.getStore()} ${currentTask().name}`, { ...loop, name: 'tick' });
    let schedule: Schedule<TaskHandle<string>> | undefined;
    const outer = supervisor.putTask(
      () => {
        schedule = supervisor.scheduleTask(tick, { delayMs: 5, recurring: true, runNow: true, overlap: 'queue' });
        return schedule.trigger();
      },
      { ...loop, name: 'outer' },
    );
    const given = heard(supervisor, 'task:completed', () => schedule?.runs === 4);
    storage.run('seen', () => {});
    expect(await outer).toBe('undefined tick');
    await given;
    const parents = supervisor.getTasks({ name: 'tick' }).map(({ parentId }) => parentId);
    expect(new Set(parents)).toEqual(new Set([undefined]));
  });

  it('its runs have the context of who scheduled them', async () => {
    const storage = new AsyncLocalStorage<string>();
    const given = results(2);
    const schedule = storage.run('scheduled', () =>
      supervisor.scheduleTask(() => storage.getStore(), { ...loop, name: 'sees', delayMs: 5, recurring: true }),
    );
    void storage.run('triggered', () => schedule.trigger());
    expect(await given).toEqual(['scheduled', 'scheduled']);
  });

  it.each(['thread', 'process'] as const)(
    'inside a task in a %s it is refused, and does nothing while a module loads there',
    async (type) => {
      expect(await schedules.with({ supervisor, type })()).toEqual({
        scheduling: 'NOT_IN_PROGRAM',
        triggering: 'NOT_IN_PROGRAM',
        hasRun: false,
      });
    },
  );
});

describe('options', () => {
  const schedule = (options: object) => () => supervisor.scheduleTask(one, options);

  it.each([
    [
      { recurring: true },
      'option "recurring" of scheduleTask() needs a "delayMs" of 1 or more, the time between the runs',
    ],
    [{ recurring: true, delayMs: 0 }, 'option "recurring" of scheduleTask() needs a "delayMs" of 1 or more'],
    [
      { cron: '@daily', delayMs: 5 },
      'scheduleTask() takes either cron, which recurs by itself, or delayMs and recurring',
    ],
    [
      { cron: '@daily', recurring: true },
      'scheduleTask() takes either cron, which recurs by itself, or delayMs and recurring',
    ],
    [{ timezone: 'UTC' }, 'option "timezone" of scheduleTask() needs the option "cron"; give both'],
    [{ cron: 'soon' }, `option "cron" of scheduleTask() must be a cron pattern such as '*/5 * * * *'; got 'soon'`],
    [{ cron: '@daily', timezone: 'Mars' }, 'option "timezone" of scheduleTask() must be a time zone'],
    [{ cron: '' }, 'option "cron" of scheduleTask() must be a string that is not empty'],
    [{ overlap: 'wait' }, `option "overlap" of scheduleTask() must be one of 'skip', 'queue'; got 'wait'`],
    [{ missed: 'all' }, `option "missed" of scheduleTask() must be one of 'skip', 'once'; got 'all'`],
    [{ args: 5 }, 'option "args" of scheduleTask() must be an array of arguments; got 5'],
    [{ reoccurring: true }, 'scheduleTask() has no option "reoccurring"'],
    [{ priority: 'urgent' }, 'option "priority" of scheduleTask() must be one of'],
  ])('%j is refused', (options, message) => {
    expect(schedule(options)).toThrow(TypeError);
    expect(schedule(options)).toThrow(message);
    expect(supervisor).toMatchObject({ state: 'idle' });
  });

  it.each([
    [{ delayMs: -1 }, 'option "delayMs" of scheduleTask() must be a number of milliseconds, 0 or more; got -1'],
    [{ jitterMs: -1 }, 'option "jitterMs" of scheduleTask() must be'],
    [{ maxRuns: 0 }, 'option "maxRuns" of scheduleTask() must be a whole number, 1 or more, or Infinity; got 0'],
    [{ cron: '0 0 30 2 *' }, 'option "cron" of scheduleTask() must be a pattern whose time will come'],
  ])('%j is out of range', (options, message) => {
    expect(schedule(options)).toThrow(RangeError);
    expect(schedule(options)).toThrow(message);
  });

  it('need a function to go with', () => {
    expect(() => supervisor.scheduleTask('add' as never, {} as never)).toThrow(
      'option "target" of scheduleTask() must be a function',
    );
  });
});

describe('a program', () => {
  it('is kept alive by an active schedule, and ends after its last run', async () => {
    const { lines: printed, ...end } = await runProgram('schedules.mjs');
    expect(end).toEqual({ code: 0, signal: null, stderr: '' });
    expect([...printed].sort()).toEqual(['run', 'run', 'run', 'triggered']);
  });

  it('is not kept alive by one that is paused or has ended', async () => {
    expect(await runProgram('schedules-at-rest.mjs')).toEqual({ code: 0, signal: null, lines: ['1'], stderr: '' });
  });
});
