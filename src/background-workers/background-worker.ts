/**
 * BackgroundWorker: runs its function again and again until it is stopped, each run as a task of its supervisor. The other
 * kinds of workers override `work()`, which decides when a run starts. The idea is atasker's, https://github.com/alttch/atasker.
 *
 *   stopped ── start() ──▶ starting ── beforeStart, afterStart ──▶ started ── stop(), or a run returns false ──▶ stopping ──▶ stopped
 */
import { isThenable } from '../base/foreign-value.ts';
import { checkOptions } from '../base/options.ts';
import { Timer } from '../platform/clock.ts';
import { type Deferred, defer } from '../platform/deferred.ts';
import { nextTurn, Promise, timeOfDay } from '../platform/globals.ts';
import { nextTurnIfSpent } from '../platform/loop-turn.ts';
import { onAbort, untilAborted } from '../platform/on-abort.ts';
import { pause } from '../platform/pause.ts';
import type { TaskHandle } from '../task/call/handle.ts';
import type { TaskSubmitter } from '../task/call/task-options.ts';
import { foreverPendingPromise, isHost, isLoadingModule } from '../task/definition/load-phase.ts';
import { outsideTask } from '../task/inside/context.ts';
import { callInScope, callOutsideScopes, workerEnd } from './hook-scope.ts';
import type { AnyArgs } from './hooked-worker.ts';
import { PausableWorker } from './pausable-worker.ts';
import { type FailedRun, stopRules, type WorkerOptions, type WorkerStopOptions } from './worker-options.ts';
import { type RunOutcome, type RunRequest, runSpec, wasRefusedWith } from './worker-run.ts';

export type WorkerState = 'stopped' | 'starting' | 'started' | 'stopping';

/** What a worker gets from its supervisor while it is active. */
export interface WorkerRegistration {
  /** Called when the worker is not active any more. */
  unregister(): void;
  /** Logs what was reported nowhere else. */
  log(what: string, problem: unknown): void;
  onPauseChanged(isPaused: boolean): unknown;
}

/** What supervises workers: a `TaskSupervisor`. */
export interface WorkerSupervisor extends TaskSubmitter {
  readonly name: string;
  /** @internal */
  registerWorker(worker: BackgroundWorker): WorkerRegistration;
}

/** The longest pause after runs that fail one after the other, in milliseconds. */
const longestPauseMs = 1_000;

export class BackgroundWorker<A extends unknown[] = AnyArgs> extends PausableWorker {
  #state: WorkerState = 'stopped';
  #args: unknown[] = [];
  #lastExecuted: number | undefined;
  #registration: WorkerRegistration | undefined;
  /** Aborts when no more runs may start. */
  #halt = new AbortController();
  /** Aborts at the deadline of the stop: then nothing but `afterStop()` is waited for. */
  #deadline = new AbortController();
  #ended: Deferred = defer();
  /** How often `stop()` was called. */
  #stops = 0;
  readonly #runs = new Set<TaskHandle<unknown>>();

  /** For a subclass with a method `run()`, which is called on the event loop unless `type` says otherwise. */
  constructor(options?: WorkerOptions);
  /** The same for threads and children, which import the module: make the worker at its top level. */
  constructor(moduleUrl: string | URL, options?: WorkerOptions);
  /** For a function, as for `backgroundTask()`. */
  constructor(fn: (...args: A) => unknown, options?: WorkerOptions);
  constructor(moduleUrl: string | URL, fn: (...args: A) => unknown, options?: WorkerOptions);
  constructor(...given: unknown[]) {
    super(...given);
  }

  protected override log(what: string, problem: unknown): void {
    this.#registration?.log(what, problem);
  }

  // To be called.

