/** TaskSupervisor: joins its parts, which are built in supervisor-parts.ts. Its life is in life-cycle.ts. */
import type { BackgroundWorker, WorkerRegistration } from '../background-workers/background-worker.ts';
import { describe } from '../base/logger.ts';
import { checkOptions, oneOf, rules } from '../base/options.ts';
import { type EventName, type StopReport, SupervisorEmitter } from '../dispatch/events/supervisor-events.ts';
import type { SupervisorState } from '../dispatch/supervisor-state.ts';
import { Promise } from '../platform/globals.ts';
import type { FreeCapacity } from '../queue/free-capacity.ts';
import { type Priority, priorities } from '../queue/priority.ts';
import type { ScheduleOptions, TaskSchedule } from '../schedules/schedules.ts';
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
import type { TaskType } from '../task/record/task-type.ts';
import { type EverywhereHandle, type EverywhereOptions, runEverywhere } from './calls/everywhere.ts';
import { changePause, type PauseOptions } from './calls/pause-options.ts';
import type { BlockOptions } from './life-cycle.ts';
import { type StopOptions, stopRules } from './shutdown.ts';
import { catchableSignals } from './stop-signals.ts';
import type { SupervisorInfo } from './supervisor-info.ts';
import type { SupervisorOptions } from './supervisor-options.ts';
import { buildParts, type SupervisorParts } from './supervisor-parts.ts';
import type { ModuleOptions, ModuleRegistration, TaskModule } from './task-module.ts';

/** Runs tasks by priority, in threads, in child processes and on the event loop. */
export class TaskSupervisor extends SupervisorEmitter implements TaskSubmitter, AsyncDisposable {
  #built: SupervisorParts | undefined;

  /** @throws TypeError or RangeError for an option that is unknown or bad. */
  constructor(options?: SupervisorOptions) {
    super();
    if (options !== undefined) this.#built = buildParts(this, options);
  }

