/**
 * TaskSupervisor: joins options, pools, lanes and the dispatcher, and lives through
 *
 *   idle ── start(), or the first task ──▶ running ── stop() ──▶ stopping ──▶ stopped
 *     └──────────────────────────── stop() ──────────────────────────────────────▲
 *
 * A stopped one stays stopped. An idle one never keeps the process alive.
 */
import { Announcer } from './announcer.ts';
import { Dispatcher, type Place } from './dispatcher.ts';
import { TaskwardenError } from './errors.ts';
import { type EventListener, type EventName, type StopReport, SupervisorEmitter } from './events.ts';
import { KeepAlive } from './keep-alive.ts';
import { HostLane } from './lanes/host-lane.ts';
import { LoopLane } from './lanes/loop-lane.ts';
import { ThreadHost } from './lanes/thread-host.ts';
import { describe, type Logger, silent } from './logger.ts';
import { arrayOf, checkOptions, either, oneOf, rules } from './options.ts';
import { Capacity } from './scheduling/capacity.ts';
import { type Priority, PriorityPool, priorities } from './scheduling/priority-pool.ts';
import { WaitWatch } from './scheduling/wait-watch.ts';
import { Shutdown, type StopOptions } from './shutdown.ts';
import { poolInfo, type SupervisorInfo } from './supervisor-info.ts';
import { mergeOptions, type ResolvedOptions, resolveOptions, type SupervisorOptions } from './supervisor-options.ts';
import { type BackgroundTask, backgroundTask, defaultSupervisorSymbol } from './task/background-task.ts';
import type { Definition, TaskFunction } from './task/definition.ts';
import { TaskHandle } from './task/handle.ts';
import { inertPromise, isHost, isInert } from './task/inert.ts';
import type { TaskFilter, TaskInfo } from './task/info.ts';
import { Task } from './task/task.ts';
import {
  type ResolvedTaskOptions,
  type TaskOptions,
  type TaskResult,
  type TaskSubmitter,
  type TaskType,
  taskRules,
  taskTypes,
} from './task/task-options.ts';
import { TaskTable } from './task/task-table.ts';

export type SupervisorState = 'idle' | 'running' | 'stopping' | 'stopped';

export interface BlockOptions {
  /** The signals that stop the supervisor: the first gracefully, a second one at once. Default: SIGINT and SIGTERM. */
  readonly signals?: readonly NodeJS.Signals[];
}

/** What `putTask` takes beside the target: its arguments, and task options. */
export type PutOptions<F extends TaskFunction> = TaskOptions<F> &
  ([] extends Parameters<F> ? { readonly args?: Parameters<F> } : { readonly args: Parameters<F> });

/** Runs tasks by priority, in threads and on the event loop. */
export class TaskSupervisor implements TaskSubmitter, AsyncDisposable {
  #state: SupervisorState = 'idle';
  #given: SupervisorOptions;
  #options: ResolvedOptions;
  #stopping: Promise<StopReport> | undefined;

  readonly #keepAlive = new KeepAlive();
  readonly #table: TaskTable;
  readonly #events: SupervisorEmitter;
  readonly #places: Readonly<Record<TaskType, Place>>;
  readonly #threads: HostLane<Task>;
  readonly #dispatcher: Dispatcher;
  readonly #shutdown: Shutdown;
  readonly #watch: WaitWatch<Task>;
  readonly #capacity: Capacity;