  /**
   * Starts the worker; each run gets `args`. Returns false, and does nothing, if it is already active. An active worker keeps
   * the process alive. Throws `SUPERVISOR_STOPPED`; and `NOT_IN_PROGRAM` in a task in a thread or child, which can only stop it.
   */
  start(...args: A): boolean {
    if (isLoadingModule() || this.isActive) return false;
    this.refuseInHost('started');
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
   * Starts no more runs, and resolves when the worker has ended; with false if it was not active. May be called again, with
   * a shorter wait. Awaited in a hook or run of this worker, it resolves at once, unless `wait` has a limit: it would wait
   * for itself.
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
   * Stops the worker, and starts it again with the same arguments. Resolves with false if it was started, or stopped again,
   * meanwhile. Awaited in a hook or run of this worker, it resolves at once, and the worker starts again after that.
   */
  restart(options: WorkerStopOptions = {}): Promise<boolean> {
    return isLoadingModule() ? foreverPendingPromise() : workerEnd(this, this.#runs, this.#restart(options), options);
  }

  async #restart(options: WorkerStopOptions): Promise<boolean> {
    this.refuseInHost('started');
    checkOptions(options, stopRules, `restart() of worker "${this.name}"`);
    const stopped = this.#end(options);
    const stops = this.#stops;
    await stopped;
    return stops === this.#stops && this.start(...(this.#args as A));
  }

  /** Resolves when the worker has ended, by itself or because it was stopped; at once if it is not active. */
  get ended(): Promise<void> {
    return this.isActive ? this.#ended.promise : Promise.resolve();
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Whether it was started and has not ended. */
  get isActive(): boolean {
    return this.#state !== 'stopped';
  }

  /** Whether it has started and was not asked to stop. */
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

  get supervisor(): WorkerSupervisor {
    return this.submitter as WorkerSupervisor;
  }

  // For subclasses.

  /** Starts runs until the signal aborts. Resolves then, at the latest when the runs have ended. */
  protected async work(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      const outcome = await this.tryRun(signal);
      failures = 'error' in outcome ? failures + 1 : 0;
      // A function that fails at once gets a pause; one that returns at once lets the event loop turn.
      if (failures > 1) await pause(Math.min(10 * 2 ** (failures - 2), longestPauseMs), signal);
      else await nextTurn();
    }
  }

  protected override onPauseChanged(isPaused: boolean): void {
    this.#registration?.onPauseChanged(isPaused);
  }

  /** Cancels the runs, and waits for nothing but `afterStop()`. */
  protected stopNow(): void {
    this.#halt.abort();
    this.#deadline.abort();
    for (const run of this.#runs) run.cancel(`worker "${this.name}" is stopped`);
  }

  /** Finishes what has to be done before the worker stops starting runs. */
  protected drain(_signal: AbortSignal): unknown {
    return undefined;
  }

  /** The worker has ended: drops requests for runs, so that they do not carry over to the next start. */
  protected reset(): void {}

  /** Gives `onError()` what fails outside of runs. */
  protected reportError(error: unknown): void {
    void this.#reportError(error);
  }

  /** Runs once, as soon as the supervisor has room. Resolves when the run has ended and its error was reported. */
  protected async tryRun(signal: AbortSignal, request: RunRequest = {}): Promise<RunOutcome> {
    const { args = [], taskId, priority, unwanted, onSubmitted } = request;
    const { supervisor } = this;
    const spec = taskId === undefined && priority === undefined ? this.spec : runSpec(this.spec, request);
    const later = nextTurnIfSpent();
    if (later !== undefined) await later; // hooks and refused runs do not go through a lane, which would let the event loop turn
    while (!signal.aborted && (this.isPaused || !supervisor.hasRoom(spec.options))) {
      if (this.isPaused) await this.untilResumed(signal);
      else await untilAborted(supervisor.capacity(spec.options.priority), signal);
    }
    if (signal.aborted) return { error: signal.reason, wasEnded: true };
    this.#lastExecuted = timeOfDay();
    const all = [...args, ...this.#args];
    const handle = callInScope(this, () => supervisor.submit<unknown, unknown>(spec, [...this.prefix, ...all]));
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
      return { error, wasEnded, endReason: handle.info.endReason };
    } finally {
      unlisten?.();
      this.#runs.delete(handle);
    }
  }

  /** Whether the run has not failed, but was ended because the worker or its supervisor stops. */
  #wasEnded(handle: TaskHandle<unknown>, error: unknown): boolean {
    const { endReason } = handle.info;
    // Another run would end in the same way: what is paused has no time to wait when its supervisor stops.
    if (endReason === 'shutdown' || wasRefusedWith('SUPERVISOR_STOPPED', handle, error)) {
      void this.stop({ wait: false });
      return true;
    }
    return endReason === 'canceled' && this.#state === 'stopping';
  }

  // Life cycle.

  async #runLifeCycle(): Promise<void> {
    const { signal } = this.given as WorkerOptions;
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
      await this.#reportError(problem); // such as the courier of its queue was closed
      void this.stop({ wait: false });
    }
    unlisten?.();
    await Promise.allSettled(this.#runs);
    await this.#hook(() => this.afterStop(), new AbortController().signal); // it cleans up, also after the deadline
    this.reset();
    this.#state = 'stopped';
    this.#registration?.unregister();
    this.#ended.resolve();
  }

  /** Calls `beforeStart()`; whether to go on. Not a promise unless the hook is one: then the worker has started when `start()` returns. */
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
      this.log('onError failed', problem);
    }
  }
}
