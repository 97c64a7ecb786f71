/** The clocks: one that only goes forward, and the time of day; and a timer. */

/** `performance.now()` begins anew in each thread; `hrtime` does not, and both tick alike. */
const origin = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** In milliseconds, on a clock that is the same in all threads and children, and that nobody sets. */
export function now(): number {
  return performance.now() + origin;
}

/** One moment on both clocks. */
export interface Moment {
  /** See `now`. */
  readonly at: number;
  /** In epoch milliseconds. */
  readonly time: number;
}

export function thisMoment(): Moment {
  return { at: now(), time: Date.now() };
}

/** A moment that is past, on the clock that nobody sets, as one on both. */
export function momentAt(at: number): Moment {
  return { at, time: Math.floor(Date.now() - Math.max(now() - at, 0)) };
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
