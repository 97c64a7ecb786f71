/**
 * When runs are due: once, on a grid of equal intervals, after a pause, or by a cron pattern. A timetable is immutable, keeps
 * no timer and runs nothing. Intervals are counted from the start, so they never drift.
 */
import { messageOf } from '../base/foreign-value.ts';
import { show } from '../base/options.ts';
import { timeOfDay } from '../platform/globals.ts';
import { CronPattern } from './cron-pattern.ts';
import { firstSecond } from './first-second.ts';
import { TimeZone, twoDaysMs } from './time-zone.ts';

/** Times are on the clock of `now()`, or, by the wall clock, epoch milliseconds. */
export interface Timetable {
  readonly kind: 'once' | 'interval' | 'pause' | 'cron';
  /** The clock of its times: that of `now()`, or the wall clock. */
  readonly clock: 'steady' | 'wall';
  /** When the first run of a schedule that starts at `start` is due. */
  first(start: number): number;
  /** The first due time after `after`; undefined if there is none. For `pause`, `after` is the end of a run. */
  next(start: number, after: number): number | undefined;
  /** The runs that came due from `due`, which is a due time, to `until`. */
  passed(start: number, due: number, until: number): Passed;
}

interface Passed {
  readonly latest: number;
  /** How many runs, including those at `due` and `until`. */
  readonly count: number;
}

/** Finding each run of a cron pattern takes 0.03 ms, so no more than this are counted at a time. */
const mostCounted = 1_000;

/** One run, `delayMs` after the start. */
export function once(delayMs: number): Timetable {
  return Object.freeze({
    kind: 'once',
    clock: 'steady',
    first: (start) => start + delayMs,
    next: () => undefined,
    passed: (_start, due) => ({ latest: due, count: 1 }),
  } satisfies Timetable);
}

export interface RepeatOptions {
  /** Whether the first run is due at the start, and not one delay later. Default: false. */
  readonly atStart?: boolean;
}

/** The n-th run is due at start + n x `delayMs`, which is 1 or more. `atStart` adds a run 0. */
export function interval(delayMs: number, { atStart = false }: RepeatOptions = {}): Timetable {
  /** The n of the last run that is due at or before `at`. */
  const indexAt = (start: number, at: number): number => {
    const n = Math.floor((at - start) / delayMs);
    // The division may be rounded to the wrong side of a whole number, so the product decides.
    if (start + n * delayMs > at) return n - 1;
    return start + (n + 1) * delayMs <= at ? n + 1 : n;
  };
  return Object.freeze({
    kind: 'interval',
    clock: 'steady',
    first: (start) => (atStart ? start : start + delayMs),
    next: (start, after) => start + (indexAt(start, after) + 1) * delayMs,
    passed: (start, due, until) => {
      const [from, to] = [indexAt(start, due), indexAt(start, until)];
      return { latest: start + to * delayMs, count: to - from + 1 };
    },
  } satisfies Timetable);
}

/** Runs are due at multiples of `delayMs` by the wall clock, counted from 1970: the same on all machines, whenever they start. */
export function epochInterval(delayMs: number): Timetable {
  const { next, passed } = interval(delayMs);
  return Object.freeze({
    kind: 'interval',
    clock: 'wall',
    first: (start) => next(0, start) as number,
    next: (_start, after) => next(0, after),
    passed: (_start, due, until) => passed(0, due, until),
  } satisfies Timetable);
}

/** Each run is due `delayMs` after the end of the one before; the first, `delayMs` after the start. */
export function pause(delayMs: number, { atStart = false }: RepeatOptions = {}): Timetable {
  return Object.freeze({
    kind: 'pause',
    clock: 'steady',
    first: (start) => (atStart ? start : start + delayMs),
    next: (_start, after) => after + delayMs,
    passed: (_start, due) => ({ latest: due, count: 1 }),
  } satisfies Timetable);
}

/**
 * Runs by a pattern of 5 fields, or 6 with seconds first, or 7 with years last, or a name such as `@daily`; in an IANA time
 * zone, or the local one. When the clocks change for daylight saving:
 * - A pattern that names its times (no `*`, no `/` in seconds, minutes and hours) loses no run and repeats none: a time
 *   that does not exist is run as the clock jumps forward; a time that comes twice is run only the first time.
 * - Any other pattern goes by what the clock shows: it skips times that do not exist, and runs twice at times that come twice.
 * These are the rules of cron (https://manpages.debian.org/cron).
 * @throws TypeError for a bad pattern or time zone, RangeError for a pattern whose time never comes.
 */
export function cron(pattern: string, timezone: string | undefined, owner: string): Timetable {
  const dates = patternOf(pattern, owner);
  const zone = zoneOf(timezone, owner);
  const next = (_start: number, after: number) => nextOf(dates, zone, after);
  if (next(0, timeOfDay()) === undefined) {
    throw new RangeError(
      `option "cron" of ${owner} must be a pattern whose time will come; ${show(pattern)} never does`,
    );
  }
  return Object.freeze({
    kind: 'cron',
    clock: 'wall',
    first: (start) => next(0, start) ?? Infinity,
    next,
    passed: (start, due, until) => {
      let latest = due;
      for (let count = 1; count <= mostCounted; count += 1) {
        const following = next(start, latest);
        if (following === undefined || following > until) return { latest, count };
        latest = following;
      }
      const nothingLeft = firstSecond(latest, until, (at) => (next(start, at) ?? Infinity) > until) as number;
      return { latest: next(start, nothingLeft - 1_000) as number, count: mostCounted };
    },
  } satisfies Timetable);
}

/** Goes from one change of the clocks to the next: between changes, the difference to UTC is constant. */
function nextOf(dates: CronPattern, zone: TimeZone, after: number): number | undefined {
  let at = after;
  let wanted = dates.after(dates.namesTimes ? zone.latestShown(at) : at + zone.aheadAt(at));
  for (;;) {
    const due = wanted - zone.aheadAt(at);
    const change = zone.changeAfter(at);
    if (change !== undefined && change <= due) {
      at = change;
      if (!dates.namesTimes) wanted = dates.after(at - 1 + zone.aheadAt(at));
      else if (wanted - zone.aheadAt(at) <= at) return at; // the clock jumped over it
    } else if (due === Infinity) {
      return undefined;
    } else if (due <= at + twoDaysMs) {
      return due;
    } else {
      at = due - twoDaysMs; // nothing is due before that, but the clocks may change
    }
  }
}

function patternOf(pattern: string, owner: string): CronPattern {
  try {
    return new CronPattern(pattern);
  } catch (cause) {
    throw new TypeError(
      `option "cron" of ${owner} must be a cron pattern such as '*/5 * * * *'; got ${show(pattern)}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

function zoneOf(timezone: string | undefined, owner: string): TimeZone {
  try {
    return new TimeZone(timezone);
  } catch (cause) {
    throw new TypeError(
      `option "timezone" of ${owner} must be a time zone such as 'Europe/Lisbon' or 'UTC'; got ${show(timezone)}`,
      { cause },
    );
  }
}
