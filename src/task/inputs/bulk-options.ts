/** The options of `all()`, which runs one task for many inputs. */
import { checkOptions, type Rule, rules } from '../../base/options.ts';

/** Those that are plain data. */
export interface BulkOptions {
  /**
   * How many inputs may run at a time. How many of them really run is decided by the slots of the pool, too. Default: as
   * many as the pool has slots for this priority; 64 where it has no limit, as on the event loop.
   */
  readonly concurrency?: number;
  /**
   * For how long inputs may run together in one go, in milliseconds, roughly. No other task waits longer for a slot than
   * that, or than one input takes. Default: 5.
   */
  readonly chunkMs?: number;
  /** Gives the outcome of each input, as Promise.allSettled() does, and no failure ends the others. Default: false. */
  readonly settle?: boolean;
}

export interface AllOptions extends BulkOptions {
  /** Cancels all inputs that have not ended, when it aborts. */
  readonly signal?: AbortSignal;
}

const allRules: Readonly<Record<keyof AllOptions, Rule>> = {
  concurrency: rules.positiveCount,
  chunkMs: rules.positiveMs,
  settle: rules.boolean,
  signal: rules.signal,
};

/** @throws TypeError or RangeError that names the bad option. */
export function checkAllOptions(options: AllOptions, owner: string): void {
  checkOptions(options, allRules, owner);
}
