/** A supervisor in numbers: what `getInfo()` gives. */
import type { WorkerInfo } from '../background-workers/worker-registry.ts';
import type { HostPoolInfo, PoolInfo } from '../dispatch/pool-info.ts';
import type { SupervisorState } from '../dispatch/supervisor-state.ts';
import type { Priority } from '../queue/priority.ts';
import type { EndReason } from '../task/record/task-info.ts';
import type { ModuleInfo } from './module-registry.ts';

export interface SupervisorInfo {
  readonly id: string;
  readonly name: string;
  readonly state: SupervisorState;
  /** Whether `pause()` keeps all tasks from starting. */
  readonly isPaused: boolean;
  /** The priorities that were paused by themselves. */
  readonly pausedPriorities: readonly Priority[];
  /** How many tasks were submitted. */
  readonly submitted: number;
  /** How many attempts were followed by another. */
  readonly retried: number;
  /** How many tasks have not ended. */
  readonly pending: number;
  /** How many of the pending tasks wait for their delay, or for their next attempt. */
  readonly delayed: number;
  readonly ended: Readonly<Record<EndReason, number>>;
  readonly threads: HostPoolInfo;
  readonly processes: HostPoolInfo;
  readonly loop: PoolInfo;
  /** By name. */
  readonly modules: Readonly<Record<string, ModuleInfo>>;
  /** The active background workers, in the order in which they were started. */
  readonly workers: readonly WorkerInfo[];
}
