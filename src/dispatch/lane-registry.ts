/** The lanes of a supervisor: for each type of task the pool in which it waits and the lane in which it runs. */
import type { HostPoolSettings } from '../lanes/host-pool/host-pool-settings.ts';
import { HostLane } from '../lanes/hosts/host-lane.ts';
import type { HostKind, HostWatcher, Lane, LaneListener } from '../lanes/lane.ts';
import { LoopLane } from '../lanes/loop/loop-lane.ts';
import { ProcessHost } from '../lanes/process/process-host.ts';
import { ThreadHost } from '../lanes/thread/thread-host.ts';
import { Promise } from '../platform/globals.ts';
import type { HostSupply } from '../queue/host-ceiling.ts';
import type { PoolLimits, Priority } from '../queue/priority.ts';
import { PriorityPool } from '../queue/priority-pool.ts';
import type { TaskMessage } from '../task/inside/task-message.ts';
import type { Task } from '../task/record/task.ts';
import type { TaskType } from '../task/record/task-type.ts';
import { lateLevels } from './events/task-events.ts';
import { type HostPoolInfo, hostInfo, type PoolInfo, poolInfo } from './pool-info.ts';

/** Where tasks of one type wait, and where they run. */
export interface LaneWithPool {
  readonly pool: PriorityPool<Task>;
  readonly lane: Lane<Task>;
}

export interface HostPoolOptions extends PoolLimits, HostPoolSettings {
  readonly maxSize: number;
}

interface LaneOptions {
  readonly threads: HostPoolOptions;
  readonly processes: HostPoolOptions;
  readonly loop: PoolLimits;
}

/** How many inputs wait, by priority. */
interface WaitingInputs {
  waiting(type: TaskType): Readonly<Record<Priority, number>>;
}

interface LanesInfo {
  readonly threads: HostPoolInfo;
  readonly processes: HostPoolInfo;
  readonly loop: PoolInfo;
}

export class LaneRegistry {
  readonly #threads: HostLane<Task>;
  readonly #processes: HostLane<Task>;
  readonly #byType: Readonly<Record<TaskType, LaneWithPool>>;
  #options: LaneOptions;

  /** @param ids Gives what the ids of tasks begin with. */
  constructor(options: LaneOptions, watcher: HostWatcher, ids: { readonly idPrefix: string }) {
    const hostLane = (kind: HostKind, hostOptions: HostPoolSettings, Host: typeof ThreadHost | typeof ProcessHost) =>
      new HostLane<Task>(kind, hostOptions, {
        watcher,
        startHost: (each, hostListener) => new Host(each, ids, hostListener).slots,
      });
    const withPool = (limits: PoolLimits, lane: Lane<Task>, hosts?: HostSupply): LaneWithPool => ({
      pool: new PriorityPool(limits, lateLevels.length, hosts),
      lane,
    });
    this.#options = options;
    this.#threads = hostLane('thread', options.threads, ThreadHost);
    this.#processes = hostLane('child', options.processes, ProcessHost);
    this.#byType = {
      thread: withPool(taskLimits(options.threads), this.#threads, this.#threads),
      process: withPool(taskLimits(options.processes), this.#processes, this.#processes),
      loop: withPool(options.loop, new LoopLane()),
    };
  }

  /** The one listener of all lanes, from now on. Called once, before a task is handed over. */
  subscribe(listener: LaneListener<Task>): void {
    for (const { lane } of this) lane.subscribe(listener);
  }

  [Symbol.iterator](): Iterator<LaneWithPool> {
    return Object.values(this.#byType).values();
  }

  of(type: TaskType): LaneWithPool {
    return this.#byType[type];
  }

  /** How many tasks wait for a slot. */
  get waiting(): number {
    return [...this].reduce((sum, { pool }) => sum + pool.waiting, 0);
  }

  /** Sends a message to a task that runs; one that does not run gets none. */
  send(task: Task, message: TaskMessage): void {
    if (task.status === 'started') this.of(task.type).lane.send(task, message);
  }

  /** Limits of pools hold from now on; the numbers of hosts follow at `start()`. */
  configure(options: LaneOptions): void {
    this.#options = options;
    this.#byType.thread.pool.configure(taskLimits(options.threads));
    this.#byType.process.pool.configure(taskLimits(options.processes));
    this.#byType.loop.pool.configure(options.loop);
  }

  /** Starts the threads and children that are always kept, and ends those that are too many. */
  start(): void {
    this.#threads.configure(this.#options.threads);
    this.#processes.configure(this.#options.processes);
  }

  /** Resolves when the threads and children that are always kept are up. */
  async ready(): Promise<void> {
    await Promise.all([...this].map(({ lane }) => lane.ready()));
  }

  /** Replaces all threads and children. */
  async recycle(): Promise<void> {
    await Promise.all([...this].map(({ lane }) => lane.recycle()));
  }

  /** Ends all threads and children, which may clean up for `graceMs`. */
  async close(graceMs: number): Promise<void> {
    await Promise.all([...this].map(({ lane }) => lane.close(graceMs)));
  }

  /** @param inputs Inputs that wait without a task in the pool. */
  info(inputs: WaitingInputs): LanesInfo {
    const { threads, processes, loop } = this.#options;
    const pool = (type: TaskType, limits: PoolLimits) => poolInfo(this.of(type).pool, limits, inputs.waiting(type));
    return {
      threads: { ...pool('thread', threads), ...hostInfo(this.#threads, threads) },
      processes: { ...pool('process', processes), ...hostInfo(this.#processes, processes) },
      loop: pool('loop', loop),
    };
  }
}

/** The options count hosts, and the pool of tasks their slots. */
function taskLimits(options: HostPoolOptions): PoolLimits {
  const { poolSize, reserveNormal, reserveHigh, maxSize, concurrentTasks = 1 } = options;
  return {
    ...options,
    poolSize: poolSize * concurrentTasks,
    reserveNormal: reserveNormal * concurrentTasks,
    reserveHigh: reserveHigh * concurrentTasks,
    maxSize: maxSize * concurrentTasks,
  };
}
