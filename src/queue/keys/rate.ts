/**
 * How many starts there may be in a time: the generic cell rate algorithm, which knows one number, the theoretical arrival
 * time, and needs neither a list of starts nor a timer for each, https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm.
 * With a burst of 1 starts are at least `perMs / max` apart, so no span of `perMs` has more than `max`; with a burst of b
 * none has more than `max + b - 1`.
 */

export interface RateOptions {
  /** How many tasks may start in `perMs`. */
  readonly max: number;
  readonly perMs: number;
  /** Each key has that rate for itself; tasks without a key have none. Default: false. */
  readonly perKey?: boolean;
  /** How many may start at once after a pause. Default: 1, so that starts are evenly spread. */
  readonly burst?: number;
}

export class Rate {
  readonly #intervalMs: number;
  readonly #toleranceMs: number;

  constructor({ max, perMs, burst = 1 }: RateOptions) {
    this.#intervalMs = perMs / max;
    this.#toleranceMs = (burst - 1) * this.#intervalMs;
  }

  /** From when on the next may start. */
  opensAt(arrival: number): number {
    return arrival - this.#toleranceMs;
  }

  /** The theoretical arrival time after a start. */
  afterStart(arrival: number, now: number): number {
    return Math.max(arrival, now) + this.#intervalMs;
  }
}
