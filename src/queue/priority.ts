/** How urgent tasks are, and how many of each priority may run in a pool. */

/** From the most to the least urgent. */
export const priorities = ['critical', 'high', 'normal', 'low'] as const;

/** How urgent a task is. A more urgent task starts before all less urgent ones, and has slots reserved for it. */
export type Priority = (typeof priorities)[number];

export interface PoolLimits {
  /** Slots for tasks of any priority. 0: no limit. */
  readonly poolSize: number;
  /** More slots, for normal tasks and above. */
  readonly reserveNormal: number;
  /** More slots, for high and critical tasks. */
  readonly reserveHigh: number;
  /** How many hosts tasks of the program may hold at most, whatever the sum above. Default: Infinity. */
  readonly maxSize?: number;
  /** How many more hosts sub-tasks may hold. Default: 0. */
  readonly maxDepth?: number;
}

export function limitsOf({
  poolSize,
  reserveNormal,
  reserveHigh,
  maxSize = Infinity,
}: PoolLimits): Record<Priority, number> {
  const low = poolSize === 0 ? Infinity : poolSize;
  return {
    critical: maxSize,
    high: Math.min(low + reserveNormal + reserveHigh, maxSize),
    normal: Math.min(low + reserveNormal, maxSize),
    low: Math.min(low, maxSize),
  };
}
