/**
 * BackgroundQueueWorker: runs for each item that is put into its queue, or for a batch of them. A courier holds the queue: an
 * item whose run did not end because the worker or its supervisor was stopped goes back to it.
 */
import type { Rule } from '../base/options.ts';
import type { AddOptions, ClientWorkerTaskCourier, CourierTask } from '../couriers/courier.ts';
import { MemoryTaskCourier } from '../couriers/memory/memory-courier.ts';
import { failureOptions } from '../couriers/workers/definition-rules.ts';
import { demandOf, type SupervisorDemand } from '../couriers/workers/prefetch.ts';
import { deliveryOf } from '../couriers/workers/supervised-run.ts';
import type { CourierTaskContext } from '../couriers/workers/tasks-in-flight.ts';
import { Timer } from '../platform/clock.ts';
import { type Deferred, defer } from '../platform/deferred.ts';
import { Promise } from '../platform/globals.ts';
import { untilAborted } from '../platform/on-abort.ts';
import { keyOf } from '../task/call/task-key.ts';
import { foreverPendingPromise, isHost, isLoadingModule } from '../task/definition/load-phase.ts';
import { currentTask } from '../task/inside/context.ts';
import type { EndReason } from '../task/record/task-info.ts';
import { BackgroundWorker } from './background-worker.ts';
import type { AnyArgs } from './hooked-worker.ts';
import { FetchLoop } from './items/fetch-loop.ts';
import { type QueueOptions, type QueueWorkerOptions, queueRule } from './worker-options.ts';
import type { RunOutcome } from './worker-run.ts';

/** How long an own queue keeps results, in milliseconds; and how many failed items it keeps. */
const resultTtlMs = 60_000;
const maxDeadLetters = 1_000;

/** How long the courier may take to take back items in flight when the worker is stopped at once, in milliseconds. */
const dismissalMs = 1_000;

// biome-ignore lint/suspicious/noExplicitAny: without a type for its items, a worker accepts all.
export class BackgroundQueueWorker<I = any, A extends unknown[] = AnyArgs> extends BackgroundWorker<A> {
  /** Carries its items. */
  readonly courier: ClientWorkerTaskCourier;
  readonly queueName: string;
  readonly #queue: QueueOptions;
  /** Items of an own queue whose run has failed, and that will be run again. */
  readonly #toRetry = new Set<string>();
  #fetchLoop: FetchLoop | undefined;
  /** Resolves when the loop fetches again: the queue may be empty then. */
  #fetching: Deferred = defer();

  /** `run()` gets an item, or with `batchSize` an array of them; then what `start()` was given. */
  constructor(options?: QueueWorkerOptions);
  constructor(moduleUrl: string | URL, options?: QueueWorkerOptions);
  constructor(fn: (item: never, ...args: A) => unknown, options?: QueueWorkerOptions);
  constructor(moduleUrl: string | URL, fn: (item: never, ...args: A) => unknown, options?: QueueWorkerOptions);
  constructor(...given: never[]) {
    super(...(given as []));
    const { queue } = this.given as QueueWorkerOptions;
    this.#queue = typeof queue === 'object' ? queue : {};
    const { courier, name = this.name, maxQueued = Infinity } = this.#queue;
    this.queueName = name;
    // On the event loop nothing is copied, so items may be values that can't be copied, such as sockets.
    this.courier =
      courier ?? new MemoryTaskCourier({ maxQueued, resultTtlMs, maxDeadLetters, copies: this.type !== 'loop' });
  }

  protected override ownRules(): Readonly<Record<string, Rule>> {
    return queueRule;
  }

  /**
   * Puts an item into the queue, whether the worker is started or not. Resolves with its id as soon as there is room for it. To
   * wait for its result, use `courier.waitForTaskResult(queueName, id)`. Without `batchSize`, the run of the item has the same
   * id, for `getTaskInfo()`; later attempts have it with `.2` and so on. Canceling the item cancels its run. The item has the key
   * that the worker's option `key` gives, a function of the item alone, unless it has one of its own; with `batchSize` only a text.
   */
  put(item: I, options: AddOptions = {}): Promise<string> {
    if (isLoadingModule()) return foreverPendingPromise();
    if (isHost()) {
      const { signal, ...rest } = options;
      return this.askProgram('putFor', [item, rest], { waits: true, signal }) as Promise<string>;
    }
    return this.#put(item, options);
  }

