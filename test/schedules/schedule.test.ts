import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { KeepAlive } from '../../src/platform/keep-alive.ts';
import { Schedule } from '../../src/schedules/schedule.ts';
import type { ScheduleSpec } from '../../src/schedules/schedule-spec.ts';
import { cron, interval, once, pause } from '../../src/schedules/timetable.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const start = Date.parse('2026-01-01T00:00:00Z');

/** When runs began, in milliseconds since the start, on the clock that nobody sets. */
let began: number[];
let zero: number;
let blockedMs: number;
/** Ends the oldest run that has not ended. */
let endRun: () => Promise<void>;
let made: Schedule<Promise<void>>[];

beforeEach(() => {
  vi.useFakeTimers({ now: start });
  const ticked = performance.now.bind(performance);
  blockedMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => ticked() + blockedMs);
  zero = performance.now();
  began = [];
  made = [];
});

afterEach(() => {
  for (const schedule of made) schedule.cancel();
  expect(vi.getTimerCount()).toBe(0);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

type Spec = Partial<ScheduleSpec<Promise<void>>> & Pick<ScheduleSpec<Promise<void>>, 'timetable'>;

/** A schedule that has begun. Its runs end at once, unless `isLong`; then by `endRun()`. */
function begin({ isLong = false, ...spec }: Spec & { isLong?: boolean }): Schedule<Promise<void>> {
  const open: (() => void)[] = [];
  endRun = async () => {
    open.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
  };
  const schedule = new Schedule<Promise<void>>({
    name: 'test',
    run: () => {
      began.push(Math.round(performance.now() - zero));
      return isLong ? new Promise((resolve) => open.push(resolve)) : Promise.resolve();
    },
    ...spec,
  });
  made.push(schedule);
  return schedule.start();
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** The process is blocked, and the next timer fires so much later than it was to. */
async function fireLate(ms: number): Promise<void> {
  blockedMs += ms;
  vi.setSystemTime(Date.now() + ms);
  await vi.advanceTimersToNextTimerAsync();
}

describe('a single run', () => {
  it('comes after its delay, and then the schedule has ended', async () => {
    const onEnd = vi.fn();
    const schedule = begin({ timetable: once(250), onEnd });
    expect(schedule).toMatchObject({
      name: 'test',
      state: 'active',
      nextRun: start + 250,
      lastRun: undefined,
      runs: 0,
    });
    await pass(249);
    expect(began).toEqual([]);
    await pass(1);
    expect(began).toEqual([250]);
    expect(schedule).toMatchObject({ state: 'ended', nextRun: undefined, lastRun: start + 250, runs: 1 });
    expect(onEnd.mock.calls).toEqual([[schedule]]);
  });

  it('without a delay comes as the schedule begins', () => {
    expect(begin({ timetable: once(0) })).toMatchObject({ state: 'ended', runs: 1 });
  });

  it('can wait for longer than a timer of Node can', async () => {
    const schedule = begin({ timetable: once(100 * dayMs) });
    await pass(100 * dayMs - 1);
    expect(schedule.runs).toBe(0);
    await pass(1);
    expect(began).toEqual([100 * dayMs]);
  });

  it('with runNow is two runs: one now, one after the delay', async () => {
    const schedule = begin({ timetable: once(250), runNow: true });
    expect(began).toEqual([0]);
    expect(schedule.state).toBe('active');
    await pass(250);
    expect(began).toEqual([0, 250]);
    expect(schedule).toMatchObject({ state: 'ended', runs: 2 });
  });

  it('that would come never, does not', async () => {
    const schedule = begin({ timetable: once(Infinity) });
    expect(vi.getTimerCount()).toBe(0);
    expect(schedule).toMatchObject({ state: 'active', nextRun: undefined });
  });

  it('is late rather than missed', async () => {
    const schedule = begin({ timetable: once(1_000), missed: 'skip' });
    await fireLate(hourMs);
    expect(schedule).toMatchObject({ state: 'ended', runs: 1, missed: 0 });
  });
});

describe('an interval', () => {
  it('does not drift in 10,000 runs, each of which takes some time', async () => {
    const schedule = begin({ timetable: interval(33.3), run: () => new Promise((resolve) => setTimeout(resolve, 7)) });
    await pass(33.3 * 10_000 + 8);
    expect(schedule).toMatchObject({ runs: 10_000, skipped: 0, missed: 0 });
    expect(schedule.lastRun).toBe(start + 333_000);
  });

  it('runs at exact times', async () => {
    begin({ timetable: interval(100) });
    await pass(350);
    expect(began).toEqual([100, 200, 300]);
  });

  it('can begin at the start', async () => {
    begin({ timetable: interval(100, { atStart: true }) });
    await pass(250);
    expect(began).toEqual([0, 100, 200]);
  });

  it('can be longer than a timer of Node can', async () => {
    begin({ timetable: interval(30 * dayMs) });
    await pass(61 * dayMs);
    expect(began).toEqual([30 * dayMs, 60 * dayMs]);
  });

  it.each([-1, 1])(
    'does not care whether the wall clock is set (by %d days), but tells the next run by it',
    async (days) => {
      const schedule = begin({ timetable: interval(1_000) });
      await pass(300);
      vi.setSystemTime(Date.now() + days * dayMs);
      expect(schedule.nextRun).toBe(start + days * dayMs + 1_000);
      await pass(1_700);
      expect(began).toEqual([1_000, 2_000]);
      expect(schedule).toMatchObject({ missed: 0, lastRun: start + days * dayMs + 2_000 });
    },
  );
});

describe('a pause', () => {
  it('begins with the end of the run before', async () => {
    const schedule = begin({ timetable: pause(100), isLong: true });
    await pass(500);
    expect(began).toEqual([100]);
    expect(schedule.nextRun).toBeUndefined();
    await endRun();
    expect(schedule.nextRun).toBe(start + 600);
    await pass(100);
    expect(began).toEqual([100, 600]);
    expect(schedule).toMatchObject({ state: 'active', skipped: 0, missed: 0 });
  });

  it('begins with the end of a run that was triggered, if none was due before that', async () => {
    const schedule = begin({ timetable: pause(100), isLong: true });
    void schedule.trigger();
    await pass(150);
    expect(schedule).toMatchObject({ runs: 1, skipped: 1 });
    await endRun();
    await pass(100);
    expect(began).toEqual([0, 250]);
  });

  it('follows the run of runNow, too', async () => {
    begin({ timetable: pause(100), isLong: true, runNow: true });
    await pass(500);
    await endRun();
    await pass(100);
    expect(began).toEqual([0, 600]);
  });

  it('is begun anew by resume', async () => {
    const schedule = begin({ timetable: pause(100), isLong: true });
    await pass(100);
    schedule.pause();
    await endRun();
    await pass(1_000);
    schedule.resume();
    await pass(100);
    expect(began).toEqual([100, 1_200]);
  });
});

describe('a run that fails', () => {
  it.each([
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no'))],
  ])('because it %s ends nothing', async (_how, run) => {
    const schedule = begin({ timetable: interval(100), run });
    await pass(350);
    expect(schedule).toMatchObject({ state: 'active', runs: 3, skipped: 0 });
  });

  it('is thrown to who has triggered it, and does not count as running', async () => {
    const schedule = begin({
      timetable: interval(100),
      run: () => {
        throw new Error('no');
      },
    });
    expect(() => schedule.trigger()).toThrow('no');
    await pass(100);
    expect(schedule).toMatchObject({ runs: 2, skipped: 0 });
  });

  it('leaves the queue of those that wait to be run', async () => {
    let fail = () => {};
    const schedule = begin({
      timetable: interval(100),
      overlap: 'queue',
      run: () =>
        new Promise((_, reject) => {
          fail = () => reject(new Error('no'));
        }),
    });
    await pass(350);
    for (const runs of [2, 3]) {
      fail();
      await pass(0);
      expect(schedule.runs).toBe(runs);
    }
  });
});

describe('what is run for a time', () => {
  const dues: number[] = [];
  const minutely = cron('* * * * *', 'UTC', 'a test');

  beforeEach(() => {
    dues.length = 0;
  });

  const heedDue = (ran: boolean) => async (due: number) => {
    dues.push((due - start) / minuteMs);
    return ran;
  };

  it('hears when that was due, without the jitter', async () => {
    begin({ timetable: minutely, jitterMs: 50_000, runDue: heedDue(true) });
    await vi.advanceTimersByTimeAsync(3 * minuteMs + 55_000);
    expect(dues).toEqual([1, 2, 3]);
  });

  it('hears for which time it makes up', async () => {
    begin({ timetable: cron('0 * * * *', 'UTC', 'a test'), missed: 'once', runDue: heedDue(true) });
    vi.setSystemTime(start + 90 * minuteMs);
    await vi.advanceTimersByTimeAsync(30 * minuteMs);
    expect(dues).toEqual([60, 120]);
  });

  it('waits for the one before with the time at which it was due', async () => {
    const open: (() => void)[] = [];
    const runDue = (due: number) => {
      dues.push((due - start) / minuteMs);
      return new Promise<boolean>((resolve) => open.push(() => resolve(true)));
    };
    begin({ timetable: minutely, overlap: 'queue', runDue });
    await vi.advanceTimersByTimeAsync(3 * minuteMs);
    expect(dues).toEqual([1]);
    for (const release of open) {
      release();
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(dues).toEqual([1, 2, 3]);
  });

  it('counts as skipped if it says that there was no run', async () => {
    const schedule = begin({ timetable: minutely, runDue: heedDue(false) });
    await vi.advanceTimersByTimeAsync(2 * minuteMs);
    expect(schedule).toMatchObject({ runs: 0, skipped: 2, lastRun: undefined, state: 'active' });
  });

  it('is no trigger', () => {
    const schedule = begin({ timetable: minutely, runDue: heedDue(true) });
    void schedule.trigger();
    expect({ dues, began }).toEqual({ dues: [], began: [0] });
  });
});

describe('overlap', () => {
  it("'skip' drops what comes due while a run goes on", async () => {
    const schedule = begin({ timetable: interval(100), isLong: true });
    await pass(350);
    expect(schedule).toMatchObject({ runs: 1, skipped: 2 });
    await endRun();
    await pass(50);
    expect(began).toEqual([100, 400]);
  });

  it("'queue' runs it as soon as the one before has ended, one after the other", async () => {
    const schedule = begin({ timetable: interval(100), isLong: true, overlap: 'queue' });
    await pass(350);
    expect(schedule).toMatchObject({ runs: 1, skipped: 0 });
    await endRun();
    expect(began).toEqual([100, 350]);
    await endRun();
    await endRun();
    expect(began).toEqual([100, 350, 350]);
    await pass(50);
    expect(began).toEqual([100, 350, 350, 400]);
  });

  it.each(['skip', 'queue'] as const)("'%s' drops no single run: it comes after its time", async (overlap) => {
    const schedule = begin({ timetable: once(100), isLong: true, overlap, runNow: true });
    await pass(200);
    expect(schedule).toMatchObject({ state: 'active', runs: 1 });
    await endRun();
    expect(began).toEqual([0, 200]);
    expect(schedule.state).toBe('ended');
  });

  it("'queue' holds back what waits while it is paused", async () => {
    const schedule = begin({ timetable: interval(100), isLong: true, overlap: 'queue' });
    await pass(250);
    schedule.pause();
    await endRun();
    expect(schedule.runs).toBe(1);
    schedule.resume();
    expect(began).toEqual([100, 250]);
  });

  it("'queue' drops what waits when it is canceled", async () => {
    const schedule = begin({ timetable: interval(100), isLong: true, overlap: 'queue' });
    await pass(350);
    schedule.cancel();
    await endRun();
    expect(schedule.runs).toBe(1);
  });
});

describe('trigger', () => {
  it('runs at once and gives the run; when others are due does not change', async () => {
    const result = Promise.resolve();
    const schedule = begin({ timetable: interval(100), run: () => result });
    await pass(30);
    expect(schedule.trigger()).toBe(result);
    expect(schedule).toMatchObject({ runs: 1, lastRun: start + 30, nextRun: start + 100 });
    await pass(70);
    expect(schedule.runs).toBe(2);
  });

  it('works while it is paused', async () => {
    const schedule = begin({ timetable: interval(100) });
    schedule.pause();
    expect(schedule.trigger()).toBeInstanceOf(Promise);
    expect(schedule).toMatchObject({ state: 'paused', runs: 1 });
  });

  it('runs nothing while a run goes on, unless overlap is queue', () => {
    const skipping = begin({ timetable: interval(100), isLong: true, runNow: true });
    expect(skipping.trigger()).toBeUndefined();
    expect(skipping).toMatchObject({ runs: 1, skipped: 0 });
    const queueing = begin({ timetable: interval(100), isLong: true, runNow: true, overlap: 'queue' });
    expect(queueing.trigger()).toBeInstanceOf(Promise);
    expect(queueing.runs).toBe(2);
  });

  it('runs nothing after the end', () => {
    const schedule = begin({ timetable: interval(100) });
    schedule.cancel();
    expect(schedule.trigger()).toBeUndefined();
    expect(schedule.runs).toBe(0);
  });
});

describe('pause and resume', () => {
  it('keep the grid; what has come due meanwhile is not made up for', async () => {
    const schedule = begin({ timetable: interval(100), missed: 'once' });
    await pass(150);
    schedule.pause();
    schedule.pause();
    expect(schedule).toMatchObject({ state: 'paused', nextRun: undefined });
    expect(vi.getTimerCount()).toBe(0);
    await pass(5_000);
    schedule.resume();
    schedule.resume();
    expect(schedule).toMatchObject({ state: 'active', nextRun: start + 5_200, missed: 0 });
    await pass(150);
    expect(began).toEqual([100, 5_200, 5_300]);
  });

  it('at once change nothing', async () => {
    const schedule = begin({ timetable: interval(100) });
    await pass(50);
    schedule.pause();
    schedule.resume();
    await pass(50);
    expect(began).toEqual([100]);
  });

  it('end a single run that was due meanwhile', async () => {
    const schedule = begin({ timetable: once(100) });
    schedule.pause();
    await pass(100);
    expect(schedule.state).toBe('paused');
    schedule.resume();
    expect(schedule).toMatchObject({ state: 'ended', runs: 0 });
  });

  it('do nothing after the end', async () => {
    const schedule = begin({ timetable: interval(100) });
    schedule.cancel();
    schedule.pause();
    schedule.resume();
    await pass(1_000);
    expect(schedule).toMatchObject({ state: 'ended', runs: 0 });
  });
});

describe('the end', () => {
  it('by cancel comes once, and leaves nothing', async () => {
    const onEnd = vi.fn();
    const schedule = begin({ timetable: interval(100), onEnd });
    schedule.cancel();
    schedule.cancel();
    expect(onEnd).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
    await pass(1_000);
    expect(schedule).toMatchObject({ state: 'ended', nextRun: undefined, runs: 0 });
  });

  it('by cancel from its own run comes, too', async () => {
    const schedule: Schedule<Promise<void>> = begin({
      timetable: interval(100),
      run: () => {
        schedule.cancel();
        return Promise.resolve();
      },
    });
    await pass(1_000);
    expect(schedule).toMatchObject({ state: 'ended', runs: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('comes after maxRuns, of which those of runNow and trigger are some', async () => {
    const schedule = begin({ timetable: interval(100), maxRuns: 4, runNow: true });
    void schedule.trigger();
    await pass(50);
    void schedule.trigger();
    await pass(1_000);
    expect(began).toEqual([0, 50, 100, 200]);
    expect(schedule.state).toBe('ended');
  });

  it('comes before the first run, if runNow was the last', () => {
    expect(begin({ timetable: interval(100), maxRuns: 1, runNow: true })).toMatchObject({ state: 'ended', runs: 1 });
  });

  it('comes when a pattern has no next time', async () => {
    const schedule = begin({ timetable: cron('0 0 0 2 1 * 2026', 'UTC', 'a test') });
    await pass(dayMs);
    expect(schedule).toMatchObject({ state: 'ended', runs: 1 });
  });
});

it('holds the process while it is active', () => {
  const keepAlive = { hold: vi.fn(), release: vi.fn() } satisfies Partial<Record<keyof KeepAlive, unknown>>;
  const held = () => keepAlive.hold.mock.calls.length - keepAlive.release.mock.calls.length;
  const schedule = begin({ timetable: interval(100), keepAlive });
  expect(held()).toBe(1);
  schedule.pause();
  schedule.pause();
  expect(held()).toBe(0);
  schedule.resume();
  schedule.resume();
  expect(held()).toBe(1);
  schedule.cancel();
  schedule.cancel();
  expect(held()).toBe(0);
});

it('releases the process once, if it is canceled while it is paused', () => {
  const release = vi.fn();
  const schedule = begin({ timetable: interval(100), keepAlive: { hold: () => {}, release } });
  schedule.pause();
  schedule.cancel();
  expect(release).toHaveBeenCalledTimes(1);
});

describe('jitter', () => {
  it('lets runs come later, and leaves when they are due', async () => {
    vi.spyOn(Math, 'random')
      .mockReturnValueOnce(0.5)
      .mockReturnValueOnce(0)
      .mockReturnValueOnce(0.75)
      .mockReturnValue(0);
    const schedule = begin({ timetable: interval(1_000), jitterMs: 400 });
    expect(schedule.nextRun).toBe(start + 1_200);
    await pass(4_500);
    expect(began).toEqual([1_200, 2_000, 3_300, 4_000]);
    expect(schedule.missed).toBe(0);
  });

  it('never comes as late as the next is due', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.9);
    const schedule = begin({ timetable: interval(1_000), jitterMs: hourMs });
    await pass(3_950);
    expect(began).toEqual([1_900, 2_900, 3_900]);
    expect(schedule.missed).toBe(0);
  });

  it('is kept over a pause that is short', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const schedule = begin({ timetable: interval(1_000), jitterMs: 400 });
    await pass(1_100);
    schedule.pause();
    schedule.resume();
    await pass(100);
    expect(began).toEqual([1_200]);
  });
});

describe('a process that was blocked', () => {
  it('runs what is late by no more than its interval, and goes on with the grid', async () => {
    const schedule = begin({ timetable: interval(1_000) });
    await fireLate(999);
    expect(schedule).toMatchObject({ runs: 1, missed: 0, nextRun: start + 2_000 });
    await pass(1);
    expect(began).toEqual([1_999, 2_000]);
  });

  it.each(['skip', 'once'] as const)(
    "with missed: '%s' runs the last that was due, which is only late",
    async (missed) => {
      const schedule = begin({ timetable: interval(1_000), missed });
      await fireLate(4_300);
      expect(began).toEqual([5_300]);
      expect(schedule).toMatchObject({ missed: 4, nextRun: start + 6_000 });
    },
  );

  it.each([
    ['skip', []],
    ['once', [3.5 * hourMs]],
  ] as const)(
    "with missed: '%s' makes up for what is more than a minute late by running at %j",
    async (missed, runs) => {
      const schedule = begin({ timetable: interval(hourMs), missed });
      await fireLate(2.5 * hourMs);
      expect(began).toEqual(runs);
      expect(schedule).toMatchObject({ missed: 3, nextRun: start + 4 * hourMs });
      await pass(hourMs);
      expect(began).toEqual([...runs, 4 * hourMs]);
    },
  );

  it('has missed nothing that is a minute late, and no more', async () => {
    const schedule = begin({ timetable: interval(hourMs) });
    await fireLate(minuteMs);
    expect(schedule).toMatchObject({ runs: 1, missed: 0 });
    await fireLate(minuteMs + 1);
    expect(schedule).toMatchObject({ runs: 1, missed: 1 });
  });

  it('spreads what is late by its jitter, too', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const schedule = begin({ timetable: interval(1_000), jitterMs: 800, missed: 'once' });
    await fireLate(3_800);
    expect(schedule).toMatchObject({ runs: 0, missed: 4, nextRun: start + 5_400 });
    await pass(200);
    expect(began).toEqual([5_400]);
  });

  it('drops the run that would make up, while a run goes on', async () => {
    const schedule = begin({ timetable: interval(hourMs), missed: 'once', isLong: true, runNow: true });
    await fireLate(2.5 * hourMs);
    expect(schedule).toMatchObject({ runs: 1, missed: 3, skipped: 1 });
  });
});

describe('by a cron pattern', () => {
  const hourly = () => cron('0 * * * *', 'UTC', 'a test');
  const setClock = (ms: number) => vi.setSystemTime(Date.now() + ms);

  it('runs come at their time of day', async () => {
    const schedule = begin({ timetable: hourly() });
    expect(schedule.nextRun).toBe(start + hourMs);
    await pass(hourMs - 1);
    expect(began).toEqual([]);
    await pass(2 * hourMs);
    expect(began).toEqual([hourMs, 2 * hourMs]);
  });

  it('follow a clock that is set forward by less than the next run is away', async () => {
    const schedule = begin({ timetable: hourly() });
    await pass(10 * minuteMs);
    setClock(40 * minuteMs);
    await pass(10 * minuteMs);
    expect(began).toEqual([20 * minuteMs]);
    expect(schedule.missed).toBe(0);
  });

  it('are run late if the clock, or the machine, has skipped them by less than a minute', async () => {
    const schedule = begin({ timetable: hourly() });
    await pass(hourMs - 5_000);
    setClock(20_000);
    await pass(30_000);
    expect(schedule).toMatchObject({ runs: 1, missed: 0 });
  });

  it.each([
    ['skip', 0],
    ['once', 1],
  ] as const)("are missed while the machine sleeps; with '%s' there are %d for all", async (missed, runs) => {
    const schedule = begin({ timetable: hourly(), missed });
    await pass(10_000);
    setClock(5.5 * hourMs); // and no timer has gone on
    await pass(30_000);
    expect(schedule).toMatchObject({ runs, missed: 5, nextRun: start + 6 * hourMs });
    await pass(hourMs);
    expect(schedule).toMatchObject({ runs: runs + 1, missed: 5 });
  });

  it('are noticed 30 s after the machine has woken, at the latest', async () => {
    begin({ timetable: hourly() });
    await pass(15_000);
    setClock(hourMs - 16_000);
    await pass(30_000);
    expect(began).toHaveLength(1);
    expect(began[0]).toBeLessThanOrEqual(45_000);
  });

  it('are not repeated when the clock is set back', async () => {
    const schedule = begin({ timetable: hourly() });
    await pass(2 * hourMs + 1_000);
    setClock(-1.5 * hourMs);
    expect(schedule.nextRun).toBe(start + 3 * hourMs);
    await pass(2.4 * hourMs);
    expect(began).toEqual([hourMs, 2 * hourMs]);
    await pass(0.1 * hourMs);
    expect(schedule).toMatchObject({ runs: 3, missed: 0, nextRun: start + 4 * hourMs });
  });

  it('go by the new time at once when the clock was set back by more than three hours', async () => {
    const schedule = begin({ timetable: hourly() });
    await pass(5 * hourMs + 1_000);
    setClock(-4 * hourMs);
    await pass(30_000);
    expect(schedule.nextRun).toBe(start + 2 * hourMs);
    await pass(hourMs);
    expect(schedule).toMatchObject({ runs: 6, missed: 0 });
  });

  it('go by the new time also when it was set back during a pause', async () => {
    const schedule = begin({ timetable: hourly() });
    await pass(5 * hourMs);
    schedule.pause();
    setClock(-4.5 * hourMs);
    schedule.resume();
    expect(schedule.nextRun).toBe(start + hourMs);
  });

  it('that name a time are one a day when the clocks are changed', async () => {
    for (const [timezone, day] of [
      ['Europe/Lisbon', '2027-03-28'],
      ['Europe/Lisbon', '2026-10-25'],
      ['America/Santiago', '2026-09-06'],
      ['America/Santiago', '2026-04-05'],
      ['Australia/Lord_Howe', '2026-10-04'],
      ['Australia/Lord_Howe', '2026-04-05'],
    ] as const) {
      vi.setSystemTime(Date.parse(`${day}T00:00Z`) - dayMs - 12 * hourMs);
      for (const time of ['0 0', '30 1', '45 1', '15 2', '30 23']) {
        const schedule = begin({ timetable: cron(`${time} * * *`, timezone, 'a test') });
        await pass(3 * dayMs);
        expect(schedule, `${time} ${timezone} ${day}`).toMatchObject({ runs: 3, missed: 0 });
        schedule.cancel();
        vi.setSystemTime(Date.now() - 3 * dayMs);
      }
    }
  });

  it('that come on leap days wait for years', async () => {
    const schedule = begin({ timetable: cron('0 0 29 2 *', 'UTC', 'a test') });
    expect(schedule.nextRun).toBe(Date.parse('2028-02-29T00:00Z'));
    vi.setSystemTime(Date.parse('2028-02-28T23:59:55Z'));
    await pass(30_000);
    expect(schedule).toMatchObject({ runs: 1, missed: 0, nextRun: Date.parse('2032-02-29T00:00Z') });
  });
});
