/** What a supervisor says of itself in numbers. */
import { type PoolLimits, type Priority, type PriorityPool, priorities } from './scheduling/priority-pool.ts';
import type { SupervisorState } from './supervisor.ts';
import type { EndReason } from './task/info.ts';
import type { Task } from './task/task.ts';
import type { WorkerState } from './workers/background-worker.ts';

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
  readonly threads: HostPoolInfo;
  readonly processes: HostPoolInfo;
  readonly loop: PoolInfo;
  /** By name. */
  readonly modules: Readonly<Record<string, ModuleInfo>>;
  /** The background workers that are active, in the order in which they were started. */
  readonly workers: readonly WorkerInfo[];
}

export interface WorkerInfo {
  readonly name: string;
  readonly state: WorkerState;
  /** When its last run was submitted, in epoch milliseconds. */
  readonly lastExecuted: number | undefined;
  /** Of a queue worker: when its courier last answered a fetch, though it had nothing, in epoch milliseconds. */
  readonly timeFetched?: number | undefined;
  /** Of a queue worker: how many items it has. */
  readonly inHand?: number;
}

export interface ModuleInfo {
  readonly maxWorkers: number;
  /** Tasks that have a slot. */
  readonly running: number;
  /** Tasks in queues, for whatever reason. */
  readonly waiting: number;
}

export function moduleInfo(modules: Iterable<ModuleInfo & { readonly name: string }>): Record<string, ModuleInfo> {
  const entries = [...modules].map(({ name, maxWorkers, running, waiting }) => [
    name,
    { maxWorkers, running, waiting },
  ]);
  return Object.fromEntries(entries);
}

export function workersInfo(workers: Iterable<WorkerInfo>): readonly WorkerInfo[] {
  return [...workers].map(({ name, state, lastExecuted, timeFetched, inHand }) => {
    return { name, state, lastExecuted, ...(inHand !== undefined && { timeFetched, inHand }) };
  });
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