  /** Those of a supervisor without options are built on first use: the default one is not used by every program. */
  get #parts(): SupervisorParts {
    this.#built ??= buildParts(this, {});
    return this.#built;
  }

  get id(): string {
    return this.#parts.options.current.id;
  }

  get name(): string {
    return this.#parts.options.current.name;
  }

  get state(): SupervisorState {
    return this.#parts.lifeCycle.state;
  }

  protected override onListenerProblem(problem: unknown, event: EventName): void {
    this.#parts.options.logger.error(`${this.name}: a listener of ${event} failed: ${describe(problem)}`);
  }

  // Life cycle.

  /** Changes options while it runs; options that are not given stay. Pools grow and shrink without losing a task. */
  configure(options: SupervisorOptions): this {
    this.#parts.options.change(options);
    const { current } = this.#parts.options;
    this.#parts.lanes.configure(current);
    this.#parts.table.resize(current.keepFinished);
    this.#parts.late.configure(current.lateMs);
    if (this.state === 'running') this.#parts.lanes.start();
    this.#parts.dispatcher.slots.wake();
    return this;
  }

  /**
   * Starts the threads and children that are always kept. The first task starts an idle supervisor, too.
   * @throws TaskwardenError `SUPERVISOR_STOPPED` if it was stopped.
   */
  start(): this {
    this.#parts.lifeCycle.start();
    return this;
  }

  /** Resolves when `minSize` threads and children are up. Rejects with `LANE_BROKEN` or `SUPERVISOR_STOPPED`. */
  async ready(): Promise<this> {
    await (isLoadingModule() ? foreverPendingPromise() : this.#parts.lifeCycle.ready());
    return this;
  }

  /**
   * Replaces every thread and child by a new one, as soon as the new one has loaded the modules of the old one and the
   * old one is idle. No task is lost, or has to wait. Resolves when all are replaced. Rejects with `LANE_BROKEN`.
   */
  recycle(): Promise<void> {
    return isLoadingModule()
      ? foreverPendingPromise()
      : this.#parts.keepAlive.during(() => this.#parts.lanes.recycle());
  }

  /**
   * Keeps the process alive until the supervisor has stopped, by a signal or by `stop()`, and resolves with the report
   * of the stop. The first signal stops the supervisor gracefully, a second one at once.
   */
  block(options: BlockOptions = {}): Promise<StopReport> {
    checkOptions(options, { signals: catchableSignals, wait: stopRules.wait }, 'block()');
    return isLoadingModule() ? foreverPendingPromise() : this.#parts.lifeCycle.block(options);
  }

  /**
   * Settles every task, ends every thread and child, and gives a report. It may be called again: a shorter `wait`
   * brings the end forward, a longer one changes nothing, and all calls resolve together. Awaited in a loop task, hook
   * or run that it waits for, it resolves at once, unless `wait` has a limit.
   */
  stop(options: StopOptions = {}): Promise<StopReport> {
    checkOptions(options, stopRules, 'stop()');
    return isLoadingModule() ? foreverPendingPromise() : this.#parts.lifeCycle.stop(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  // Pauses.

  /**
   * Starts no more tasks, of all priorities or of one, until `resume()`. What has begun goes on, with the tasks that it calls.
   * What waits keeps its order, and its `queueTimeoutMs` goes on. `stop()` cancels what is paused.
   * @throws TaskwardenError `NOT_IN_PROGRAM` in a task in a thread or child.
   */
  pause(options: PauseOptions = {}): this {
    return changePause(this, this.#parts.dispatcher.pauses, options, 'pause');
  }

  /** Undoes `pause()` with the same options: a paused priority stays paused when the supervisor is resumed. */
  resume(options: PauseOptions = {}): this {
    return changePause(this, this.#parts.dispatcher.pauses, options, 'resume');
  }

  /** Whether it was paused as a whole. */
  get isPaused(): boolean {
    return this.#parts.dispatcher.pauses.isPaused;
  }

  /** The priorities that were paused by themselves. */
  get pausedPriorities(): readonly Priority[] {
    return this.#parts.dispatcher.pauses.priorities;
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
    return this.#parts.schedules.add(target, options ?? {}) as TaskSchedule<F>;
  }

  /**
   * Runs a task once in each thread or child that there is, behind what runs there. A last argument `{ andLater: true }` lets it
   * run in those that come later, too, until `stop()` of the handle. Neither limits nor pauses hold it back.
   * @throws TypeError for a task of the event loop; TaskwardenError `SUPERVISOR_STOPPED`, or `NOT_IN_PROGRAM`.
   */
  runEverywhere<F extends TaskFunction>(
    target: F & TaskFunction,
    ...args: Parameters<F> | [...Parameters<F>, EverywhereOptions]
  ): EverywhereHandle<TaskResult<F>> {
    return runEverywhere({ ...this.#parts, supervisor: this }, target, args) as EverywhereHandle<TaskResult<F>>;
  }

  /** The schedules that have not ended. */
  getSchedules(): TaskSchedule[] {
    return [...this.#parts.schedules];
  }

  /** Called by background tasks. Use `putTask` instead. */
  submit<T, Y>(spec: TaskSpec, args: readonly unknown[]): TaskHandle<T, Y> {
    return this.#parts.admission.submit(spec, args);
  }

  /** @internal Called by background tasks, for `all()`. */
  submitAll<T>(spec: TaskSpec, inputs: BulkInputs, options: AllOptions): BulkHandle<T> {
    return this.#parts.admission.submitAll(spec, inputs, options);
  }

  /** Whether a task with these options would be accepted now. */
  hasRoom(options: ResolvedTaskOptions): boolean {
    return this.#parts.admission.hasRoom(options);
  }

  /** @internal How many more tasks it could start at once; undefined in a thread or child, where that is not known. */
  get freeCapacity(): FreeCapacity<TaskType> | undefined {
    return isHost() ? undefined : this.#parts.freeCapacity;
  }

  /** The active background workers. */
  getWorkers(): BackgroundWorker[] {
    return [...this.#parts.workers];
  }

  /** @internal Called by a worker that starts. */
  registerWorker(worker: BackgroundWorker): WorkerRegistration {
    if (this.state === 'idle') this.start();
    if (this.state !== 'running') throw this.#parts.lifeCycle.stoppedError(`worker "${worker.name}" can't start`);
    return {
      unregister: this.#parts.workers.register(worker),
      log: (what, problem) =>
        this.#parts.options.logger.error(`worker "${worker.name}": ${what}: ${describe(problem)}`),
      onPauseChanged: (isPaused) => this.emit(isPaused ? 'worker:paused' : 'worker:resumed', { name: worker.name }),
    };
  }

  /** The module of that name, with these limits from now on. It is created if there is none. */
  module(name: string, options: ModuleOptions = {}): TaskModule {
    return this.#parts.modules.get(name, options);
  }

  /** @internal */
  registerModule(module: TaskModule): ModuleRegistration {
    return this.#parts.modules.register(module);
  }

  /** Resolves when `maxQueued` leaves room for one more task. Of several callers, the most urgent goes first. */
  capacity(priority: Priority = 'normal'): Promise<void> {
    oneOf(priorities)(priority, 'the priority of capacity()');
    if (isLoadingModule()) return foreverPendingPromise();
    return this.#parts.capacity.wait(priority);
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
    return this.#parts.table.find(id, this.#parts.dispatcher.pending.begun)?.info;
  }

  /** Live tasks, then the last `keepFinished` ended ones, in the order in which they ended. Takes time for each task. */
  getTasks(filter: TaskFilter = {}): TaskInfo[] {
    const { dispatcher, table } = this.#parts;
    const pending = dispatcher.pending.matching(filter, 'getTasks()');
    return [...pending, ...matching(table.ended, filter, 'getTasks()')].map((task) => task.info);
  }

  /**
   * Changes the priority of the tasks that match and wait: they go behind those that wait with that priority, in their order.
   * @returns How many. Tasks that have begun keep their priority; of an `all()`, inputs that have not begun are changed.
   */
  setPriority(filter: TaskFilter, priority: Priority): number {
    oneOf(priorities)(priority, 'the priority of setPriority()');
    const tasks = this.#parts.dispatcher.pending.matching(filter, 'setPriority()');
    if (isLoadingModule()) return 0;
    return tasks.filter((task) => this.#parts.dispatcher.priorityChanges.change(task, priority)).length;
  }

  /** Cancels the tasks that match and have not ended, as their `cancel()` would. @returns How many. */
  cancelTasks(filter: TaskFilter, reason?: unknown): number {
    const tasks = this.#parts.dispatcher.pending.matching(filter, 'cancelTasks()');
    if (isLoadingModule()) return 0;
    return tasks.filter((task) => this.#parts.dispatcher.settlement.cancel(task, reason)).length;
  }

  /**
   * Runs a task that did not complete once more, with its options and arguments, as a new task: `retryOf` of its TaskInfo is
   * the id of the old one, and its `idempotencyKey` is that of the old one.
   * @throws TaskwardenError `TASK_NOT_FOUND`, `TASK_NOT_ENDED`, or `ARGUMENTS_MISSING`.
   */
  retryTask(id: string): TaskHandle<unknown> {
    rules.string(id, 'the id of retryTask()');
    return this.#parts.admission.retry(id);
  }

  /** The state of the supervisor in numbers. */
  getInfo(): SupervisorInfo {
    const { submitted, retried, ended } = this.#parts.counters.counts;
    return Object.freeze({
      id: this.id,
      name: this.name,
      state: this.state,
      isPaused: this.isPaused,
      pausedPriorities: this.pausedPriorities,
      submitted,
      retried,
      pending: this.#parts.counters.pending,
      delayed: this.#parts.backlog.delayed.size,
      ended: Object.freeze(ended),
      ...this.#parts.lanes.info(this.#parts.dispatcher.bulks),
      modules: this.#parts.modules.info,
      workers: this.#parts.workers.info,
    });
  }
}

const holder = globalThis as unknown as Record<symbol, TaskSupervisor | undefined>;
holder[defaultSupervisorSymbol] ??= new TaskSupervisor();

/** The default supervisor, one for all copies of the package in a process. */
export const taskSupervisor: TaskSupervisor = holder[defaultSupervisorSymbol];
