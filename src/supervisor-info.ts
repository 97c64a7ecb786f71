/** What a supervisor says of itself in numbers. */
import {
  type PoolItem,
  type PoolLimits,
  type Priority,
  type PriorityPool,
  priorities,
} from './scheduling/priority-pool.ts';
import type { SupervisorState } from './supervisor.ts';
import type { EndReason } from './task/info.ts';

export interface PoolInfo {
  readonly poolSize: number;
  readonly reserveNormal: number;
  readonly reserveHigh: number;
  /** Tasks that have a slot. */
  readonly running: number;
  /** Tasks in the queue, of each priority. */
  readonly waiting: Readonly<Record<Priority, number>>;
}

export interface SupervisorInfo {
  readonly id: string;
  readonly name: string;
  readonly state: SupervisorState;
  /** How many tasks there have been. */
  readonly submitted: number;
  /** How many attempts were not the last. */
  readonly retried: number;
  /** How many tasks have not ended. */
  readonly pending: number;
  /** How many of those wait for their time, or for their next attempt. */
  readonly delayed: number;
  readonly ended: Readonly<Record<EndReason, number>>;
  readonly threads: PoolInfo & {
    readonly minSize: number;
    readonly maxSize: number;
    /** Threads there are. */
    readonly size: number;
    /** Threads without work. */
    readonly idle: number;
  };
  readonly loop: PoolInfo;
}

export function poolInfo<T extends PoolItem<T>>(
  pool: PriorityPool<T>,
  { poolSize, reserveNormal, reserveHigh }: PoolLimits,
): PoolInfo {
  const waiting = Object.fromEntries(priorities.map((priority) => [priority, pool.queue(priority).size]));
  return { poolSize, reserveNormal, reserveHigh, running: pool.running, waiting: waiting as Record<Priority, number> };
}
