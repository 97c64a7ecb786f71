/** Pools and their hosts in numbers, for `getInfo()`. */

import type { PoolLimits } from '../queue/priority.ts';
import { type Priority, priorities } from '../queue/priority.ts';
import type { PriorityPool } from '../queue/priority-pool.ts';
import type { Task } from '../task/record/task.ts';

export interface PoolInfo {
  readonly poolSize: number;
  readonly reserveNormal: number;
  readonly reserveHigh: number;
  /** Tasks that have a slot. */
  readonly running: number;
  /** Tasks in the queue, and inputs of `all()` that wait, by priority. */
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

/** @param inputs Inputs that wait without a task in the pool. */
export function poolInfo(
  pool: PriorityPool<Task>,
  { poolSize, reserveNormal, reserveHigh }: PoolLimits,
  inputs: Readonly<Record<Priority, number>>,
): PoolInfo {
  const waitingOf = (priority: Priority) => pool.waitingOf(priority) + inputs[priority];
  const waiting = Object.fromEntries(priorities.map((priority) => [priority, waitingOf(priority)]));
  return { poolSize, reserveNormal, reserveHigh, running: pool.running, waiting: waiting as Record<Priority, number> };
}

/** The fields that only lanes with hosts have. */
export function hostInfo(
  { size: { total, idle } }: { readonly size: { readonly total: number; readonly idle: number } },
  { minSize, maxSize }: { readonly minSize: number; readonly maxSize: number },
): Omit<HostPoolInfo, keyof PoolInfo> {
  return { minSize, maxSize, size: total, idle };
}
