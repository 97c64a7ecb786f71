/**
 * BackgroundWorker: runs its function again and again until it is stopped, each run a supervised task. The other kinds of
 * workers say in another way when a run is due. The idea is atasker's, https://github.com/alttch/atasker.
 *
 *   stopped ── start() ──▶ starting ── beforeStart, afterStart ──▶ started ── stop(), or a run gives false ──▶ stopping ──▶ stopped
 */
import { TaskwardenError } from '../base/errors.ts';
import { isThenable } from '../base/foreign-value.ts';
import { checkOptions, type Rule } from '../base/options.ts';
import { Timer } from '../platform/clock.ts';
import { type Deferred, defer } from '../platform/deferred.ts';
import { nextTurn, Promise, timeOfDay } from '../platform/globals.ts';
import { turn } from '../platform/loop-turn.ts';
import { onAbort, untilAborted } from '../platform/on-abort.ts';
import { pause } from '../platform/pause.ts';
import type { Priority } from '../queue/priority.ts';
import type { TaskHandle } from '../task/call/handle.ts';
import type { TaskSpec, TaskSubmitter } from '../task/call/task-options.ts';
import { foreverPendingPromise, isHost, isLoadingModule } from '../task/definition/load-phase.ts';
import { callProgram, exposeObject, type ProgramCallOptions } from '../task/definition/program-object.ts';
import { outsideTask } from '../task/inside/context.ts';
import type { TaskType } from '../task/record/task-type.ts';
import { callInScope, callOutsideScopes, workerEnd } from './hook-scope.ts';
import {
  type FailedRun,
  stopRules,
  type WorkerOptions,
  type WorkerStopOptions,
  workerRules,
} from './worker-options.ts';
import { type RunOutcome, type RunRequest, runSpec, wasRefusedWith } from './worker-run.ts';
import { readTarget, type WorkerTarget } from './worker-target.ts';

export type WorkerState = 'stopped' | 'starting' | 'started' | 'stopping';

/** What a supervisor does for a worker that is active. */
export interface WorkerRegistration {
  /** It is active no more. */
  unregister(): void;
  /** Nobody heard of it otherwise. */
  log(what: string, problem: unknown): void;
}

/** What supervises workers: a `TaskSupervisor`. */
export interface WorkerSupervisor extends TaskSubmitter {
  readonly name: string;
  /** @internal */
  registerWorker(worker: BackgroundWorker): WorkerRegistration;
}

/** The longest pause between failures that follow each other, in milliseconds. */
const longestPauseMs = 1_000;

// biome-ignore lint/suspicious/noExplicitAny: a worker that is not told what its runs take accepts all.
export type AnyArgs = any[];

export class BackgroundWorker<A extends unknown[] = AnyArgs> {
  readonly name: string;
  readonly #target: WorkerTarget;
  readonly #options: WorkerOptions;
  /** @internal What a run is. */
  protected readonly spec: TaskSpec;
  #state: WorkerState = 'stopped';
  #args: unknown[] = [];
  #lastExecuted: number | undefined;
  #registration: WorkerRegistration | undefined;
  /** Aborts when no more runs are to begin. */
  #halt = new AbortController();
  /** Aborts when what is still to be done, apart from `afterStop()`, is not waited for any more. */
  #deadline = new AbortController();
  #ended: Deferred = defer();
  /** How often it was asked to stop. */
  #stops = 0;
  readonly #runs = new Set<TaskHandle<unknown>>();