  /** @throws TypeError or RangeError for an option that is unknown or bad. */
  constructor(options: SupervisorOptions = {}) {
    this.#given = mergeOptions({}, options, 'TaskSupervisor');
    this.#options = resolveOptions(this.#given);
    this.#given = { ...this.#given, id: this.#options.id };
    const { threads, loop, keepFinished } = this.#options;
    this.#events = new SupervisorEmitter((problem, event) => {
      this.#logger.error(`${this.name}: a listener of ${event} failed: ${describe(problem)}`);
    });
    this.#table = new TaskTable(keepFinished);
    this.#capacity = new Capacity(() => this.#options.maxQueued - this.#waiting);
    this.#dispatcher = new Dispatcher({
      places: () => this.#places,
      announcer: new Announcer(this.#events, () => this.#logger),
      table: this.#table,
      keepAlive: this.#keepAlive,
      waiting: {
        more: () => this.#watch.watch(),
        back: () => this.#watch.watchAnew(),
        less: () => this.#capacity.offer(),
      },
    });
    this.#threads = new HostLane(
      threads,
      this.#dispatcher,
      (hostOptions, listener) => new ThreadHost(hostOptions, this.#table.idPrefix, listener),
    );
    this.#places = {
      thread: { pool: new PriorityPool(threads, levels.length), lane: this.#threads },
      loop: { pool: new PriorityPool(loop, levels.length), lane: new LoopLane(this.#dispatcher) },
    };
    this.#shutdown = new Shutdown(this.#dispatcher, [this.#places.thread.lane, this.#places.loop.lane]);
    this.#watch = new WaitWatch(
      () => Object.values(this.#places).flatMap(({ pool }) => priorities.map((priority) => pool.queue(priority))),
      this.#levelsMs,
      (level, late) => this.#warn(level, late),
    );
  }

  get id(): string {
    return this.#options.id;
  }

  get name(): string {
    return this.#options.name;
  }

  get state(): SupervisorState {
    return this.#state;
  }

  get #logger(): Logger {
    return this.#options.logger || silent;
  }

  get #levelsMs(): readonly number[] {
    return [this.#options.timeoutWarningMs, this.#options.timeoutCriticalMs];
  }

  get #waiting(): number {
    const { thread, loop } = this.#places;
    return thread.pool.waiting + loop.pool.waiting + this.#dispatcher.delayed;
  }

  // Events, see `SupervisorEvents`.

  on<E extends EventName>(event: E, listener: EventListener<E>): this {
    this.#events.on(event, listener);
    return this;
  }

  once<E extends EventName>(event: E, listener: EventListener<E>): this {
    this.#events.once(event, listener);
    return this;
  }

  off<E extends EventName>(event: E, listener?: EventListener<E>): this {
    this.#events.off(event, listener);
    return this;
  }

  // Life cycle.

  /** Changes options while it runs; what is not named stays. Pools grow and shrink without losing a task. */
  configure(options: SupervisorOptions): this {
    const given = mergeOptions(this.#given, options, 'configure()');
    this.#options = resolveOptions(given);
    this.#given = given;
    const { threads, loop, keepFinished } = this.#options;
    this.#places.thread.pool.configure(threads);
    this.#places.loop.pool.configure(loop);
    this.#table.resize(keepFinished);
    this.#watch.configure(this.#levelsMs);
    if (this.#state === 'running') this.#threads.configure(threads);
    this.#dispatcher.pump();
    return this;
  }

  /** Starts the threads that are always kept. The first task starts an idle supervisor, too. */
  start(): this {
    if (this.#state !== 'idle' || isHost()) return this;
    this.#state = 'running';
    this.#threads.configure(this.#options.threads);
    this.#events.emit('supervisor:started', { id: this.id });
    return this;
  }

  /** Resolves when `minSize` threads are up. Rejects with `LANE_BROKEN` or `SUPERVISOR_STOPPED`. */
  async ready(): Promise<this> {
    if (isInert()) return inertPromise();
    this.start();
    if (this.#state !== 'running') throw new TaskwardenError('SUPERVISOR_STOPPED', `${this.name} is ${this.#state}`);
    this.#keepAlive.hold();
    try {
      await this.#threads.ready();
    } finally {
      this.#keepAlive.release();
    }
    return this;
  }

  /**
   * Keeps the process alive until the supervisor has stopped, by a signal or by `stop()` from anywhere, and gives the
   * report of that. The first signal stops it gracefully, a second one at once.
   */
  async block(options: BlockOptions = {}): Promise<StopReport> {
    checkOptions(options, { signals: arrayOf('an array of signals', (value) => typeof value === 'string') }, 'block()');
    if (isInert()) return inertPromise();
    const { signals = ['SIGINT', 'SIGTERM'] } = options;
    const stop = () => void this.stop({ wait: this.#state === 'running' });
    for (const signal of signals) process.on(signal, stop);
    this.#keepAlive.hold();
    this.start();
    try {
      return await new Promise<StopReport>((resolve) => {
        if (this.#stopping !== undefined) resolve(this.#stopping);
        else this.once('supervisor:stopped', ({ report }) => resolve(report));
      });
    } finally {
      for (const signal of signals) process.off(signal, stop);
      this.#keepAlive.release();
    }
  }

  /**
   * Settles every task, ends every thread, and gives a report. May be called again, with a shorter wait: each call adds
   * its haste, and all resolve together.
   */
  stop(options: StopOptions = {}): Promise<StopReport> {
    checkOptions(options, stopRules, 'stop()');
    if (isInert()) return inertPromise();
    this.#stopping ??= this.#stop();
    if (this.#state === 'stopping') this.#shutdown.hasten(options);
    return this.#stopping;
  }

  async #stop(): Promise<StopReport> {
    const wasIdle = this.#state === 'idle';
    this.#state = 'stopping';
    this.#keepAlive.hold();
    if (!wasIdle) this.#events.emit('supervisor:stopping', { id: this.id });
    const report = await this.#shutdown.run();
    this.#watch.stop();
    this.#capacity.close();
    this.#state = 'stopped';
    this.#keepAlive.close();
    const { canceled, terminated } = report;
    if (canceled + terminated > 0) {
      this.#logger.warn(`${this.name}: stopped with ${canceled} tasks canceled and ${terminated} terminated`);
    }
    if (!wasIdle) this.#events.emit('supervisor:stopped', { id: this.id, report });
    return report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  // Tasks.

  /** Submits a background task, or a function, which runs as `backgroundTask(fn)` would. */
  putTask<F extends TaskFunction>(
    target: F,
    ...[options]: [] extends Parameters<F> ? [PutOptions<F>?] : [PutOptions<F>]
  ): TaskHandle<TaskResult<F>> {
    const { args = [], ...rest } = (options ?? {}) as TaskOptions<F> & { args?: unknown };
    checkOptions({ args }, { args: arrayOf('an array of arguments', () => true) }, 'putTask()');
    if (typeof target !== 'function') checkOptions({ target }, { target: rules.function }, 'putTask()');
    checkOptions(rest, taskRules, 'putTask()');
    const task = (isBackgroundTask(target) ? target.with(rest) : backgroundTask(target, rest)) as BackgroundTask<F>;
    const supervisor = rest.supervisor ?? this;
    return supervisor.submit(task.definition, task.options, args as unknown[]);
  }

  /** What background tasks call. Use `putTask` instead. */
  submit<T>(definition: Definition, options: ResolvedTaskOptions, args: readonly unknown[]): TaskHandle<T> {
    const task = new Task(definition, options, args, this.#table.nextSequence(), this.#table);
    const handle = new TaskHandle<T>(task, this.#cancel);
    if (isHost()) {
      if (!isInert()) {
        const message = `task "${task.name}" was called inside a task; submit it from the main thread`;
        this.#dispatcher.refuse(task, 'NESTED_SUBMIT', message);
      }
      return handle;
    }
    if (this.#state === 'idle') this.start();
    const { taskId } = options;
    if (this.#state !== 'running') {
      const message = `task "${task.name}" comes too late: ${this.name} is ${this.#state}`;
      this.#dispatcher.refuse(task, 'SUPERVISOR_STOPPED', message);
    } else if (taskId !== undefined && this.#table.findLive(taskId) !== undefined) {
      this.#dispatcher.refuse(task, 'DUPLICATE_TASK_ID', `a live task has the id '${taskId}' already`);
    } else if (this.#isFull(options)) {
      const message = `task "${task.name}" can't wait: maxQueued is ${this.#options.maxQueued}, and as many wait`;
      this.#dispatcher.refuse(task, 'QUEUE_FULL', `${message}; wait for capacity() before you submit`);
    } else {
      this.#dispatcher.submit(task);
    }
    return handle;
  }

  readonly #cancel = (task: Task, reason: unknown): boolean => this.#dispatcher.cancel(task, reason);

  #isFull({ type, priority, delayMs = 0 }: ResolvedTaskOptions): boolean {
    if (this.#options.maxQueued === Infinity || this.#waiting < this.#options.maxQueued) return false;
    return delayMs > 0 || !this.#places[type].pool.hasRoom(priority);
  }

  /** Resolves when `maxQueued` leaves room for one more task; of those that wait, the most urgent first. */
  capacity(priority: Priority = 'normal'): Promise<void> {
    oneOf(priorities)(priority, 'the priority of capacity()');
    if (isInert()) return inertPromise();
    return this.#capacity.wait(priority);
  }

  /** The results of the tasks, in their order; rejects with the first failure. */
  waitCompleted<T extends readonly PromiseLike<unknown>[] | []>(
    tasks: T,
  ): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
    return Promise.all(tasks);
  }

  /** Of a live task, or of one of the last `keepFinished` that have ended; else undefined. */
  getTaskInfo(id: string): TaskInfo | undefined {
    return this.#table.find(id, this.#dispatcher.handed)?.info;
  }

  /** Live tasks, then the kept ones that have ended, from the one that ended first. Costs time for each. */
  getTasks(filter: TaskFilter = {}): TaskInfo[] {
    checkOptions(filter, filterRules, 'getTasks()');
    const wanted = Object.entries(filter).filter(([, value]) => value !== undefined);
    return [...this.#dispatcher, ...this.#table.ended]
      .filter((task) => wanted.every(([key, value]) => task[key as keyof TaskFilter] === value))
      .map((task) => task.info);
  }

  /** What runs, what waits, and what has been, in numbers. */
  getInfo(): SupervisorInfo {
    const { submitted, retried, ended } = this.#dispatcher.counts;
    const { thread, loop } = this.#places;
    const { total, idle } = this.#threads.size;
    const { minSize, maxSize } = this.#options.threads;
    return Object.freeze({
      id: this.id,
      name: this.name,
      state: this.#state,
      submitted,
      retried,
      pending: this.#dispatcher.pending,
      delayed: this.#dispatcher.delayed,
      ended: Object.freeze(ended),
      threads: { ...poolInfo(thread.pool, this.#options.threads), minSize, maxSize, size: total, idle },
      loop: poolInfo(loop.pool, this.#options.loop),
    });
  }

  #warn(level: number, late: readonly Task[]): void {
    const { event, log } = levels[level] as (typeof levels)[number];
    const [first] = late as readonly [Task];
    const { running } = this.#places[first.type].pool;
    this.#logger[log](
      `${this.name}: ${late.length} ${late.length === 1 ? 'task has' : 'tasks have'} waited for more than ` +
        `${this.#levelsMs[level]} ms; the first is ${first.priority} task "${first.name}" (${first.id}). ` +
        `${running} ${first.type} tasks run, and the limit for ${first.priority} is ` +
        `${this.#places[first.type].pool.limit(first.priority)}`,
    );
    if (!this.#events.isHeard(event)) return;
    for (const task of late) this.#events.emit(event, { task: task.info, waitMs: task.waitMs });
  }
}

const levels = [
  { event: 'task:timeout-warning', log: 'warn' },
  { event: 'task:timeout-critical', log: 'error' },
] as const;

const stopRules = {
  wait: either(rules.durationMsOrInfinity, rules.boolean),
  cancelTasks: rules.boolean,
  stopWorkers: rules.boolean,
};

const filterRules = {
  status: oneOf(['delayed', 'queued', 'started', 'completed', 'failed', 'canceled']),
  type: oneOf(taskTypes),
  priority: oneOf(priorities),
  name: rules.string,
};

function isBackgroundTask<F extends TaskFunction>(target: F): target is F & BackgroundTask<F> {
  return 'definition' in target && 'with' in target;
}

const holder = globalThis as unknown as Record<symbol, TaskSupervisor | undefined>;
holder[defaultSupervisorSymbol] ??= new TaskSupervisor();

/** The default supervisor, one for all copies of the package in a process. */
export const taskSupervisor: TaskSupervisor = holder[defaultSupervisorSymbol];
