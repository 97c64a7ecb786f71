/** Random schedules that are paused, resumed, triggered and canceled at random, beside a model; and clocks that are set. */
import assert from 'node:assert/strict'; // for what is looked at after each step: expect() takes longer than what it looks at
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Schedule } from '../../src/schedules/schedule.ts';
import { cron, interval, once, pause, type Timetable } from '../../src/schedules/timetable.ts';

const minuteMs = 60_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const given = fc.record({
  kind: fc.constantFrom('once', 'interval', 'interval at start', 'pause', 'pause at start'),
  delayMs: fc.integer({ min: 1, max: 60 }),
  overlap: fc.constantFrom('skip' as const, 'queue' as const),
  maxRuns: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 8 })),
  runNow: fc.boolean(),
});

type Given = typeof given extends fc.Arbitrary<infer T> ? T : never;

const call = fc.oneof(
  { weight: 20, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 200 }) }) },
  { weight: 16, arbitrary: fc.record({ do: fc.constant('endRun' as const) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const, 'trigger' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('setClock' as const), ms: fc.integer({ min: -1e9, max: 1e9 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const) }) },
);

/** What a schedule is to do, told from one due time to the next, on a clock that begins with 0. */
class Model {
  readonly #given: Given;
  #at = 0;
  #due: number | undefined;
  #running = 0;
  #waiting = 0;
  began: number[] = [];
  skipped = 0;
  state: 'active' | 'paused' | 'ended' = 'active';

  constructor(spec: Given) {
    this.#given = spec;
    const { kind, delayMs, runNow } = spec;
    this.#due = kind.endsWith('at start') ? 0 : delayMs;
    if (runNow) {
      if (this.#isPause) this.#due = undefined;
      this.#run();
    }
    this.pass(0);
  }

  get #isPause(): boolean {
    return this.#given.kind.startsWith('pause');
  }

  #after(at: number): number | undefined {
    const { kind, delayMs } = this.#given;
    if (kind === 'once') return undefined;
    return this.#isPause ? at + delayMs : (Math.floor(at / delayMs) + 1) * delayMs;
  }

  #run(): void {
    this.began.push(this.#at);
    this.#running += 1;
    if (this.began.length >= this.#given.maxRuns) this.cancel();
  }

  #settle(): void {
    if (this.state !== 'active') return;
    if (this.#running === 0 && this.#waiting > 0) {
      this.#waiting -= 1;
      this.#run();
    }
    if (this.#running === 0 && this.#due === undefined && this.#isPause) this.#due = this.#after(this.#at);
    const isOver = this.#due === undefined && this.#waiting === 0 && !this.#isPause;
    if (isOver) this.state = 'ended';
  }

  pass(ms: number): void {
    const until = this.#at + ms;
    while (this.state === 'active' && this.#due !== undefined && this.#due <= until) {
      this.#at = this.#due;
      this.#due = this.#isPause ? undefined : this.#after(this.#due);
      if (this.#running === 0) this.#run();
      else if (this.#given.overlap === 'queue' || this.#given.kind === 'once') this.#waiting += 1;
      else this.skipped += 1;
      this.#settle();
    }
    this.#at = until;
  }

  endRun(): void {
    if (this.#running === 0) return;
    this.#running -= 1;
    this.#settle();
  }

  pause(): void {
    if (this.state === 'active') this.state = 'paused';
  }

  resume(): void {
    if (this.state !== 'paused') return;
    this.state = 'active';
    if (this.#due !== undefined && this.#due <= this.#at) this.#due = this.#after(this.#at);
    this.#settle();
  }

  trigger(): void {
    if (this.state !== 'ended' && (this.#running === 0 || this.#given.overlap === 'queue')) this.#run();
  }

  cancel(): void {
    this.state = 'ended';
    this.#waiting = 0;
  }

  get nextRun(): number | undefined {
    return this.state === 'active' ? this.#due : undefined;
  }
}

function timetableOf({ kind, delayMs }: Given): Timetable {
  const atStart = kind.endsWith('at start');
  if (kind === 'once') return once(delayMs);
  return kind.startsWith('pause') ? pause(delayMs, { atStart }) : interval(delayMs, { atStart });
}

it('runs what the model runs, when it runs it', async () => {
  await fc.assert(
    fc.asyncProperty(given, fc.array(call, { maxLength: 40 }), async (spec, calls) => {
      const zero = performance.now();
      const began: number[] = [];
      const open: (() => void)[] = [];
      const schedule = new Schedule<Promise<void>>({
        ...spec,
        name: 'test',
        timetable: timetableOf(spec),
        run: () => {
          began.push(Math.round(performance.now() - zero));
          return new Promise((resolve) => open.push(resolve));
        },
      }).start();
      const model = new Model(spec);
      for (const each of calls) {
        if (each.do === 'setClock') vi.setSystemTime(1e12 + each.ms);
        else if (each.do === 'endRun') {
          open.shift()?.();
          model.endRun();
        } else if (each.do === 'pass') {
          await vi.advanceTimersByTimeAsync(each.ms);
          model.pass(each.ms);
        } else {
          void schedule[each.do]();
          model[each.do]();
        }
        await vi.advanceTimersByTimeAsync(0);
        const { state, skipped, nextRun } = model;
        const wait = schedule.nextRun === undefined ? undefined : schedule.nextRun - Date.now();
        const { runs, missed } = schedule;
        assert.deepEqual(
          { began, state: schedule.state, skipped: schedule.skipped, wait, runs, missed },
          {
            began: model.began,
            state,
            skipped,
            wait: nextRun === undefined ? undefined : nextRun - Math.round(performance.now() - zero),
            runs: began.length,
            missed: 0,
          },
        );
      }
      schedule.cancel();
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: 500 },
  );
});

const step = fc.record({
  /** Less than three hours back; that would be a correction. */
  setMs: fc.oneof(fc.constant(0), fc.integer({ min: -170 * minuteMs, max: 600 * minuteMs })),
  passMs: fc.integer({ min: minuteMs, max: 90 * minuteMs }),
});

it('by a cron pattern each time is run once or missed, however the clock is set', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(2, 5, 30), fc.array(step, { maxLength: 12 }), async (minutes, steps) => {
      const periodMs = minutes * minuteMs;
      const start = Date.parse('2026-01-01T00:00Z');
      vi.setSystemTime(start);
      const times: number[] = [];
      const schedule = new Schedule<Promise<void>>({
        name: 'test',
        timetable: cron(`*/${minutes} * * * *`, 'UTC', 'a test'),
        run: () => {
          times.push(Math.floor(Date.now() / periodMs));
          assert.ok(Date.now() % periodMs <= minuteMs);
          return Promise.resolve();
        },
      }).start();
      let latest = start;
      for (const { setMs, passMs } of steps) {
        vi.setSystemTime(Date.now() + setMs);
        await vi.advanceTimersByTimeAsync(passMs);
        latest = Math.max(latest, Date.now());
        expect(schedule.runs + schedule.missed).toBe(Math.floor((latest - start) / periodMs));
      }
      expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
      expect(schedule).toMatchObject({ runs: times.length, skipped: 0 });
      schedule.cancel();
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: 100 },
  );
});
