/**
 * TaskSupervisor: joins options, pools, lanes and the dispatcher, and lives through
 *
 *   idle ── start(), or the first task ──▶ running ── stop() ──▶ stopping ──▶ stopped
 *     └──────────────────────────── stop() ──────────────────────────────────────▲
 *
 * A stopped one stays stopped. An idle one never keeps the process alive.
 */
import type { BackgroundWorker, WorkerRegistration } from '../background-workers/background-worker.ts';
import { WorkerRegistry } from '../background-workers/worker-registry.ts';
import { TaskwardenError } from '../base/errors.ts';
import { describe, type Logger, safeLogger } from '../base/logger.ts';
import { checkOptions, oneOf, rules } from '../base/options.ts';
import { Intake } from '../dispatch/admission.ts';
import { Dispatcher } from '../dispatch/dispatcher.ts';
import { LateTasks } from '../dispatch/events/late-tasks.ts';
import { type EventName, type StopReport, SupervisorEmitter } from '../dispatch/events/supervisor-events.ts';
import { Announcer } from '../dispatch/events/task-events.ts';
import { Places } from '../dispatch/lane-registry.ts';
import type { SupervisorState } from '../dispatch/supervisor-state.ts';
import { Ledger } from '../dispatch/task-counters.ts';
import { Promise } from '../platform/globals.ts';
import { KeepAlive } from '../platform/keep-alive.ts';
import { Capacity } from '../queue/capacity.ts';
import { Openings } from '../queue/free-capacity.ts';
import { type Priority, priorities } from '../queue/priority.ts';
import { type ScheduleOptions, Schedules, type TaskSchedule } from '../schedules/schedules.ts';
import { defaultSupervisorSymbol } from '../task/call/background-task.ts';
import type { TaskHandle } from '../task/call/handle.ts';
import { type PutOptions, prepareCall } from '../task/call/target.ts';
import type { ResolvedTaskOptions, TaskResult, TaskSpec, TaskSubmitter, TaskYield } from '../task/call/task-options.ts';
import type { TaskFunction } from '../task/definition/definition.ts';
import { foreverPendingPromise, isHost, isLoadingModule } from '../task/definition/load-phase.ts';
import { matching, type TaskFilter, type TaskInfo } from '../task/record/task-info.ts';
import { TaskTable } from '../task/record/task-table.ts';
import type { TaskType } from '../task/record/task-type.ts';
import { Modules } from './module-registry.ts';
import { Shutdown, type StopOptions, stopRules } from './shutdown.ts';
import { catchableSignals, StopSignals } from './stop-signals.ts';
import type { SupervisorInfo } from './supervisor-info.ts';
import { mergeOptions, type ResolvedOptions, resolveOptions, type SupervisorOptions } from './supervisor-options.ts';
import type { ModuleOptions, TaskModule } from './task-module.ts';

export interface BlockOptions {
  /** The signals that stop the supervisor: the first gracefully, a second one at once. Default: SIGINT and SIGTERM. */
  readonly signals?: readonly NodeJS.Signals[];
  /** How long the first signal lets tasks finish, as of `stop()`. Default: `true`, until all have ended. */
  readonly wait?: boolean | number;
}

/** Runs tasks by priority, in threads, in child processes and on the event loop. */
export class TaskSupervisor extends SupervisorEmitter implements TaskSubmitter, AsyncDisposable {
  #state: SupervisorState = 'idle';
  #given: SupervisorOptions;
  #options: ResolvedOptions;
  #logger: Logger;
  #report: StopReport | undefined;
  /** How long the first signal lets tasks finish. */
  #patience: boolean | number = true;
  /** Those who wait for its end. */
  readonly #waitingForEnd: ((report: StopReport) => void)[] = [];
  readonly #signals = new StopSignals(() => void this.stop({ wait: this.#state === 'running' && this.#patience }));

