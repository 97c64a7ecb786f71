/** Schedules that several machines share by a courier: here each machine is a supervisor, and all are beside one courier. */
import {
  type ClientWorkerTaskCourier,
  currentTask,
  MemoryTaskCourier,
  type ScheduleOptions,
  type TaskSchedule,
  TaskSupervisor,
} from 'taskwarden';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { add } from '../fixtures/tasks/echo.ts';

const minuteMs = 60_000;
const loop = { type: 'loop' } as const;
const everyMinute = { ...loop, cron: '* * * * *', timezone: 'UTC' } as const;
const zero = Date.parse('2026-01-01T00:00Z');
const queue = 'schedule.job';

/** What is asked of it is not answered any more once it is dead, and nothing is asked by it. */
function mortal(courier: MemoryTaskCourier): { readonly courier: ClientWorkerTaskCourier; readonly die: () => void } {
  let isDead = false;
  const never = new Promise<never>(() => {});
  const whileAlive =
    (call: (...args: unknown[]) => Promise<unknown>) =>
    async (...args: unknown[]) => {
      if (isDead) return never;
      const [outcome] = await Promise.allSettled([call.apply(courier, args)]);
      if (isDead) return never;
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    };
  const proxy = new Proxy(courier, {
    get: (target, key) => {
      const value = Reflect.get(target, key, target);
      return typeof value === 'function' ? whileAlive(value) : value;
    },
  });
  return { courier: proxy, die: () => (isDead = true) };
}

class Machine {
  readonly supervisor: TaskSupervisor;
  readonly lines: string[] = [];
  readonly courier: ClientWorkerTaskCourier;
  readonly die: () => void;
  readonly schedule: TaskSchedule<() => unknown>;

  constructor(name: string, options: Partial<ScheduleOptions<() => unknown>> = {}, run = job(name)) {
    const log = (line: string) => void this.lines.push(line);
    this.supervisor = new TaskSupervisor({ name, logger: { warn: log, error: log } });
    const life = mortal(shared);
    this.courier = life.courier;
    this.die = life.die;
    this.schedule = this.supervisor.scheduleTask(run, {
      ...everyMinute,
      name: 'job',
      courier: this.courier,
      ...options,
    });
    machines.push(this);
  }
}

let shared: MemoryTaskCourier;
let machines: Machine[];
/** Each as `machine id`. */
let runs: string[];
/** Lets go of the runs that wait. */
let held: (() => void)[];

function job(machine: string): () => void {
  return () => void runs.push(`${machine} ${currentTask().id}`);
}

function slowJob(machine: string): () => Promise<string> {
  return () => {
    runs.push(`${machine} ${currentTask().id}`);
    return new Promise((resolve) => held.push(() => resolve(`done by ${machine}`)));
  };
}

const ids = () => runs.map((run) => run.split(' ')[1]);
const tick = (minute: number) => `job@${zero + minute * minuteMs}`;
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers({ now: zero - 30_000 });
  shared = new MemoryTaskCourier({ leaseMs: 10_000 });
  machines = [];
  runs = [];
  held = [];
});

afterEach(async () => {
  for (const release of held) release();
  const ends = machines.map(({ supervisor }) => supervisor.stop({ wait: false }));
  await pass(5_000);
  await Promise.all(ends);
  await shared.close();
  vi.useRealTimers();
});

function start(count: number, ...rest: [object?, ((machine: string) => () => unknown)?]): Machine[] {
  const [options = {}, makeJob = job] = rest;
  return Array.from({ length: count }, (_, n) => new Machine(`m${n}`, options, makeJob(`m${n}`)));
}

