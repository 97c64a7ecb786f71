/** A monotonic clock, the time of day, and a timer. */
import { clearTimeout, elapsed, setTimeout, timeOfDay } from './globals.ts';

/** `performance.now()` starts at 0 in each thread; `hrtime` does not, and both run at the same rate. */
const origin = originOf(5);

/** Reading two clocks takes time and may be interrupted: of several tries, the quickest is the most exact. */
function originOf(tries: number): number {
  let best = { ms: Infinity, origin: 0 };
  for (let n = 0; n < tries; n += 1) {
    const before = elapsed();
    const at = Number(process.hrtime.bigint()) / 1e6;
    const ms = elapsed() - before;
    if (ms < best.ms) best = { ms, origin: at - before - ms / 2 };
  }
  return best.origin;
}

/** Milliseconds on a monotonic clock that is the same in all threads and children. */
export function now(): number {
  return elapsed() + origin;
}

/** One point in time on both clocks. */
export interface Moment {
  /** See `now`. */
  readonly at: number;
  /** In epoch milliseconds. */
  readonly time: number;
}

/**
 * Moments closer to each other than this, in milliseconds, share one object: it saves allocations when tasks are many.
 */
const resolutionMs = 0.05;

let latest: Moment = { at: -Infinity, time: 0 };

/** The present moment, or one that was less than 0.05 ms ago. */
export function thisMoment(): Moment {
  const at = now();
  const sinceMs = at - latest.at;
  if (sinceMs >= resolutionMs || sinceMs < 0) latest = Object.freeze({ at, time: timeOfDay() });
  return latest;
}

/** The time of day at which it was `at`, which is before `moment`. In whole epoch milliseconds, like `Date.now()`. */
export function timeOf(at: number, moment: Moment): number {
  return Math.floor(moment.time - Math.max(moment.at - at, 0));
}

/** A duration in milliseconds, rounded up to whole microseconds: further digits of the clock mean nothing. */
export function shownMs(durationMs: number): number {
  const us = durationMs * 1_000 - 1e-6; // 0.069 * 1,000 is more than 69
  return Math.max(Math.ceil(us), 0) / 1_000;
}

const longestTimeoutMs = 2 ** 31 - 1;

/** A timer that can be longer than `setTimeout` allows (2^31 - 1 ms, about 24.8 days). */
export class Timer {
  #timeout: NodeJS.Timeout | undefined;

  /** Calls `fire` once, `delayMs` from now; `Infinity` never fires. It does not keep the process alive. */
  constructor(delayMs: number, fire: () => void) {
    if (delayMs !== Infinity) this.#arm(delayMs, fire);
  }

  #arm(leftMs: number, fire: () => void): void {
    const stepMs = Math.min(leftMs, longestTimeoutMs);
    this.#timeout = setTimeout(() => {
      if (leftMs > stepMs) this.#arm(leftMs - stepMs, fire);
      else fire();
    }, stepMs).unref();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }
}