  readonly #keepAlive = new KeepAlive();
  readonly #ledger = new Ledger(this.#keepAlive);
  readonly #table: TaskTable;
  readonly #places: Places;
  readonly #announcer: Announcer;
  readonly #dispatcher: Dispatcher;
  readonly #intake: Intake;
  readonly #shutdown: Shutdown;
  readonly #late: LateTasks;
  readonly #capacity: Capacity;
  readonly #openings = new Openings<TaskType>(
    (type) => this.#places.of(type).pool,
    (need) => (this.#options.context === undefined ? this.#dispatcher.slots.batcher.perSlot(need) : 1),
  );
  readonly #modules = new Modules(this, (bulkhead) => this.#dispatcher.slots.reopen(bulkhead));
  readonly #roster = new WorkerRegistry(this.#keepAlive);
  readonly #schedules = new Schedules(this, this.#keepAlive, (line) => this.#logger.error(line));

  /** @throws TypeError or RangeError for an option that is unknown or bad. */
  constructor(options: SupervisorOptions = {}) {
    super();
    this.#given = mergeOptions({}, options, 'TaskSupervisor');
    this.#options = resolveOptions(this.#given);
    this.#logger = safeLogger(this.#options.logger);
    this.#table = new TaskTable(this.#options.keepFinished);
    this.#capacity = new Capacity(() => this.#options.maxQueued - this.#waiting);
    this.#announcer = new Announcer(
      this,
      () => this.#logger,
      () => this.name,
      () => this.#ledger.balance(),
    );
    this.#dispatcher = new Dispatcher({
      places: () => this.#places,
      announcer: this.#announcer,
      table: this.#table,
      ledger: this.#ledger,
      waiting: {
        more: (task) => this.#late.watch(task),
        back: () => this.#late.watchAnew(),
        less: () => {
          this.#capacity.offer();
          this.#openings.changed();
        },
      },
      submit: (parent, word) => this.#intake.submitChild(parent, word),
    });
    this.#places = new Places(this.#options, {
      listener: this.#dispatcher,
      watcher: this.#announcer,
      ids: this.#table,
    });
    this.#intake = new Intake({
      supervisor: this,
      context: () => this.#options.context,
      module: (name, maxWorkers) => this.#modules.find(name, maxWorkers),
      maxQueued: () => this.#options.maxQueued,
      maxDepth: () => this.#options.maxDepth,
      takesRuns: () => this.#shutdown.takesRuns,
      waiting: () => this.#waiting,
      places: this.#places,
      table: this.#table,
      dispatcher: this.#dispatcher,
      announcer: this.#announcer,
    });
    this.#shutdown = new Shutdown(this.#dispatcher, this.#ledger, this.#places, this.#roster, this.#schedules);
    this.#late = new LateTasks(this.#places, this.#options.lateMs, this.#announcer);
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

  get #waiting(): number {
    return this.#places.waiting + this.#dispatcher.delayed;
  }

  protected override onListenerProblem(problem: unknown, event: EventName): void {
    this.#logger.error(`${this.name}: a listener of ${event} failed: ${describe(problem)}`);
  }

  // Life cycle.

  /** Changes options while it runs; what is not named stays. Pools grow and shrink without losing a task. */
  configure(options: SupervisorOptions): this {
    const given = mergeOptions({ ...this.#given, id: this.id }, options, 'configure()');
    this.#options = resolveOptions(given);
    this.#given = given;
    this.#logger = safeLogger(this.#options.logger);
    this.#places.configure(this.#options);
    this.#table.resize(this.#options.keepFinished);
    this.#late.configure(this.#options.lateMs);
    if (this.#state === 'running') this.#places.start();
    this.#dispatcher.slots.wake();
    return this;
  }

  /**
   * Starts the threads and children that are always kept. The first task starts an idle supervisor, too.
   * @throws TaskwardenError `SUPERVISOR_STOPPED` if it was stopped.
   */
  start(): this {
    if (isHost() || this.#state === 'running') return this;
    if (this.#state !== 'idle') throw this.#stoppedError('it can be started once');
    this.#state = 'running';
    this.#places.start();
    if (this.listenerCount('supervisor:started') > 0) this.emit('supervisor:started', { id: this.id });
    return this;
  }

  /** Resolves when `minSize` threads and children are up. Rejects with `LANE_BROKEN` or `SUPERVISOR_STOPPED`. */
  ready(): Promise<this> {
    return isLoadingModule() ? foreverPendingPromise() : this.#awaitHosts();
  }

  async #awaitHosts(): Promise<this> {
    this.start();
    await this.#keepAlive.during(() => this.#places.ready());
    if (this.#state !== 'running') throw this.#stoppedError('its threads and children are gone');
    return this;
  }

  /**
   * Replaces every thread and child by a new one, each as soon as that has loaded what the old one had and the old one is
   * idle. No task is lost, or waits for it. Resolves when all are replaced. Rejects with `LANE_BROKEN`.
   */
  recycle(): Promise<void> {
    return isLoadingModule() ? foreverPendingPromise() : this.#keepAlive.during(() => this.#places.recycle());
  }

  #stoppedError(consequence: string): TaskwardenError {
    return new TaskwardenError('SUPERVISOR_STOPPED', `${this.name} is ${this.#state}: ${consequence}`);
  }

  /**
   * Keeps the process alive until the supervisor has stopped, by a signal or by `stop()` from anywhere, and gives the
   * report of that. The first signal stops it gracefully, a second one at once.
   */
  block(options: BlockOptions = {}): Promise<StopReport> {
    checkOptions(options, { signals: catchableSignals, wait: stopRules.wait }, 'block()');
    return isLoadingModule() ? foreverPendingPromise() : this.#blockUntilEnd(options);
  }

  async #blockUntilEnd({ signals = ['SIGINT', 'SIGTERM'], wait = true }: BlockOptions): Promise<StopReport> {
    if (this.#report !== undefined) return this.#report;
    this.#patience = wait;
    this.#signals.hold(signals);
    this.#keepAlive.hold();
    try {
      if (this.#state === 'idle') this.start();
      return await this.#end();
    } finally {
      this.#signals.release(signals);
      this.#keepAlive.release();
    }
  }

  /** The report, as soon as there is one. */
  #end(): Promise<StopReport> {
    return new Promise((resolve) => {
      if (this.#report === undefined) this.#waitingForEnd.push(resolve);
      else resolve(this.#report);
    });
  }

  /**
   * Settles every task, ends every thread and child, and gives a report. May be called again, with a shorter wait: each adds its
   * haste, and all resolve together. Awaited in a loop task, hook or run that it waits for, it resolves at once, unless `wait` has a limit.
   */
  stop(options: StopOptions = {}): Promise<StopReport> {
    checkOptions(options, stopRules, 'stop()');
    if (isLoadingModule()) return foreverPendingPromise();
    const end = this.#end();
    if (this.#state === 'idle' || this.#state === 'running') void this.#stop(options);
    if (this.#state === 'stopping') this.#shutdown.hasten(options);
    return this.#shutdown.endFor(end, options, this);
  }

  async #stop({ stopWorkers = true }: StopOptions): Promise<void> {
    const wasIdle = this.#state === 'idle';
    this.#state = 'stopping';
    this.#schedules.close();
    this.#keepAlive.hold();
    this.#shutdown.begin();
    if (!wasIdle) this.emit('supervisor:stopping', { id: this.id });
    const report = await this.#shutdown.run(stopWorkers);
    this.#late.stop();
    this.#capacity.close();
    this.#state = 'stopped';
    this.#report = report;
    this.#keepAlive.close();
    const { canceled, terminated, missing = 0 } = report;
    if (missing > 0) {
      this.#logger.error(`${this.name}: stopped without ${missing} tasks that it has lost: they will never end`);
    }
    if (canceled + terminated > 0) {
      this.#logger.warn(`${this.name}: stopped with ${canceled} tasks canceled and ${terminated} terminated`);
    }
    if (!wasIdle) this.emit('supervisor:stopped', { id: this.id, report });
    for (const resolve of this.#waitingForEnd.splice(0)) resolve(report);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  // Tasks.

  /** Submits a background task, or a function, which runs as `backgroundTask(fn)` would. */
  putTask<F extends TaskFunction>(
    target: F & TaskFunction,
    ...[options]: [] extends Parameters<F> ? [PutOptions<F>?] : [PutOptions<F>]
  ): TaskHandle<TaskResult<F>, TaskYield<F>> {
    const { spec, args, supervisor = this } = prepareCall(target, options ?? {}, 'putTask()');
    return supervisor.submit(spec, args);
  }

  /**
   * Submits a task later, or again and again: after a delay, at equal intervals, or by a cron pattern. Each run is a task, as
   * `putTask` makes it. It starts an idle supervisor, and an active schedule keeps the process alive.
   * @throws TypeError or RangeError for options that are bad, or don't go together; TaskwardenError `SUPERVISOR_STOPPED`, or
   * `NOT_IN_PROGRAM` in a task that runs in a thread or child.
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

  /** What background tasks call. Use `putTask` instead. */
  submit<T, Y>(spec: TaskSpec, args: readonly unknown[]): TaskHandle<T, Y> {
    return this.#intake.submit(spec, args);
  }

  /** Whether a task with these options can be taken in now. */
  hasRoom(options: ResolvedTaskOptions): boolean {
    return this.#intake.hasRoom(options);
  }

  /** @internal What it could start at once. In a thread or child that is not known. */
  get freeCapacity(): Openings<TaskType> | undefined {
    return isHost() ? undefined : this.#openings;
  }

  /** The background workers that are active. */
  getWorkers(): BackgroundWorker[] {
    return [...this.#roster];
  }

  /** @internal What a worker that starts needs. */
  registerWorker(worker: BackgroundWorker): WorkerRegistration {
    if (this.#state === 'idle') this.start();
    if (this.#state !== 'running') throw this.#stoppedError(`worker "${worker.name}" can't start`);
    return {
      unregister: this.#roster.register(worker),
      log: (what, problem) => this.#logger.error(`worker "${worker.name}": ${what}: ${describe(problem)}`),
    };
  }

  /** The module of that name, with that cap from now on; it is made if there is none. */
  module(name: string, options: ModuleOptions = {}): TaskModule {
    return this.#modules.get(name, options);
  }

  /** @internal Gives what is to be called when its cap has changed. */
  adopt(module: TaskModule): () => void {
    return this.#modules.adopt(module);
  }

  /** Resolves when `maxQueued` leaves room for one more task; of those that wait, the most urgent first. */
  capacity(priority: Priority = 'normal'): Promise<void> {
    oneOf(priorities)(priority, 'the priority of capacity()');
    if (isLoadingModule()) return foreverPendingPromise();
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
    rules.string(id, 'the id of getTaskInfo()');
    return this.#table.find(id, this.#dispatcher.begun)?.info;
  }

  /** Live tasks, then the kept ones that have ended, from the one that ended first. Costs time for each. */
  getTasks(filter: TaskFilter = {}): TaskInfo[] {
    return matching([...this.#dispatcher, ...this.#table.ended], filter).map((task) => task.info);
  }

  /** What runs, what waits, and what has been, in numbers. */
  getInfo(): SupervisorInfo {
    const { submitted, retried, ended } = this.#ledger.counts;
    return Object.freeze({
      id: this.id,
      name: this.name,
      state: this.#state,
      submitted,
      retried,
      pending: this.#ledger.pending,
      delayed: this.#dispatcher.delayed,
      ended: Object.freeze(ended),
      ...this.#places.info,
      modules: this.#modules.info,
      workers: this.#roster.info,
    });
  }
}

const holder = globalThis as unknown as Record<symbol, TaskSupervisor | undefined>;
holder[defaultSupervisorSymbol] ??= new TaskSupervisor();

/** The default supervisor, one for all copies of the package in a process. */
export const taskSupervisor: TaskSupervisor = holder[defaultSupervisorSymbol];
