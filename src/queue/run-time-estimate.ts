/**
 * How long tasks of one definition run, as a moving average, and how many of them make a batch: enough to fill about
 * `batchMs`, and few enough to leave the other slots their share. Pure data.
 */

/**
 * How long the tasks of a batch may run together, in milliseconds, roughly: no other task waits much longer for a
 * batch.
 */
export const batchMs = 1;

/** A batch that runs no longer than this is not worth dividing among the slots, in milliseconds. */
const quantumMs = 0.1;

/** The weight of the newest run time in the average. */
const weight = 1 / 16;

export class RunTimeEstimate {
  #averageMs: number | undefined;

  /** Adds the run time of a task to the average. */
  record(runMs: number): void {
    this.#averageMs ??= runMs;
    this.#averageMs += (runMs - this.#averageMs) * weight;
  }

  /** Undefined until a task has run. */
  get averageMs(): number | undefined {
    return this.#averageMs;
  }

  /** The largest batch, at least 1. */
  get maxBatch(): number {
    return this.#averageMs === undefined ? 1 : Math.max(Math.floor(batchMs / Math.max(this.#averageMs, 1e-6)), 1);
  }

  /**
   * How many tasks the next batch has, at least 1. It has one task until a task has run.
   * @param waiting How many tasks wait, besides the first of the batch.
   * @param free How many slots are free for them, that of this batch included.
   * @param slots How many slots there are in all.
   */
  batchSize(waiting: number, free: number, slots: number): number {
    if (this.#averageMs === undefined || waiting === 0) return 1;
    const averageMs = Math.max(this.#averageMs, 1e-6);
    const share = Math.max((waiting + 1) / slots, quantumMs / averageMs);
    const most = Math.floor(Math.min(batchMs / averageMs, share));
    return Math.max(Math.min(most, Math.ceil((waiting + free) / free)), 1);
  }
}
