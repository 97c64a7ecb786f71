/** BackgroundIntervalWorker: runs by the clock, and when it is triggered. Runs that come due during a run are left out. */
import type { Rule } from '../base/options.ts';
import { pause } from '../platform/pause.ts';
import { Schedule } from '../schedules/schedule.ts';
import { cron, interval, type Timetable, pause as timedPause } from '../schedules/timetable.ts';
import { BackgroundEventWorker } from './event-worker.ts';
import type { AnyArgs } from './hooked-worker.ts';
import { type IntervalOptions, type IntervalWorkerOptions, intervalRules } from './worker-options.ts';

export class BackgroundIntervalWorker<A extends unknown[] = AnyArgs> extends BackgroundEventWorker<A> {
  readonly #timetable: Timetable;
  #schedule: Schedule<Promise<void>> | undefined;

  /** Requires one of `intervalMs`, `delayMs` and `cron`. */
  constructor(options: IntervalWorkerOptions);
  constructor(moduleUrl: string | URL, options: IntervalWorkerOptions);
  constructor(fn: (...args: A) => unknown, options: IntervalWorkerOptions);
  constructor(moduleUrl: string | URL, fn: (...args: A) => unknown, options: IntervalWorkerOptions);
  constructor(...given: unknown[]) {
    super(...(given as []));
    this.#timetable = timetableOf(this.given, this.constructor.name);
  }

  protected override ownRules(): Readonly<Record<string, Rule>> {
    return intervalRules;
  }

  /** When the next run is due, in epoch milliseconds; undefined if it is not started, or if the pause starts after this run. */
  get nextRun(): number | undefined {
    return this.isStarted ? this.#schedule?.nextRun : undefined;
  }

  protected override onPauseChanged(isPaused: boolean): void {
    super.onPauseChanged(isPaused);
    if (isPaused) this.#schedule?.pause();
    else this.#schedule?.resume();
  }

  protected override async work(signal: AbortSignal): Promise<void> {
    const { delayBeforeMs = 0 } = this.given as IntervalOptions;
    const due = async () => {
      if (delayBeforeMs > 0) await pause(delayBeforeMs, signal);
      if (!signal.aborted) await this.wakeIfIdle();
    };
    const schedule = new Schedule({ name: this.name, timetable: this.#timetable, run: due });
    this.#schedule = schedule.start();
    if (this.isPaused) schedule.pause();
    try {
      await super.work(signal);
    } finally {
      schedule.cancel();
      this.#schedule = undefined;
    }
  }
}

function timetableOf(options: IntervalOptions, kind: string): Timetable {
  const { intervalMs, delayMs, cron: pattern, timezone } = options;
  const given = Object.entries({ intervalMs, delayMs, cron: pattern }).filter(([, value]) => value !== undefined);
  if (given.length !== 1) {
    const names = given.map(([name]) => `"${name}"`).join(' and ') || 'none';
    throw new TypeError(`${kind} takes one of "intervalMs", "delayMs" and "cron"; got ${names}`);
  }
  if (timezone !== undefined && pattern === undefined) {
    throw new TypeError(`option "timezone" of ${kind} belongs to "cron", and there is none`);
  }
  if (intervalMs !== undefined) return interval(intervalMs, { atStart: true });
  if (delayMs !== undefined) return timedPause(delayMs, { atStart: true });
  return cron(pattern as string, timezone, kind);
}
