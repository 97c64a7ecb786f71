/**
 * BaseWorker: fetches tasks from a courier in bulk, performs them, and returns their results. The failure of one task does
 * not affect others. While tasks are in flight their leases are extended; tasks that are lost or canceled meanwhile are
 * dropped. While the courier can't be reached, calls are retried; at the end of `perform()` for as long as a lease lasts.
 * The return of results asks for the tasks of the next iteration, too; only if none wait there, the worker waits for some.
 *
 *   init ──▶ waitForTasks ──▶ performTasks ──▶ returnTaskResults ──▶ destroy
 *                 ▲                 ▲ one iteration   │
 *                 └── none wait ────┴── next tasks ───┘
 */
import { callSafely } from '../../base/call-safely.ts';
import { TaskwardenError } from '../../base/errors.ts';
import { describe } from '../../base/logger.ts';
import { checkOptions } from '../../base/options.ts';
import { nextTurn, Promise, timeOfDay } from '../../platform/globals.ts';
import { KeepAlive } from '../../platform/keep-alive.ts';
import { nextTurnIfSpent } from '../../platform/loop-turn.ts';
import { onAbort, untilAborted } from '../../platform/on-abort.ts';
import { foreverPendingPromise, isLoadingModule } from '../../task/definition/load-phase.ts';
import type { CourierTask, WorkerTaskCourier } from '../courier.ts';
import { endsFetching, isClosed, Outage, unanswered } from '../outage.ts';
import {
  type BaseWorkerOptions,
  type BulkResults,
  baseWorkerRules,
  checkWorkerFields,
  type PerformOptions,
  performRules,
} from './base-worker-options.ts';
import { Iterations } from './iterations.ts';
import { Problems } from './problems.ts';
import { type ReturnForNext, returnResults } from './result-return.ts';
import { failureOf, pairResults, performEach, settleResults, type TaskAndResult } from './task-results.ts';
import { type CourierTaskContext, TasksInFlight } from './tasks-in-flight.ts';
import { setWorkerLimits } from './worker-limits.ts';

/** Performs the tasks of one queue. A subclass overrides `performSingleTask()` or `performTasks()`. */
export abstract class BaseWorker<D = unknown, R = unknown> {
  queueName: string;
  courier: WorkerTaskCourier;
  maxTasksPerIteration: number;
  maxSimultaneousTasks: number;
  needsResultReturning: boolean;
  maxPerKey: number | undefined;
  rate: BaseWorkerOptions['rate'];
  #fetching: AbortController | undefined;
  #inFlight: TasksInFlight<D> | undefined;
  /** Aborts when the courier is not waited for any more. */
  #giveUp = new AbortController();
  readonly #outage = new Outage((error) => this.#report(error));
  #timeFetched: number | undefined;
  #iterations = new Iterations(0);

  /** @throws TypeError or RangeError for an option that is unknown or bad. */
  constructor(options: BaseWorkerOptions<D> = {}) {
    checkOptions(options, baseWorkerRules, new.target.name);
    // What is missing here may be a field of the subclass; `perform()` checks that.
    this.queueName = options.queueName as string;
    this.courier = options.courier as WorkerTaskCourier;
    this.maxTasksPerIteration = options.maxTasksPerIteration ?? 1;
    this.maxSimultaneousTasks = options.maxSimultaneousTasks ?? 1;
    this.needsResultReturning = options.needsResultReturning ?? true;
    this.maxPerKey = options.maxPerKey;
    this.rate = options.rate;
    if (options.onError !== undefined) this.onError = options.onError;
  }

  // To be overridden.

  /** Called first by `perform()`, which fails if it fails. */
  init(): unknown {
    return undefined;
  }

  /** Called last by `perform()`, also after a failure. */
  destroy(): unknown {
    return undefined;
  }

  /** Performs one task and returns its result. If it throws, only this task fails. */
  performSingleTask(_task: CourierTask<D>, _context: CourierTaskContext): R | Promise<R> {
    throw new TypeError(`${this.constructor.name} has to override performSingleTask() or performTasks()`);
  }

