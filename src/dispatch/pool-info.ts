/** What a pool says of itself in numbers. */
import { type Priority, priorities } from '../queue/priority.ts';
import type { PoolLimits, PriorityPool } from '../queue/priority-pool.ts';
import type { Task } from '../task/record/task.ts';

export interface PoolInfo {
  readonly poolSize: number;
  readonly reserveNormal: number;
  readonly reserveHigh: number;
  /** Tasks that have a slot. */
  readonly running: number;
  /** Tasks in the queue, of each priority. */
  readonly waiting: Readonly<Record<Priority, number>>;
}

/** Of threads, or of children. */
export interface HostPoolInfo extends PoolInfo {
  readonly minSize: number;
  readonly maxSize: number;
  /** How many there are. */
  readonly size: number;
  /** How many have no work. */
  readonly idle: number;
}

export function poolInfo(pool: PriorityPool<Task>, { poolSize, reserveNormal, reserveHigh }: PoolLimits): PoolInfo {
  const waiting = Object.fromEntries(priorities.map((priority) => [priority, pool.waitingOf(priority)]));
  return { poolSize, reserveNormal, reserveHigh, running: pool.running, waiting: waiting as Record<Priority, number> };
}

/** What a lane of hosts adds. */
export function hostInfo(
  { size: { total, idle } }: { readonly size: { readonly total: number; readonly idle: number } },
  { minSize, maxSize }: { readonly minSize: number; readonly maxSize: number },
): Omit<HostPoolInfo, keyof PoolInfo> {
  return { minSize, maxSize, size: total, idle };
}
