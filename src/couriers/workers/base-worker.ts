/**
 * BaseWorker: fetches tasks from a courier in bulk, performs them, and returns their results. One task's failure is that
 * task's alone. While tasks are in hand their leases are extended; what is lost meanwhile, or canceled, is dropped. While
 * the courier can't be reached, it is asked again; one that never answers holds up the end for as long as a lease holds.
 *
 *   init ──▶ waitForTasks ──▶ performTasks ──▶ returnTaskResults ──▶ destroy
 *                 ▲          one iteration            │
 *                 └───────────────────────────────────┘
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
import { endsFetching, isClosed, Outage } from '../outage.ts';
import {
  type BaseWorkerOptions,
  type BulkResults,
  baseWorkerRules,
  type PerformOptions,
  performRules,
} from './base-worker-options.ts';
import { returnResults } from './result-return.ts';
import { failureOf, pairResults, settleResults, type TaskAndResult } from './task-results.ts';
import { type CourierTaskContext, TasksInFlight } from './tasks-in-flight.ts';

/** Performs the tasks of one queue. A subclass says how, by `performSingleTask()` or `performTasks()`. */
export abstract class BaseWorker<D = unknown, R = unknown> {
  queueName: string;
  courier: WorkerTaskCourier;
  maxTasksPerIteration: number;
  maxSimultaneousTasks: number;
  needsResultReturning: boolean;
  #fetching: AbortController | undefined;
  #inFlight: TasksInFlight<D> | undefined;
  /** Aborts when nothing of the courier is waited for any more. */
  #giveUp = new AbortController();
  readonly #outage = new Outage((error) => this.#report(error));
  #timeFetched: number | undefined;
  #iterationsLeft = 0;

  /** @throws TypeError or RangeError for an option that is unknown or bad. */
  constructor(options: BaseWorkerOptions<D> = {}) {
    checkOptions(options, baseWorkerRules, new.target.name);
    // What is not given here is a field of the subclass; `perform()` looks.
    this.queueName = options.queueName as string;
    this.courier = options.courier as WorkerTaskCourier;
    this.maxTasksPerIteration = options.maxTasksPerIteration ?? 1;
    this.maxSimultaneousTasks = options.maxSimultaneousTasks ?? 1;
    this.needsResultReturning = options.needsResultReturning ?? true;
    if (options.onError !== undefined) this.onError = options.onError;
  }

  // To be overridden.

  /** Called first by `perform()`. If it fails, so does `perform()`. */
  init(): unknown {
    return undefined;
  }

  /** Called last by `perform()`, whatever has happened. */
  destroy(): unknown {
    return undefined;
  }

  /** Performs one task, and gives its result. What it throws is the failure of this task alone. */
  performSingleTask(_task: CourierTask<D>, _context: CourierTaskContext): R | Promise<R> {
    throw new TypeError(`${this.constructor.name} has to override performSingleTask() or performTasks()`);
  }

  /**
   * Performs what was fetched, and gives the results in the order of the tasks, or pairs of a task and its result. An Error
   * in place of a result, or a promise that rejects, is the failure of that task alone; what is thrown is that of all. See
   * `contextOf()`.
   * Default: `performSingleTask()` for each, `maxSimultaneousTasks` at once.
   */
  performTasks(tasks: readonly CourierTask<D>[]): BulkResults<D, R> | Promise<BulkResults<D, R>> {
    return this.#performEach(tasks);
  }

  /** Waits for the tasks of the next iteration. With none of them it is called again. Rejects when the signal aborts. */
  waitForTasks({ signal }: { readonly signal: AbortSignal }): Promise<readonly CourierTask<D>[]> {
    const tasks = this.courier.bulkWaitForTasks(this.queueName, this.maxTasksPerIteration, { signal });
    return tasks as Promise<CourierTask<D>[]>;
  }