  /**
   * Performs the fetched tasks, and returns their results in the order of the tasks, or pairs of a task and its result. An
   * Error in place of a result, or a promise that rejects, fails that task alone; if this throws, all fail. See `contextOf()`.
   * Default: `performSingleTask()` for each, `maxSimultaneousTasks` at once.
   */
  performTasks(tasks: readonly CourierTask<D>[]): BulkResults<D, R> | Promise<BulkResults<D, R>> {
    return performEach(tasks, this.maxSimultaneousTasks, (task) => this.#performOne(task));
  }

  /** Waits for the tasks of the next iteration. If it resolves with none, it is called again. Rejects when the signal aborts. */
  waitForTasks({ signal }: { readonly signal: AbortSignal }): Promise<readonly CourierTask<D>[]> {
    const tasks = this.courier.bulkWaitForTasks(this.queueName, this.maxTasksPerIteration, { signal });
    return tasks as Promise<CourierTask<D>[]>;
  }

  /**
   * Returns the results of an iteration in bulk. While the courier can't be reached, tries again until the leases are lost;
   * at the end of `perform()` only for as long as a lease lasts. An Error in place of a result is a failure. Lost leases are
   * reported to `onError()`.
   */
  async returnTaskResults(results: readonly TaskAndResult<D, R>[]): Promise<void> {
    await this.#returnForNext(results, 0);
  }

  /**
   * Gets errors that end nothing and are reported nowhere else: a lost lease, an update that could not be sent to a client,
   * each outage of the courier, once, and what fails after `perform()` has failed. Default: a line on the console.
   */
  onError(error: unknown, task?: CourierTask<D>): void {
    const about = task === undefined ? '' : `, task ${task.id}`;
    console.warn(`worker of queue "${this.queueName}"${about}: ${describe(error)}`);
  }

  // To be called.

  /** When the courier last answered a fetch, even without a task, in epoch milliseconds; undefined if it has not yet. */
  get timeFetched(): number | undefined {
    const latest = Math.max(this.#timeFetched ?? 0, (this.courier as WorkerTaskCourier | undefined)?.timeAnswered ?? 0);
    return latest === 0 ? undefined : latest;
  }

  /** How many tasks are being performed, or have results that are being returned. */
  get inFlight(): number {
    return this.#inFlight?.size ?? 0;
  }

  /** The context of a task in flight: its signal, and the messages to and from its client. */
  contextOf(task: CourierTask<D>): CourierTaskContext {
    const inFlight = this.#inFlight?.find(task);
    if (inFlight === undefined) throw new TypeError('contextOf() takes a task that performTasks() was given');
    return inFlight;
  }

  /**
   * Fetches and performs tasks for so many iterations, or until it is asked to stop. Keeps the process alive.
   * Rejects with the error of `init()` or `destroy()`, with `COURIER_CLOSED` or `ALREADY_PERFORMING`; and, before the courier
   * has ever answered, with its refusal, for example of a password or a queue's name. Any other error of the courier is an
   * outage: it is reported to `onError()` once, and the call is retried.
   */
  perform(options: PerformOptions = {}): Promise<void> {
    checkOptions(options, performRules, `${this.constructor.name}.perform()`);
    if (isLoadingModule()) return foreverPendingPromise();
    checkWorkerFields(this);
    const { performTasks, performSingleTask } = BaseWorker.prototype;
    if (this.performTasks === performTasks && this.performSingleTask === performSingleTask) {
      performSingleTask.call(this as never, undefined as never, undefined as never); // throws an error that says what is missing
    }
    return this.#perform(options);
  }

  /** Does the same as aborting the signal of `perform()`. */
  stop(): void {
    this.#fetching?.abort();
  }

  /** @internal Stops without waiting for the courier any more: the leases of tasks in flight run out. */
  abandon(): void {
    this.stop();
    this.#giveUp.abort();
  }

  async #perform({ totalIterations = Infinity, signal }: PerformOptions): Promise<void> {
    if (this.#fetching !== undefined) {
      const message = `${this.constructor.name} performs the tasks of queue "${this.queueName}" already`;
      throw new TaskwardenError('ALREADY_PERFORMING', message);
    }
    const fetching = new AbortController();
    this.#fetching = fetching;
    const giveUp = new AbortController();
    this.#giveUp = giveUp;
    const inFlight = new TasksInFlight<D>(this.courier, this.queueName, {
      onError: (error, task) => this.#report(error, task),
      outage: this.#outage,
    });
    this.#inFlight = inFlight;
    onAbort(fetching.signal, () => inFlight.whenStuck(() => giveUp.abort()));
    this.#iterations = new Iterations(totalIterations);
    const unlisten = signal && onAbort(signal, () => fetching.abort(signal.reason));
    if (signal?.aborted) fetching.abort(signal.reason);
    const keepAlive = new KeepAlive();
    keepAlive.hold();
    const problems = new Problems((problem) => fetching.abort(problem));
    const attempt = (step: () => unknown) => problems.attempt(step);
    await attempt(() => this.init());
    await attempt(() => setWorkerLimits(this, this.#outage, fetching.signal, (error) => this.#report(error)));
    const { maxSimultaneousTasks, maxTasksPerIteration } = this;
    const sideBySide = Math.min(Math.max(Math.floor(maxSimultaneousTasks / maxTasksPerIteration), 1), totalIterations);
    const unhear = this.courier.onOutage?.((error) => this.#outage.report(error));
    const loops = Array.from({ length: sideBySide }, () => attempt(() => this.#iterate(fetching.signal)));
    await untilAborted(Promise.all(loops), giveUp.signal);
    unhear?.();
    if (inFlight.size > 0) this.#report(unanswered(this.queueName, inFlight.size));
    inFlight.close();
    await attempt(() => this.destroy());
    unlisten?.();
    keepAlive.close();
    this.#fetching = undefined;
    this.#inFlight = undefined;
    problems.throwFirst((problem) => this.#report(problem));
  }

  async #iterate(signal: AbortSignal): Promise<void> {
    let tasks: readonly CourierTask<D>[] = [];
    while (tasks.length > 0 || (this.#iterations.areLeft && !signal.aborted)) {
      if (tasks.length === 0) tasks = await this.#iterations.next(() => this.#fetch(signal));
      if (tasks.length > 0) tasks = await this.#performBulk(tasks, signal);
      else await nextTurn(); // an override that resolves with none at once must not block the event loop
      await nextTurnIfSpent(); // with a courier in memory, nothing else lets the event loop turn
    }
  }

  async #fetch(signal: AbortSignal): Promise<readonly CourierTask<D>[]> {
    try {
      const isFinal = (error: unknown) => endsFetching(error, this.timeFetched !== undefined);
      return (await this.#outage.retry(() => this.#waitForTasks(signal), signal, isFinal)) ?? [];
    } catch (error) {
      if (!signal.aborted) throw error;
      return [];
    }
  }

  /** Does not wait for the courier after the signal has aborted; tasks that come later are released. */
  async #waitForTasks(signal: AbortSignal): Promise<readonly CourierTask<D>[] | undefined> {
    const waiting = this.waitForTasks({ signal });
    const tasks = await untilAborted(waiting, signal);
    if (tasks !== undefined) this.#timeFetched = timeOfDay();
    else void waiting.then((late) => this.#giveBack(late)).catch(() => {});
    return tasks;
  }

  /** @internal Called when these tasks have been performed, or will not be. */
  onIterationEnd(_tasks: readonly CourierTask<D>[]): void {}

  #giveBack(tasks: readonly CourierTask<D>[]): Promise<unknown> {
    this.onIterationEnd(tasks);
    return Promise.all(tasks.map((task) => this.courier.releaseTask(this.queueName, task)));
  }

  /** Resolves with the tasks of the next iteration that have come with the return of the results. */
  async #performBulk(tasks: readonly CourierTask<D>[], signal: AbortSignal): Promise<readonly CourierTask<D>[]> {
    const inFlight = this.#inFlight as TasksInFlight<D>;
    inFlight.take(tasks);
    const results = await this.#resultsOf(tasks);
    this.onIterationEnd(tasks);
    const wanted = results.filter(([task]) => inFlight.finish(task));
    try {
      return wanted.length > 0 ? await this.#return(wanted, signal) : [];
    } catch (error) {
      if (isClosed(error)) throw error;
      if (!this.#giveUp.signal.aborted) this.#report(error); // then their leases run out
      return [];
    } finally {
      for (const task of tasks) inFlight.remove(task);
    }
  }

  async #return(results: readonly TaskAndResult<D, R>[], signal: AbortSignal): Promise<readonly CourierTask<D>[]> {
    if (!this.#iterations.areLeft || signal.aborted) {
      await this.returnTaskResults(results);
      return [];
    }
    const next = await this.#iterations.next(() => this.takeNext(results, (max) => this.#returnForNext(results, max)));
    if (next.length > 0) this.#timeFetched = timeOfDay();
    if (!signal.aborted) return next;
    await this.#giveBack(next).catch(() => {}); // then their leases run out
    return [];
  }

  /** @internal Returns the results. If nothing is overridden that has a say in it, `ask` does, and fetches at most `max` tasks. */
  async takeNext(results: readonly TaskAndResult<D, R>[], ask: ReturnForNext<D>): Promise<readonly CourierTask<D>[]> {
    const { returnTaskResults, waitForTasks } = BaseWorker.prototype;
    const isPlain = this.returnTaskResults === returnTaskResults && this.waitForTasks === waitForTasks;
    if (isPlain) return ask(this.maxTasksPerIteration);
    await this.returnTaskResults(results);
    return [];
  }

  #returnForNext(results: readonly TaskAndResult<D, R>[], next: number): Promise<readonly CourierTask<D>[]> {
    return returnResults(results, next, {
      courier: this.courier,
      queueName: this.queueName,
      needsResultReturning: this.needsResultReturning,
      failureOf: (task) => this.#inFlight?.find(task)?.failure,
      retry: (call) => this.#outage.retry(call, this.#giveUp.signal),
      onLeaseLost: (error, task) => this.#report(error, task),
    });
  }

  async #resultsOf(tasks: readonly CourierTask<D>[]): Promise<TaskAndResult<D, R>[]> {
    const isBulk = this.performTasks !== BaseWorker.prototype.performTasks;
    try {
      if (isBulk) for (const task of tasks) this.#inFlight?.find(task)?.begin();
      const given = await settleResults(await this.performTasks(tasks));
      return pairResults(tasks, given, this.needsResultReturning);
    } catch (error) {
      return tasks.map((task) => [task, failureOf(error)]);
    }
  }

  async #performOne(task: CourierTask<D>): Promise<R | Error> {
    const inFlight = this.#inFlight?.find(task);
    if (!inFlight?.isHeld) return undefined as R; // it was lost, canceled or released
    inFlight.begin();
    try {
      return await this.performSingleTask(task, inFlight);
    } catch (error) {
      return failureOf(error);
    }
  }

  #report(error: unknown, task?: CourierTask<D>): void {
    const fail = (problem: unknown) => console.error('onError of a courier worker failed:', problem);
    callSafely(() => this.onError(error, task), undefined, fail);
  }
}
