/** TaskSupervisor: builds its parts from the ground up, and joins them. Its life is in life-cycle.ts. */
import type { BackgroundWorker, WorkerRegistration } from '../background-workers/background-worker.ts';
import { WorkerRegistry } from '../background-workers/worker-registry.ts';
import { describe } from '../base/logger.ts';
import { checkOptions, oneOf, rules } from '../base/options.ts';
import { Admission } from '../dispatch/admission.ts';
import { Backlog } from '../dispatch/backlog.ts';
import { Batcher } from '../dispatch/batcher.ts';
import { Dispatcher } from '../dispatch/dispatcher.ts';
import { LateTasks } from '../dispatch/events/late-tasks.ts';
import { type EventName, type StopReport, SupervisorEmitter } from '../dispatch/events/supervisor-events.ts';
import { TaskEvents } from '../dispatch/events/task-events.ts';
import { LaneRegistry } from '../dispatch/lane-registry.ts';
import type { SupervisorState } from '../dispatch/supervisor-state.ts';
import { TaskCounters } from '../dispatch/task-counters.ts';
import { Promise } from '../platform/globals.ts';
import { KeepAlive } from '../platform/keep-alive.ts';
import { Capacity } from '../queue/capacity.ts';
import { FreeCapacity } from '../queue/free-capacity.ts';
import { type Priority, priorities } from '../queue/priority.ts';
import { type ScheduleOptions, Schedules, type TaskSchedule } from '../schedules/schedules.ts';
import { defaultSupervisorSymbol } from '../task/call/background-task.ts';
import type { BulkHandle } from '../task/call/bulk-handle.ts';
import type { TaskHandle } from '../task/call/handle.ts';
import { type PutOptions, prepareCall } from '../task/call/target.ts';
import type { ResolvedTaskOptions, TaskResult, TaskSpec, TaskSubmitter, TaskYield } from '../task/call/task-options.ts';
import type { TaskFunction } from '../task/definition/definition.ts';
import { foreverPendingPromise, isHost, isLoadingModule } from '../task/definition/load-phase.ts';
import type { AllOptions } from '../task/inputs/bulk-options.ts';
import type { BulkInputs } from '../task/inputs/input-source.ts';
import { matching, type TaskFilter, type TaskInfo } from '../task/record/task-info.ts';
import { TaskTable } from '../task/record/task-table.ts';
import type { TaskType } from '../task/record/task-type.ts';
import { CurrentOptions } from './current-options.ts';
import { type BlockOptions, LifeCycle } from './life-cycle.ts';
import { ModuleRegistry } from './module-registry.ts';
import { Shutdown, type StopOptions, stopRules } from './shutdown.ts';
import { catchableSignals } from './stop-signals.ts';
import type { SupervisorInfo } from './supervisor-info.ts';
import type { SupervisorOptions } from './supervisor-options.ts';
import type { ModuleOptions, ModuleRegistration, TaskModule } from './task-module.ts';

/** Runs tasks by priority, in threads, in child processes and on the event loop. */
export class TaskSupervisor extends SupervisorEmitter implements TaskSubmitter, AsyncDisposable {
  readonly #options: CurrentOptions;
  readonly #keepAlive = new KeepAlive();
  readonly #counters = new TaskCounters(this.#keepAlive);
  readonly #table: TaskTable;
  readonly #lanes: LaneRegistry;
  readonly #backlog: Backlog;
  readonly #capacity: Capacity;
  readonly #freeCapacity: FreeCapacity<TaskType>;
  readonly #late: LateTasks;
  readonly #dispatcher: Dispatcher;
  readonly #modules: ModuleRegistry;
  readonly #admission: Admission;
  readonly #workers = new WorkerRegistry(this.#keepAlive);
  readonly #schedules: Schedules;
  readonly #lifeCycle: LifeCycle;