describe('a schedule that is given a courier', () => {
  it('runs once at each time, however many machines have it, as a task whose id says for when', async () => {
    const all = start(3);
    await pass(5 * minuteMs);
    expect(ids()).toEqual([0, 1, 2, 3, 4].map(tick));
    for (const { schedule } of all) expect(schedule).toMatchObject({ runs: 5, skipped: 0, missed: 0 });
    const infos = all.flatMap(({ supervisor }) => supervisor.getTasks());
    expect(infos.map(({ id, name, status }) => ({ id, name, status }))).toHaveLength(5);
    expect(new Set(infos.map(({ id }) => id))).toEqual(new Set(ids()));
  });

  it('runs an interval at its multiples since 1970, so that all machines agree', async () => {
    start(1, { cron: undefined, timezone: undefined, delayMs: minuteMs, recurring: true });
    await pass(7_000);
    start(1, { cron: undefined, timezone: undefined, delayMs: minuteMs, recurring: true });
    await pass(2 * minuteMs);
    expect(ids()).toEqual([tick(0), tick(1)]);
  });

  it('has the same run on all machines, whatever the jitter of each', async () => {
    start(4, { jitterMs: 50_000 });
    await pass(10 * minuteMs + 25_000);
    expect(ids()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(tick));
  });

  it('is run with what the machine was given that runs it', async () => {
    const callback = vi.fn();
    const [one] = start(1, { callback, priority: 'high' }, () => () => 'result') as [Machine];
    await pass(minuteMs);
    expect(callback.mock.calls).toEqual([['result']]);
    expect(one.supervisor.getTasks()).toMatchObject([{ id: tick(0), priority: 'high' }]);
  });

  it('does not run a second one while one goes on, on whichever machine, though another has come later', async () => {
    const [first] = start(1, {}, slowJob) as [Machine];
    await pass(minuteMs);
    expect(ids()).toEqual([tick(0)]);
    const late = new Machine('late', {}, slowJob('late'));
    await pass(3 * minuteMs);
    expect(ids()).toEqual([tick(0)]);
    expect(first.schedule).toMatchObject({ runs: 1, skipped: 3, lastRun: zero });
    expect(late.schedule).toMatchObject({ runs: 0, skipped: 3, lastRun: undefined });
    held[0]?.();
    await pass(minuteMs);
    expect(ids()).toEqual([tick(0), tick(4)]);
  });

  it("with overlap: 'queue' runs what came due meanwhile afterwards, each once", async () => {
    start(2, { overlap: 'queue' }, slowJob);
    await pass(3 * minuteMs);
    expect(ids()).toEqual([tick(0)]);
    for (let n = 0; n < 3; n += 1) {
      held[n]?.();
      await pass(0);
    }
    expect(ids()).toEqual([tick(0), tick(1), tick(2)]);
  });

  it("with missed: 'once' makes up once for what all machines have missed", async () => {
    start(3, { missed: 'once', cron: '0 * * * *' });
    await pass(minuteMs);
    vi.setSystemTime(zero + 630 * minuteMs);
    await pass(minuteMs);
    expect(ids()).toEqual([tick(0), tick(600)]);
  });
});