  async #put(item: I, options: AddOptions): Promise<string> {
    const key = options.key ?? this.#keyOf(item);
    const own = { wait: true, priority: this.priority, ...(key !== undefined && { key }) };
    return this.courier.addTaskToQueue(this.queueName, item, { ...own, ...options });
  }

  #keyOf(item: I): string | undefined {
    const { definition, options } = this.spec;
    if (typeof options.key === 'function' && this.#queue.batchSize !== undefined) return undefined;
    return keyOf(this.spec, definition.takesWorkerContext ? [undefined, item] : [item]);
  }

  /** @internal Called by tasks in threads and children. */
  putFor(item: I, options: AddOptions): Promise<string> {
    return this.put(item, { ...options, signal: currentTask().signal });
  }

  protected override async work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.untilResumed(signal);
      this.#fetchLoop = this.#newFetchLoop(signal);
      await this.#fetchLoop.perform({ signal });
    }
  }

  /** A pause ends its fetching. */
  protected override onPauseChanged(isPaused: boolean): void {
    super.onPauseChanged(isPaused);
    if (!isPaused) return;
    this.#fetchLoop?.stop();
    this.#fetching.resolve();
  }

  #newFetchLoop(signal: AbortSignal): FetchLoop {
    const { batchSize = 1, concurrency = 1, maxPerKey, rate } = this.#queue;
    const demand = this.#demand();
    return new FetchLoop({
      courier: this.courier,
      queueName: this.queueName,
      maxTasksPerIteration: batchSize,
      maxSimultaneousTasks: batchSize * concurrency,
      maxPerKey,
      rate,
      onError: (error) => this.reportError(error),
      onFetch: () => {
        this.#fetching.resolve();
        this.#fetching = defer();
      },
      onFailed: (tasks) => this.#noteRetries(tasks),
      perform: (tasks, contextOf) => this.#perform(tasks, contextOf, signal),
      ...(demand && { demand }),
    });
  }

  /** Gives the items in flight back. Does not wait long for a courier that does not answer. */
  protected override stopNow(): void {
    super.stopNow();
    const feed = this.#fetchLoop;
    const timer = new Timer(dismissalMs, () => feed?.abandon());
    void this.ended.then(() => timer.cancel());
  }

  /** When the courier last answered a fetch, even without an item, in epoch milliseconds; undefined if it has not yet. */
  get timeFetched(): number | undefined {
    return this.#fetchLoop?.timeFetched;
  }

  /** How many items are running or have results that are being returned. */
  get inFlight(): number {
    return this.#fetchLoop?.inFlight ?? 0;
  }

  /** Undefined for an own queue: nobody else could take the items that wait there. */
  #demand(): SupervisorDemand | undefined {
    const { freeCapacity } = this.supervisor;
    if (this.#isOwnQueue || freeCapacity === undefined) return undefined;
    return { freeCapacity, demands: [demandOf(this.spec)] };
  }

  async #perform(
    tasks: readonly CourierTask[],
    contextOf: (task: CourierTask) => CourierTaskContext,
    signal: AbortSignal,
  ): Promise<readonly unknown[]> {
    for (const { id } of tasks) this.#toRetry.delete(id);
    const outcome = await this.#run(tasks, contextOf, signal);
    if ('error' in outcome && outcome.wasEnded) {
      await Promise.all(tasks.map((task) => contextOf(task).release()));
      return [];
    }
    if ('error' in outcome) {
      await this.#onFailure(tasks, contextOf, outcome);
      throw outcome.error;
    }
    const { value } = outcome;
    const hasOneEach = this.#queue.batchSize !== undefined && Array.isArray(value) && value.length === tasks.length;
    return hasOneEach ? value : tasks.map(() => value);
  }

  /** The courier tries items again, also as often as the worker says. */
  async #onFailure(
    tasks: readonly CourierTask[],
    contextOf: (task: CourierTask) => CourierTaskContext,
    failure: { readonly error: unknown; readonly endReason?: EndReason | undefined },
  ): Promise<void> {
    const { options } = this.spec;
    const ended = { error: failure.error, endReason: failure.endReason };
    for (const task of tasks) {
      contextOf(task).onFailure(await failureOptions(task, options, ended, (problem) => this.reportError(problem)));
    }
  }

  /** A run for a single item has its id, and is canceled with it. The progress of a batch belongs to no item. */
  #run(
    tasks: readonly CourierTask[],
    contextOf: (task: CourierTask) => CourierTaskContext,
    signal: AbortSignal,
  ): Promise<RunOutcome> {
    const args = tasks.map(({ data }) => data);
    const [task] = tasks as readonly [CourierTask];
    const { priority } = task; // the highest of them
    const begin = () => this.#fetchLoop?.submitted(task);
    if (this.#queue.batchSize !== undefined) {
      return this.tryRun(signal, { args: [args], priority, retries: 0, onSubmitted: begin });
    }
    const context = contextOf(task);
    return this.tryRun(signal, {
      args,
      taskId: task.attempt === 1 ? task.id : `${task.id}.${task.attempt}`,
      delivery: deliveryOf(task, context),
      priority,
      retries: 0,
      unwanted: context.signal,
      onSubmitted: (run) => {
        begin();
        run.onProgress((progress) => void context.send({ kind: 'progress', progress }));
      },
    });
  }

  get #isOwnQueue(): boolean {
    return this.#queue.courier === undefined;
  }

  /** Remembers which of the failed items will be run again. */
  async #noteRetries(tasks: readonly CourierTask[]): Promise<void> {
    if (!this.#isOwnQueue) return;
    for (const { id } of tasks) {
      const isOver = await this.courier.checkForDone(this.queueName, id).catch(() => true);
      if (!isOver) this.#toRetry.add(id);
    }
  }

  /**
   * Items in an own queue would be lost with the program, so they are run first, also those that are put meanwhile and those
   * that will be retried. Delayed items that were never started stay, and so do all of a paused worker.
   */
  protected override async drain(signal: AbortSignal): Promise<void> {
    while (this.#isOwnQueue && !this.isPaused && !signal.aborted) {
      const fetching = this.#fetching.promise; // taken before the queue is looked at
      const { waiting, leased } = await this.courier.getQueueInfo(this.queueName);
      const [failed] = this.#toRetry;
      if (leased + waiting.critical + waiting.high + waiting.normal + waiting.low > 0) {
        await untilAborted(fetching, signal);
      } else if (failed === undefined) {
        return;
      } else {
        await this.courier.waitForTaskResult(this.queueName, failed, { signal }).catch(() => {});
        this.#toRetry.delete(failed);
      }
    }
  }
}