  /** @throws TypeError or RangeError for an option that is unknown or bad. */
  constructor(options: SupervisorOptions = {}) {
    super();
    const current = new CurrentOptions(options);
    const keepAlive = this.#keepAlive;
    const counters = this.#counters;
    const table = new TaskTable(current.current.keepFinished);
    const events = new TaskEvents(this, current, counters);
    const lanes = new LaneRegistry(current.current, events, table);
    const late = new LateTasks(lanes, current.current.lateMs, events);
    const backlog = new Backlog(lanes, current);
    const capacity = new Capacity(() => backlog.room);
    const batcher = new Batcher();
    const freeCapacity = new FreeCapacity<TaskType>(
      (type) => lanes.of(type).pool,
      (demand) => (current.current.context === undefined ? batcher.perSlot(demand) : 1),
    );
    const core = { lanes, backlog, counters, table, events, late, batcher, capacity, freeCapacity };
    const dispatcher = new Dispatcher(core);
    const { pending, slots } = dispatcher;
    const modules = new ModuleRegistry(this, slots);
    const admission = new Admission({ supervisor: this, options: current, modules, lanes, backlog, table, dispatcher });
    const workers = this.#workers;
    const schedules = new Schedules(this, keepAlive, (line) => current.logger.error(line));
    const shutdown = new Shutdown({ admission, pending, counters, lanes, workers, schedules });
    this.#lifeCycle = new LifeCycle({
      supervisor: this,
      options: current,
      keepAlive,
      lanes,
      late,
      capacity,
      modules,
      schedules,
      shutdown,
    });
    this.#options = current;
    this.#table = table;
    this.#lanes = lanes;
    this.#backlog = backlog;
    this.#capacity = capacity;
    this.#freeCapacity = freeCapacity;
    this.#late = late;
    this.#dispatcher = dispatcher;
    this.#modules = modules;
    this.#admission = admission;
    this.#schedules = schedules;
  }

  get id(): string {
    return this.#options.current.id;
  }

  get name(): string {
    return this.#options.current.name;
  }

  get state(): SupervisorState {
    return this.#lifeCycle.state;
  }

  protected override onListenerProblem(problem: unknown, event: EventName): void {
    this.#options.logger.error(`${this.name}: a listener of ${event} failed: ${describe(problem)}`);
  }

  // Life cycle.

  /** Changes options while it runs; options that are not given stay. Pools grow and shrink without losing a task. */
  configure(options: SupervisorOptions): this {
    this.#options.change(options);
    const { current } = this.#options;
    this.#lanes.configure(current);
    this.#table.resize(current.keepFinished);
    this.#late.configure(current.lateMs);
    if (this.state === 'running') this.#lanes.start();
    this.#dispatcher.slots.wake();
    return this;
  }

  /**
   * Starts the threads and children that are always kept. The first task starts an idle supervisor, too.
   * @throws TaskwardenError `SUPERVISOR_STOPPED` if it was stopped.
   */
  start(): this {
    this.#lifeCycle.start();
    return this;
  }

  /** Resolves when `minSize` threads and children are up. Rejects with `LANE_BROKEN` or `SUPERVISOR_STOPPED`. */
  async ready(): Promise<this> {
    await (isLoadingModule() ? foreverPendingPromise() : this.#lifeCycle.ready());
    return this;
  }

  /**
   * Replaces every thread and child by a new one, as soon as the new one has loaded the modules of the old one and the
   * old one is idle. No task is lost, or has to wait. Resolves when all are replaced. Rejects with `LANE_BROKEN`.
   */
  recycle(): Promise<void> {
    return isLoadingModule() ? foreverPendingPromise() : this.#keepAlive.during(() => this.#lanes.recycle());
  }

  /**
   * Keeps the process alive until the supervisor has stopped, by a signal or by `stop()`, and resolves with the report
   * of the stop. The first signal stops the supervisor gracefully, a second one at once.
   */
  block(options: BlockOptions = {}): Promise<StopReport> {
    checkOptions(options, { signals: catchableSignals, wait: stopRules.wait }, 'block()');
    return isLoadingModule() ? foreverPendingPromise() : this.#lifeCycle.block(options);
  }

  /**
   * Settles every task, ends every thread and child, and gives a report. It may be called again: a shorter `wait`
   * brings the end forward, a longer one changes nothing, and all calls resolve together. Awaited in a loop task, hook
   * or run that it waits for, it resolves at once, unless `wait` has a limit.
   */
  stop(options: StopOptions = {}): Promise<StopReport> {
    checkOptions(options, stopRules, 'stop()');
    return isLoadingModule() ? foreverPendingPromise() : this.#lifeCycle.stop(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  // Tasks.

  /** Submits a background task; or a function, which runs as `backgroundTask(fn)` would. */
  putTask<F extends TaskFunction>(
    target: F & TaskFunction,
    ...[options]: [] extends Parameters<F> ? [PutOptions<F>?] : [PutOptions<F>]
  ): TaskHandle<TaskResult<F>, TaskYield<F>> {
    const { spec, args, supervisor = this } = prepareCall(target, options ?? {}, 'putTask()');
    return supervisor.submit(spec, args);
  }

  /**
   * Submits a task after a delay, at equal intervals or by a cron pattern. Each run is a task of its own, as `putTask`
   * makes it. This starts an idle supervisor, and an active schedule keeps the process alive.
   * @throws TypeError or RangeError for options that are bad, or don't go together; TaskwardenError
   * `SUPERVISOR_STOPPED`, or `NOT_IN_PROGRAM` in a task that runs in a thread or child.
   */
  scheduleTask<F extends TaskFunction>(
    target: F & TaskFunction,
    ...[options]: [] extends Parameters<F> ? [ScheduleOptions<F>?] : [ScheduleOptions<F>]
  ): TaskSchedule<F> {
    return this.#schedules.add(target, options ?? {}) as TaskSchedule<F>;
  }

  /** The schedules that have not ended. */
  getSchedules(): TaskSchedule[] {
    return [...this.#schedules];
  }

  /** Called by background tasks. Use `putTask` instead. */
  submit<T, Y>(spec: TaskSpec, args: readonly unknown[]): TaskHandle<T, Y> {
    return this.#admission.submit(spec, args);
  }

  /** @internal Called by background tasks, for `all()`. */
  submitAll<T>(spec: TaskSpec, inputs: BulkInputs, options: AllOptions): BulkHandle<T> {
    return this.#admission.submitAll(spec, inputs, options);
  }

  /** Whether a task with these options would be accepted now. */
  hasRoom(options: ResolvedTaskOptions): boolean {
    return this.#admission.hasRoom(options);
  }

  /** @internal How many more tasks it could start at once; undefined in a thread or child, where that is not known. */
  get freeCapacity(): FreeCapacity<TaskType> | undefined {
    return isHost() ? undefined : this.#freeCapacity;
  }

  /** The active background workers. */
  getWorkers(): BackgroundWorker[] {
    return [...this.#workers];
  }

  /** @internal Called by a worker that starts. */
  registerWorker(worker: BackgroundWorker): WorkerRegistration {
    if (this.state === 'idle') this.start();
    if (this.state !== 'running') throw this.#lifeCycle.stoppedError(`worker "${worker.name}" can't start`);
    return {
      unregister: this.#workers.register(worker),
      log: (what, problem) => this.#options.logger.error(`worker "${worker.name}": ${what}: ${describe(problem)}`),
    };
  }

  /** The module of that name, with these limits from now on. It is created if there is none. */
  module(name: string, options: ModuleOptions = {}): TaskModule {
    return this.#modules.get(name, options);
  }

  /** @internal */
  registerModule(module: TaskModule): ModuleRegistration {
    return this.#modules.register(module);
  }

  /** Resolves when `maxQueued` leaves room for one more task. Of several callers, the most urgent goes first. */
  capacity(priority: Priority = 'normal'): Promise<void> {
    oneOf(priorities)(priority, 'the priority of capacity()');
    if (isLoadingModule()) return foreverPendingPromise();
    return this.#capacity.wait(priority);
  }

  /** Resolves with the results of the tasks, in their order; rejects with the first failure. */
  waitCompleted<T extends readonly PromiseLike<unknown>[] | []>(
    tasks: T,
  ): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
    return Promise.all(tasks);
  }

  /** Knows live tasks and the last `keepFinished` ended ones; undefined for any other id. */
  getTaskInfo(id: string): TaskInfo | undefined {
    rules.string(id, 'the id of getTaskInfo()');
    return this.#table.find(id, this.#dispatcher.pending.begun)?.info;
  }

  /**
   * Live tasks, then the last `keepFinished` ended ones, in the order in which they ended. Takes time for each task.
   */
  getTasks(filter: TaskFilter = {}): TaskInfo[] {
    const pending = [...this.#dispatcher.pending].filter(({ isPart }) => !isPart);
    return matching([...pending, ...this.#table.ended], filter).map((task) => task.info);
  }

  /** The state of the supervisor in numbers. */
  getInfo(): SupervisorInfo {
    const { submitted, retried, ended } = this.#counters.counts;
    return Object.freeze({
      id: this.id,
      name: this.name,
      state: this.state,
      submitted,
      retried,
      pending: this.#counters.pending,
      delayed: this.#backlog.delayed.size,
      ended: Object.freeze(ended),
      ...this.#lanes.info(this.#dispatcher.bulks),
      modules: this.#modules.info,
      workers: this.#workers.info,
    });
  }
}

const holder = globalThis as unknown as Record<symbol, TaskSupervisor | undefined>;
holder[defaultSupervisorSymbol] ??= new TaskSupervisor();

/** The default supervisor, one for all copies of the package in a process. */
export const taskSupervisor: TaskSupervisor = holder[defaultSupervisorSymbol];
