/** Where tasks wait and where they run: for each type of task a pool and a lane. */
import type { HostPoolSettings } from '../lanes/host-pool/host-pool.ts';
import { HostLane } from '../lanes/hosts/host-lane.ts';
import type { HostKind, HostWatcher, Lane, LaneListener } from '../lanes/lane.ts';
import { LoopLane } from '../lanes/loop/loop-lane.ts';
import { ProcessHost } from '../lanes/process/process-host.ts';
import { ThreadHost } from '../lanes/thread/thread-host.ts';
import { Promise } from '../platform/globals.ts';
import type { HostSupply } from '../queue/host-ceiling.ts';
import { type PoolLimits, PriorityPool } from '../queue/priority-pool.ts';
import type { Task } from '../task/record/task.ts';
import type { TaskType } from '../task/record/task-type.ts';
import { lateLevels } from './events/task-events.ts';
import { type HostPoolInfo, hostInfo, type PoolInfo, poolInfo } from './pool-info.ts';

/** Where tasks of one type wait, and where they run. */
export interface Place {
  readonly pool: PriorityPool<Task>;
  readonly lane: Lane<Task>;
}

export interface HostPoolOptions extends PoolLimits, HostPoolSettings {
  readonly maxSize: number;
}

interface PlaceOptions {
  readonly threads: HostPoolOptions;
  readonly processes: HostPoolOptions;
  readonly loop: PoolLimits;
}

interface PlacesInfo {
  readonly threads: HostPoolInfo;
  readonly processes: HostPoolInfo;
  readonly loop: PoolInfo;
}

interface PlacesParts {
  readonly listener: LaneListener<Task>;
  readonly watcher: HostWatcher;
  /** What the ids of tasks begin with. */
  readonly ids: { readonly idPrefix: string };
}

export class Places {
  readonly #threads: HostLane<Task>;
  readonly #processes: HostLane<Task>;
  readonly #byType: Readonly<Record<TaskType, Place>>;
  #options: PlaceOptions;

  constructor(options: PlaceOptions, { listener, watcher, ids }: PlacesParts) {
    const lane = (kind: HostKind, hostOptions: HostPoolSettings, Host: typeof ThreadHost | typeof ProcessHost) =>
      new HostLane(kind, hostOptions, {
        listener,
        watcher,
        startHost: (each, hostListener) => new Host(each, ids, hostListener),
      });
    const place = (limits: PoolLimits, lane: Lane<Task>, hosts?: HostSupply): Place => ({
      pool: new PriorityPool(limits, lateLevels.length, hosts),
      lane,
    });
    this.#options = options;
    this.#threads = lane('thread', options.threads, ThreadHost);
    this.#processes = lane('child', options.processes, ProcessHost);
    this.#byType = {
      thread: place(options.threads, this.#threads, this.#threads),
      process: place(options.processes, this.#processes, this.#processes),
      loop: place(options.loop, new LoopLane(listener)),
    };
  }

  [Symbol.iterator](): Iterator<Place> {
    return Object.values(this.#byType).values();
  }

  of(type: TaskType): Place {
    return this.#byType[type];
  }

  /** How many tasks wait for a slot. */
  get waiting(): number {
    return [...this].reduce((sum, { pool }) => sum + pool.waiting, 0);
  }

  /** Limits of pools hold from now on; hosts follow when they are started. */
  configure(options: PlaceOptions): void {
    this.#options = options;
    this.#byType.thread.pool.configure(options.threads);
    this.#byType.process.pool.configure(options.processes);
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

  /** Ends all threads and children, which may clean up for so long. */
  async close(graceMs: number): Promise<void> {
    await Promise.all([...this].map(({ lane }) => lane.close(graceMs)));
  }

  get info(): PlacesInfo {
    const { thread, process, loop } = this.#byType;
    const { threads, processes } = this.#options;
    return {
      threads: { ...poolInfo(thread.pool, threads), ...hostInfo(this.#threads, threads) },
      processes: { ...poolInfo(process.pool, processes), ...hostInfo(this.#processes, processes) },
      loop: poolInfo(loop.pool, this.#options.loop),
    };
  }
}