describe('a machine', () => {
  it('that dies in the middle of a run leaves it to another, under the same id', async () => {
    const [one] = start(1, {}, slowJob) as [Machine];
    await pass(31_000);
    start(1, {}, () => job('other'));
    one.die();
    await pass(20_000);
    expect(runs).toEqual([`m0 ${tick(0)}`, `other ${tick(0)}`]);
    await pass(minuteMs);
    expect(runs.at(-1)).toBe(`other ${tick(1)}`);
  });

  it('that stops finishes what it has begun, within the stop, and the others go on', async () => {
    const [one] = start(1, {}, slowJob) as [Machine];
    await pass(31_000);
    start(1, {}, () => job('other'));
    const stopped = one.supervisor.stop();
    held[0]?.();
    await pass(0);
    expect(await stopped).toMatchObject({ finished: 1, canceled: 0, terminated: 0 });
    expect(await shared.checkForDone(queue, tick(0))).toBe(true);
    await pass(minuteMs);
    expect(runs).toEqual([`m0 ${tick(0)}`, `other ${tick(1)}`]);
  });

  it('that stops at once gives back what it runs, before its stop is over', async () => {
    const [one] = start(1, { stopGraceMs: 0 }, slowJob) as [Machine];
    await pass(31_000);
    const stopped = one.supervisor.stop({ wait: false });
    await pass(1);
    await stopped;
    expect(await shared.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 1 }, leased: 0 });
    start(1, {}, () => job('other'));
    await pass(0);
    expect(runs).toEqual([`m0 ${tick(0)}`, `other ${tick(0)}`]);
  });

  it('that stops waits until the courier has what its run gave', async () => {
    const [one] = start(1, {}, slowJob) as [Machine];
    await pass(31_000);
    const give = shared.bulkReturnTaskResults.bind(shared);
    vi.spyOn(shared, 'bulkReturnTaskResults').mockImplementation(async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return give(...args);
    });
    const stopped = one.supervisor.stop().then(() => shared.checkForDone(queue, tick(0)));
    held[0]?.();
    await pass(300);
    expect(await stopped).toBe(true);
  });

  it('that stops does not wait for ever for a courier that does not answer', async () => {
    const [one, other] = start(2) as [Machine, Machine];
    one.die();
    other.die();
    const stopped = [one.supervisor.stop({ wait: 100 }), other.supervisor.stop()];
    await pass(100);
    await stopped[0];
    await pass(900);
    await stopped[1];
    expect([one.supervisor.state, other.supervisor.state]).toEqual(['stopped', 'stopped']);
  });

  it('that cancels its schedule gives back what waits there for a slot', async () => {
    const module = { maxWorkers: 1 };
    const one = new Machine('m0');
    one.schedule.cancel();
    const cap = one.supervisor.module('full', module);
    cap.addTask(slowJob('blocker'), { ...loop, name: 'blocker' });
    const schedule = cap.scheduleTask(job('m0'), { ...everyMinute, name: 'job', courier: one.courier });
    await pass(31_000);
    expect(await shared.getQueueInfo(queue)).toMatchObject({ leased: 1 });
    schedule.cancel();
    await pass(0);
    expect(await shared.getQueueInfo(queue)).toMatchObject({ leased: 0, waiting: { normal: 1 } });
    start(1, {}, () => job('other'));
    await pass(0);
    expect(runs.at(-1)).toBe(`other ${tick(0)}`);
  });

  it('that has just left gives back what comes to it late', async () => {
    const fetch = shared.bulkWaitForTasks.bind(shared);
    vi.spyOn(shared, 'bulkWaitForTasks').mockImplementationOnce(async (name, max, options) => {
      await new Promise((resolve) => options?.signal?.addEventListener('abort', resolve));
      return fetch(name, max);
    });
    const [one] = start(1) as [Machine];
    await pass(31_000);
    one.schedule.cancel();
    await pass(0);
    expect(await shared.getQueueInfo(queue)).toMatchObject({ leased: 0, waiting: { normal: 1 } });
    expect(runs).toEqual([]);
  });

  it('that has paused its schedule takes no runs until it is resumed', async () => {
    const [one, two] = start(2) as [Machine, Machine];
    one.schedule.pause();
    await pass(3 * minuteMs);
    expect(runs).toEqual([0, 1, 2].map((n) => `m1 ${tick(n)}`));
    two.schedule.pause();
    one.schedule.resume();
    await pass(minuteMs);
    expect(runs.at(-1)).toBe(`m0 ${tick(3)}`);
  });

  it('whose signal aborts gives back what it runs', async () => {
    const controller = new AbortController();
    const one = new Machine('m0', { signal: controller.signal, stopGraceMs: 0 }, slowJob('m0'));
    await pass(31_000);
    controller.abort();
    await pass(1);
    expect(one.schedule.state).toBe('ended');
    start(1, {}, () => job('other'));
    await pass(0);
    expect(runs).toEqual([`m0 ${tick(0)}`, `other ${tick(0)}`]);
  });
});

