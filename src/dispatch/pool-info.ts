/** Pools and their hosts in numbers, for `getInfo()`. */
import { type Priority, priorities } from '../queue/priority.ts';
import type { PoolLimits, PriorityPool } from '../queue/priority-pool.ts';
import type { Task } from '../task/record/task.ts';

export interface PoolInfo {
  readonly poolSize: number;
  readonly reserveNormal: number;
  readonly reserveHigh: number;
  /** Tasks that have a slot. */
  readonly running: number;
  /** Tasks in the queue, by priority. */
  readonly waiting: Readonly<Record<Priority, number>>;
}

/** The pool of the threads, or of the child processes. */
export interface HostPoolInfo extends PoolInfo {
  readonly minSize: number;
  readonly maxSize: number;
  /** How many threads or children there are. */
  readonly size: number;
  /** How many of them have no work. */
  readonly idle: number;
}

export function poolInfo(pool: PriorityPool<Task>, { poolSize, reserveNormal, reserveHigh }: PoolLimits): PoolInfo {
  const waiting = Object.fromEntries(priorities.map((priority) => [priority, pool.waitingOf(priority)]));
  return { poolSize, reserveNormal, reserveHigh, running: pool.running, waiting: waiting as Record<Priority, number> };
}

/** The fields that only lanes with hosts have. */
export function hostInfo(
  { size: { total, idle } }: { readonly size: { readonly total: number; readonly idle: number } },
  { minSize, maxSize }: { readonly minSize: number; readonly maxSize: number },
): Omit<HostPoolInfo, keyof PoolInfo> {
  return { minSize, maxSize, size: total, idle };
}
