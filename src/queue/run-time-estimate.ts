/**
 * How long tasks of one definition run, as a moving average, and how many of them may therefore travel together: so
 * many that they fill about `batchMs`, and so few that the other slots get their share. Pure.
 */

/** About how long the tasks of a batch may run together, in milliseconds: no other task waits for one much longer. */
export const batchMs = 1;

/** A batch that runs no longer than this is not worth dividing among the slots, in milliseconds. */
const quantumMs = 0.1;

/** How much one more run time counts. */
const weight = 1 / 16;

export class RunTimeEstimate {
  #averageMs: number | undefined;

  /** Takes note of how long a task has run. */
  record(runMs: number): void {
    this.#averageMs ??= runMs;
    this.#averageMs += (runMs - this.#averageMs) * weight;
  }

  /** How many tasks may go together at most, at least 1. */
  get maxBatch(): number {
    return this.#averageMs === undefined ? 1 : Math.max(Math.floor(batchMs / Math.max(this.#averageMs, 1e-6)), 1);
  }

  /**
   * How many tasks go together, at least 1. One that has never run goes alone.
   * @param waiting How many more wait beside the one that goes.
   * @param free How many slots are free for them, the one that is used now among them.
   * @param slots How many there are in all.
   */
  batchSize(waiting: number, free: number, slots: number): number {
    if (this.#averageMs === undefined || waiting === 0) return 1;
    const averageMs = Math.max(this.#averageMs, 1e-6);
    const share = Math.max((waiting + 1) / slots, quantumMs / averageMs);
    const most = Math.floor(Math.min(batchMs / averageMs, share));
    return Math.max(Math.min(most, Math.ceil((waiting + free) / free)), 1);
  }
}