  /**
   * Returns the results of an iteration, in bulk. While the courier can't take them, tries again until it says that the
   * leases are lost; at the end of `perform()` only for as long as a lease holds. An Error in place of a result is a
   * failure. Lost leases go to `onError()`.
   */
  async returnTaskResults(results: readonly TaskAndResult<D, R>[]): Promise<void> {
    const { courier, queueName, needsResultReturning } = this;
    await returnResults(results, {
      courier,
      queueName,
      needsResultReturning,
      isFinal: (task) => this.#inFlight?.find(task)?.isFinal === true,
      retry: (call) => this.#outage.retry(call, this.#giveUp.signal),
      onLeaseLost: (error, task) => this.#report(error, task),
    });
  }

  /**
   * Hears of what ends nothing and reaches nobody else: a lease that was lost, something that could not be told to a client,
   * a courier that can't be reached, once, or what fails after `perform()` has failed. Default: a line on the console.
   */
  onError(error: unknown, task?: CourierTask<D>): void {
    const about = task === undefined ? '' : `, task ${task.id}`;
    console.warn(`worker of queue "${this.queueName}"${about}: ${describe(error)}`);
  }

  // To be called.

  /** When the courier last answered a fetch, though it had nothing, in epoch milliseconds; undefined if it has not yet. */
  get timeFetched(): number | undefined {
    const latest = Math.max(this.#timeFetched ?? 0, (this.courier as WorkerTaskCourier | undefined)?.timeAnswered ?? 0);
    return latest === 0 ? undefined : latest;
  }

  /** How many tasks it has: those that are performed, and those whose results are returned. */
  get inFlight(): number {
    return this.#inFlight?.size ?? 0;
  }

  /** What belongs to a task in hand: its signal, and the talk with its client. */
  contextOf(task: CourierTask<D>): CourierTaskContext {
    const inFlight = this.#inFlight?.find(task);
    if (inFlight === undefined) throw new TypeError('contextOf() takes a task that performTasks() was given');
    return inFlight;
  }

  /**
   * Fetches and performs tasks until it has had so many iterations, or is asked to end. Keeps the process alive.
   * Rejects with what `init()` or `destroy()` failed with, with `COURIER_CLOSED` or `ALREADY_PERFORMING`; and, before the
   * courier has ever answered, with what it refuses, such as a wrong password or the name of a queue. Whatever else the
   * courier fails with is an outage: it is told to `onError()` once, and the courier is asked again.
   */
  perform(options: PerformOptions = {}): Promise<void> {
    checkOptions(options, performRules, `${this.constructor.name}.perform()`);
    if (isLoadingModule()) return foreverPendingPromise();
    this.#checkFields();
    return this.#perform(options);
  }

  /** As if the signal of `perform()` had aborted. */
  stop(): void {
    this.#fetching?.abort();
  }

  /** @internal Nothing of the courier is waited for any more: the leases of what is in hand run out. */
  abandon(): void {
    this.stop();
    this.#giveUp.abort();
  }

  // Inside.

  #checkFields(): void {
    const { queueName, courier, maxTasksPerIteration, maxSimultaneousTasks, needsResultReturning } = this;
    const fields = { queueName, courier, maxTasksPerIteration, maxSimultaneousTasks, needsResultReturning };
    for (const [name, value] of Object.entries(fields)) {
      baseWorkerRules[name as keyof typeof fields](value, `"${name}" of ${this.constructor.name}`);
    }
    const { performTasks, performSingleTask } = BaseWorker.prototype;
    if (this.performTasks === performTasks && this.performSingleTask === performSingleTask) {
      performSingleTask.call(this as never, undefined as never, undefined as never); // says what is missing
    }
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
    this.#iterationsLeft = totalIterations;
    const unlisten = signal && onAbort(signal, () => fetching.abort(signal.reason));
    if (signal?.aborted) fetching.abort(signal.reason);
    const keepAlive = new KeepAlive();
    keepAlive.hold();
    const problems: unknown[] = [];
    const attempt = async (step: () => unknown) => {
      try {
        await step();
      } catch (problem) {
        if (problems.length === 0 || !isClosed(problem)) problems.push(problem); // all that asks it hears of it
        fetching.abort(problem);
      }
    };
    await attempt(() => this.init());
    const { maxSimultaneousTasks, maxTasksPerIteration } = this;
    const sideBySide = Math.min(Math.max(Math.floor(maxSimultaneousTasks / maxTasksPerIteration), 1), totalIterations);
    const unhear = this.courier.onOutage?.((error) => this.#outage.report(error));
    const loops = Array.from({ length: sideBySide }, () => attempt(() => this.#iterate(fetching.signal)));
    await untilAborted(Promise.all(loops), giveUp.signal);
    unhear?.();
    if (inFlight.size > 0) this.#report(this.#unanswered(inFlight.size));
    inFlight.close();
    await attempt(() => this.destroy());
    unlisten?.();
    keepAlive.close();
    this.#fetching = undefined;
    this.#inFlight = undefined;
    const [first, ...others] = problems;
    for (const problem of others) this.#report(problem);
    if (problems.length > 0) throw first;
  }

  #unanswered(count: number): TaskwardenError {
    const message = `the courier of queue "${this.queueName}" has not answered in time: the leases of ${count} tasks run out`;
    return new TaskwardenError('COURIER_UNREACHABLE', message);
  }

  async #iterate(signal: AbortSignal): Promise<void> {
    while (this.#iterationsLeft > 0 && !signal.aborted) {
      this.#iterationsLeft -= 1;
      await nextTurnIfSpent(); // a courier in memory never lets the event loop turn by itself
      const tasks = await this.#fetch(signal);
      if (tasks.length > 0) {
        await this.#performBulk(tasks);
      } else {
        this.#iterationsLeft += 1;
        await nextTurn(); // an override that gives none at once must not keep all else from running
      }
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

  /** A courier that does not answer is left alone when the signal aborts; what it gives then goes back. */
  async #waitForTasks(signal: AbortSignal): Promise<readonly CourierTask<D>[] | undefined> {
    const waiting = this.waitForTasks({ signal });
    const tasks = await untilAborted(waiting, signal);
    if (tasks !== undefined) this.#timeFetched = timeOfDay();
    else void waiting.then((late) => this.#giveBack(late)).catch(() => {});
    return tasks;
  }

  #giveBack(tasks: readonly CourierTask<D>[]): Promise<unknown> {
    return Promise.all(tasks.map((task) => this.courier.releaseTask(this.queueName, task)));
  }

  async #performBulk(tasks: readonly CourierTask<D>[]): Promise<void> {
    const inFlight = this.#inFlight as TasksInFlight<D>;
    inFlight.take(tasks);
    const results = await this.#resultsOf(tasks);
    const wanted = results.filter(([task]) => inFlight.finish(task));
    try {
      if (wanted.length > 0) await this.returnTaskResults(wanted);
    } catch (error) {
      if (isClosed(error)) throw error;
      if (!this.#giveUp.signal.aborted) this.#report(error); // their leases run out
    } finally {
      for (const task of tasks) inFlight.remove(task);
    }
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

  async #performEach(tasks: readonly CourierTask<D>[]): Promise<(R | Error)[]> {
    const results: (R | Error)[] = [];
    const entries = tasks.entries();
    const performNext = async () => {
      for (const [place, task] of entries) {
        await nextTurnIfSpent();
        results[place] = await this.#performOne(task);
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.maxSimultaneousTasks, tasks.length) }, performNext));
    return results;
  }

  async #performOne(task: CourierTask<D>): Promise<R | Error> {
    const inFlight = this.#inFlight?.find(task);
    if (!inFlight?.isHeld) return undefined as R; // nobody wants it any more
    inFlight.begin();
    try {
      return await this.performSingleTask(task, inFlight);
    } catch (error) {
      return failureOf(error);
    }
  }

  #report(error: unknown, task?: CourierTask<D>): void {
    const report = () => this.onError(error, task);
    callSafely(report, undefined, (problem) => console.error('onError of a courier worker failed:', problem));
  }
}