describe('trigger()', () => {
  it('runs once more, on one of the machines, and gives a handle of the result', async () => {
    const [one, two] = start(2, {}, slowJob) as [Machine, Machine];
    await pass(0);
    const handle = one.schedule.trigger();
    await pass(0);
    expect(runs).toHaveLength(1);
    expect(runs[0]).toContain('job@');
    held[0]?.();
    await pass(0);
    expect(await handle).toBe(`done by ${runs[0]?.split(' ')[0]}`);
    expect([one.schedule.runs, two.schedule.runs]).toEqual([1, 0]);
  });

  it('gives the failure of the run, wherever that was', async () => {
    const [one] = start(2, {}, () => () => {
      throw new RangeError('no');
    }) as [Machine];
    const handle = one.schedule.trigger() as PromiseLike<unknown>;
    const failed = failure(handle);
    await pass(0);
    expect(await failed).toMatchObject({ name: 'RangeError', message: 'no' });
  });

  it('of a schedule that ends before the run has begun is canceled', async () => {
    const one = new Machine('m0');
    one.schedule.pause();
    const failed = failure(one.schedule.trigger() as PromiseLike<unknown>);
    await pass(0);
    one.schedule.cancel();
    await pass(0);
    expect(await failed).toMatchObject({ code: 'TASK_CANCELED' });
    expect(await shared.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 0 } });
  });
});

describe('what fails', () => {
  it('is told once, by the machine that ran it, and leaves no dead letter', async () => {
    const all = start(3, {}, () => () => {
      throw new Error('no luck');
    });
    await pass(31_000);
    const lines = all.flatMap((machine) => machine.lines);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('failed, and nobody awaits it: Error: no luck');
    expect(await shared.getDeadLetters(queue)).toEqual([]);
    await pass(minuteMs);
    expect(all.flatMap((machine) => machine.lines)).toHaveLength(2);
  });

  it('because the courier can not be reached is logged, and the schedule goes on with the next time', async () => {
    const one = new Machine('m0');
    const add = vi.spyOn(shared, 'addTaskToQueue').mockRejectedValueOnce(new Error('away'));
    await pass(31_000);
    expect(add).toHaveBeenCalledOnce();
    expect(one.lines).toEqual([expect.stringContaining(`schedule "job": its run ${tick(0)} was not added`)]);
    await pass(minuteMs);
    expect(ids()).toEqual([tick(1)]);
  });

  it('when the courier is asked for runs is logged once, and asked again', async () => {
    const fetching = vi.spyOn(shared, 'bulkWaitForTasks').mockRejectedValue(new Error('away'));
    const one = new Machine('m0');
    await pass(minuteMs);
    expect(fetching.mock.calls.length).toBeGreaterThan(1);
    expect(one.lines).toEqual([expect.stringContaining('its courier fails, and is asked again: Error: away')]);
    fetching.mockRestore();
    await pass(30_000);
    expect(ids()).toContain(tick(0));
  });
});

it('runs in threads as well', async () => {
  vi.useRealTimers();
  const one = new TaskSupervisor({ name: 'threads', logger: false });
  const schedule = one.scheduleTask(add, { args: [1, 2], cron: '@yearly', courier: shared });
  expect(await schedule.trigger()).toBe(3);
  expect(one.getTasks({ type: 'thread' })).toMatchObject([{ name: 'add', status: 'completed' }]);
  await one.stop();
  vi.useFakeTimers();
});

describe('options that can mean nothing with a courier', () => {
  const refused: [object, string][] = [
    [{ runNow: true }, 'runNow'],
    [{ maxRuns: 3 }, 'maxRuns'],
    [{ taskId: 'mine' }, 'taskId'],
    [{ cron: undefined, timezone: undefined, delayMs: 5 }, 'recurring'],
    [{ name: 'a:b' }, 'name'],
    [{ courier: undefined, queue: 'q' }, 'courier'],
    [{ courier: 'redis' }, 'courier'],
  ];

  it.each(refused)('are refused: %o', (options, word) => {
    expect(() => new Machine('m0', options)).toThrow(TypeError);
    expect(() => new Machine('m0', options)).toThrow(word);
  });
});

it('has a queue of its own, or the one that it is given', async () => {
  start(1, { queue: 'nightly' });
  await pass(31_000);
  expect(await shared.checkForDone('nightly', tick(0))).toBe(true);
});

it('leaves no timer and no wait behind', async () => {
  const all = start(2);
  await pass(minuteMs);
  await Promise.all(all.map(({ supervisor }) => supervisor.stop()));
  await shared.close();
  expect(vi.getTimerCount()).toBe(0);
});