  /** To extend: with a method `run()`, which is called on the event loop unless `type` says otherwise. */
  constructor(options?: WorkerOptions);
  /** The same for threads and children, which import the module: make the worker at its top level. */
  constructor(moduleUrl: string | URL, options?: WorkerOptions);
  /** Of a function, as `backgroundTask()` takes it. */
  constructor(fn: (...args: A) => unknown, options?: WorkerOptions);
  constructor(moduleUrl: string | URL, fn: (...args: A) => unknown, options?: WorkerOptions);
  constructor(...given: unknown[]) {
    const target = readTarget(given, new.target);
    checkOptions(target.options, { ...workerRules, ...this.ownRules() }, target.owner);
    this.#target = target;
    this.#options = target.options;
    this.spec = target.define((...args: unknown[]) => this.run(...args));
    this.name = this.spec.options.worker as string;
    if (!isHost()) exposeObject(target.objectName, this);
  }

  /** The options that only its kind has. */
  protected ownRules(): Readonly<Record<string, Rule>> {
    return {};
  }

  /** From a task in a thread or child: calls a method of the worker in the program. */
  protected askProgram(method: string, args: readonly unknown[], options: ProgramCallOptions = {}): Promise<unknown> {
    return callProgram(this.#target.objectName, method, args, options);
  }

  /** What it was made with, as it was given. */
  protected get given(): Readonly<Record<string, unknown>> {
    return this.#target.options;
  }

  // To be overridden.

  /** Does the work. Gets what `start()` was given. `false` stops the worker; what it throws goes to `onError()`. */
  run(..._args: AnyArgs): unknown {
    throw new TypeError(`${this.constructor.name} has to override run()`);
  }

  /** Before the first run. What it throws, or rejects with, keeps the worker from starting. */
  beforeStart(): unknown {
    return this.#options.beforeStart?.();
  }

  afterStart(): unknown {
    return this.#options.afterStart?.();
  }

  /** When it is asked to stop, if it has started; runs may go on meanwhile. */
  beforeStop(): unknown {
    return this.#options.beforeStop?.();
  }

  /** When nothing of it runs any more. */
  afterStop(): unknown {
    return this.#options.afterStop?.();
  }

  /** Gets what each run has given, apart from `false`. */
  processResult(result: unknown): unknown {
    return (this.#options.processResult as ((result: unknown) => unknown) | undefined)?.(result);
  }

  /** Gets what a run failed with, or a hook. Default: the option of that name, or a line in the log. */
  onError(error: unknown, run?: FailedRun): unknown {
    const { onError } = this.#options;
    if (onError !== undefined) return onError(error, run);
    this.#registration?.log(run === undefined ? 'a hook failed' : `a run failed (task ${run.task.id})`, error);
    return undefined;
  }

  // To be called.

  /**
   * Starts it; each run gets `args`. False, and nothing happens, if it is active already. An active worker keeps the process
   * alive. Throws `SUPERVISOR_STOPPED`; and `NOT_IN_PROGRAM` in a task in a thread or child, which can stop it, and no more.
   */
  start(...args: A): boolean {
    if (isLoadingModule() || this.isActive) return false;
    this.#refuseInHost();
    this.#registration = this.supervisor.registerWorker(this as unknown as BackgroundWorker);
    this.#state = 'starting';
    this.#args = args;
    this.#halt = new AbortController();
    this.#deadline = new AbortController();
    this.#ended = defer();
    callOutsideScopes(() => outsideTask(() => void this.#runLifeCycle()));
    return true;
  }

  /**
   * Lets no more runs begin, and resolves when it has ended. False if it was not active. May be called again, with a shorter
   * wait. Awaited in a hook or run of its own, for which it waits, it resolves at once, unless `wait` has a limit.
   */
  stop(options: WorkerStopOptions = {}): Promise<boolean> {
    checkOptions(options, stopRules, `stop() of worker "${this.name}"`);
    if (isHost()) return this.askProgram('stop', [options]) as Promise<boolean>;
    return workerEnd(this, this.#runs, this.#end(options), options);
  }

  async #end({ wait = true }: WorkerStopOptions): Promise<boolean> {
    this.#stops += 1;
    if (!this.isActive) return false;
    if (this.#state !== 'stopping') void this.#stop();
    if (wait === false || wait === 0) this.stopNow();
    else if (typeof wait === 'number' && wait !== Infinity) {
      const timer = new Timer(wait, () => this.stopNow());
      void this.#ended.promise.then(() => timer.cancel());
    }
    await this.#ended.promise;
    return true;
  }

  /**
   * Stops it, and starts it again with the same arguments. False: it was started, or asked to stop again, meanwhile.
   * Awaited in a hook or run of its own it resolves at once, and the worker starts again when that has ended.
   */
  restart(options: WorkerStopOptions = {}): Promise<boolean> {
    return isLoadingModule() ? foreverPendingPromise() : workerEnd(this, this.#runs, this.#restart(options), options);
  }

  async #restart(options: WorkerStopOptions): Promise<boolean> {
    this.#refuseInHost();
    checkOptions(options, stopRules, `restart() of worker "${this.name}"`);
    const stopped = this.#end(options);
    const stops = this.#stops;
    await stopped;
    return stops === this.#stops && this.start(...(this.#args as A));
  }

  /** Resolves when it has ended, by itself or because it was stopped; at once if it is not active. */
  get ended(): Promise<void> {
    return this.isActive ? this.#ended.promise : Promise.resolve();
  }

  #refuseInHost(): void {
    if (!isHost()) return;
    const message = `worker "${this.name}" is started by the program, and not by a task in a thread or child`;
    throw new TaskwardenError('NOT_IN_PROGRAM', message);
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Whether it was started, and has not ended. */
  get isActive(): boolean {
    return this.#state !== 'stopped';
  }

  /** Whether it works: it has started, and was not asked to stop. */
  get isStarted(): boolean {
    return this.#state === 'started';
  }

  get isStopped(): boolean {
    return this.#state === 'stopped';
  }

  /** When its last run was submitted, in epoch milliseconds. */
  get lastExecuted(): number | undefined {
    return this.#lastExecuted;
  }

  get priority(): Priority {
    return this.spec.options.priority;
  }

  get type(): TaskType {
    return this.spec.options.type;
  }

  get supervisor(): WorkerSupervisor {
    return this.#target.supervisor as WorkerSupervisor;
  }

  // For its kind.

  /** Lets runs begin, in the way of its kind, until the signal aborts; then resolves, at the latest when they have ended. */
  protected async work(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      const outcome = await this.tryRun(signal);
      failures = 'error' in outcome ? failures + 1 : 0;
      // A function that fails at once must not do so without a pause; and one that does nothing must let others run.
      if (failures > 1) await pause(Math.min(10 * 2 ** (failures - 2), longestPauseMs), signal);
      else await nextTurn();
    }
  }

  /** No more time is given to what runs, or waits to be run. */
  protected stopNow(): void {
    this.#halt.abort();
    this.#deadline.abort();
    for (const run of this.#runs) run.cancel(`worker "${this.name}" is stopped`);
  }

  /** What it still has to do when it is asked to stop, before no more runs begin. */
  protected drain(_signal: AbortSignal): unknown {
    return undefined;
  }

  /** A life is over: nothing that was asked for in it is left to be done in the next. */
  protected reset(): void {}

  /** Tells of what fails beside the runs. */
  protected reportError(error: unknown): void {
    void this.#reportError(error);
  }

  /** One run, as soon as the supervisor has room for it. Resolves when it has ended, and that was told. */
  protected async tryRun(signal: AbortSignal, request: RunRequest = {}): Promise<RunOutcome> {
    const { args = [], taskId, priority, unwanted, onSubmitted } = request;
    const { supervisor } = this;
    const spec = taskId === undefined && priority === undefined ? this.spec : runSpec(this.spec, request);
    const later = turn();
    if (later !== undefined) await later; // its hooks, and runs that are refused, go through no lane
    while (!signal.aborted && !supervisor.hasRoom(spec.options)) {
      await untilAborted(supervisor.capacity(spec.options.priority), signal);
    }
    if (signal.aborted) return { error: signal.reason, wasEnded: true };
    this.#lastExecuted = timeOfDay();
    const all = [...args, ...this.#args];
    const handle = callInScope(this, () => supervisor.submit<unknown, unknown>(spec, [...this.#target.prefix, ...all]));
    const unlisten = unwanted && onAbort(unwanted, () => handle.cancel(unwanted.reason));
    this.#runs.add(handle);
    onSubmitted?.(handle);
    try {
      const value = await handle;
      if (value === false) void this.stop();
      else await this.#hook(() => this.processResult(value));
      return { value };
    } catch (error) {
      if (taskId !== undefined && wasRefusedWith('DUPLICATE_TASK_ID', handle, error)) {
        return this.tryRun(signal, { ...request, taskId: undefined });
      }
      const wasEnded = unwanted?.aborted || this.#wasEnded(handle, error);
      if (!wasEnded) await this.#reportError(error, { task: handle.info, args: all });
      return { error, wasEnded };
    } finally {
      unlisten?.();
      this.#runs.delete(handle);
    }
  }

  /** It has not failed: it was ended because the worker or its supervisor stops. */
  #wasEnded(handle: TaskHandle<unknown>, error: unknown): boolean {
    const { endReason } = handle.info;
    if (endReason === 'shutdown') return true;
    if (wasRefusedWith('SUPERVISOR_STOPPED', handle, error)) {
      void this.stop({ wait: false });
      return true;
    }
    return endReason === 'canceled' && this.#state === 'stopping';
  }

  // Its life.

  async #runLifeCycle(): Promise<void> {
    const { signal } = this.#options;
    const unlisten = signal && onAbort(signal, () => void this.stop({ wait: false }));
    try {
      const isReady = this.#prepare();
      if (isReady === true || (await isReady)) {
        this.#state = 'started';
        if (signal?.aborted) void this.stop({ wait: false });
        await this.#hook(() => this.afterStart());
        await this.work(this.#halt.signal);
      }
    } catch (problem) {
      await this.#reportError(problem); // its queue is gone
      void this.stop({ wait: false });
    }
    unlisten?.();
    await Promise.allSettled(this.#runs);
    await this.#hook(() => this.afterStop(), new AbortController().signal); // it cleans up, whatever the haste
    this.reset();
    this.#state = 'stopped';
    this.#registration?.unregister();
    this.#ended.resolve();
  }

  /** Whether it is to work. Not a promise if nothing has to be waited for: then it has started when `start()` returns. */
  #prepare(): true | Promise<boolean> {
    const problem = async (error: unknown) => {
      this.#state = 'stopping';
      await this.#reportError(error);
      return false;
    };
    try {
      const before = callInScope(this, () => this.beforeStart());
      if (!isThenable(before)) return true;
      return untilAborted(before, this.#deadline.signal).then(() => this.#state === 'starting', problem);
    } catch (error) {
      return problem(error);
    }
  }

  async #stop(): Promise<void> {
    const wasStarted = this.#state === 'started';
    this.#state = 'stopping';
    if (wasStarted) {
      await this.#hook(() => this.beforeStop());
      await this.#hook(() => this.drain(this.#deadline.signal));
    }
    this.#halt.abort();
  }

  async #hook(call: () => unknown, giveUp: AbortSignal = this.#deadline.signal): Promise<void> {
    try {
      const given = callInScope(this, call);
      if (isThenable(given)) await untilAborted(given, giveUp);
    } catch (error) {
      await this.#reportError(error);
    }
  }

  async #reportError(error: unknown, run?: FailedRun): Promise<void> {
    try {
      const given = callInScope(this, () => this.onError(error, run));
      if (isThenable(given)) await untilAborted(given, this.#deadline.signal);
    } catch (problem) {
      this.#registration?.log('onError failed', problem);
    }
  }
}
