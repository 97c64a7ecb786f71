/**
 * BackgroundQueueWorker: runs for each item that is put into its queue, or for a batch of them. The queue is a courier's:
 * an item whose run did not end, because the worker or its supervisor was stopped, goes back to it.
 */
import type { Rule } from '../base/options.ts';
import type { AddOptions, ClientWorkerTaskCourier, CourierTask } from '../couriers/courier.ts';
import { MemoryTaskCourier } from '../couriers/memory/memory-courier.ts';
import { BaseWorker } from '../couriers/workers/base-worker.ts';
import { demandOf, Prefetch, type SupervisorDemand } from '../couriers/workers/prefetch.ts';
import { errorIn, type TaskAndResult } from '../couriers/workers/task-results.ts';
import type { CourierTaskContext } from '../couriers/workers/tasks-in-flight.ts';
import { Timer } from '../platform/clock.ts';
import { type Deferred, defer } from '../platform/deferred.ts';
import { Promise } from '../platform/globals.ts';
import { untilAborted } from '../platform/on-abort.ts';
import { foreverPendingPromise, isHost, isLoadingModule } from '../task/definition/load-phase.ts';
import { currentTask } from '../task/inside/context.ts';
import { BackgroundWorker } from './background-worker.ts';
import type { AnyArgs } from './hooked-worker.ts';
import { type QueueOptions, type QueueWorkerOptions, queueRule } from './worker-options.ts';
import type { RunOutcome } from './worker-run.ts';

/** How long a queue of its own keeps what runs gave, in milliseconds; and how many items whose runs failed. */
const resultTtlMs = 60_000;
const maxDeadLetters = 1_000;

/** How long what is in hand may take to go back to the courier, when the worker is stopped at once, in milliseconds. */
const dismissalMs = 1_000;

// biome-ignore lint/suspicious/noExplicitAny: a worker that is not told what its items are takes all.
export class BackgroundQueueWorker<I = any, A extends unknown[] = AnyArgs> extends BackgroundWorker<A> {
  /** Carries its items. */
  readonly courier: ClientWorkerTaskCourier;
  readonly queueName: string;
  readonly #queue: QueueOptions;
  /** Items of a queue of its own whose run has failed, and that will be run again. */
  readonly #toRetry = new Set<string>();
  #fetchLoop: FetchLoop | undefined;
  /** The feed asks for items again: it may be through. */
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
    // On the event loop nothing is copied: items may be what can't be, such as sockets.
    this.courier =
      courier ?? new MemoryTaskCourier({ maxQueued, resultTtlMs, maxDeadLetters, copies: this.type !== 'loop' });
  }

  protected override ownRules(): Readonly<Record<string, Rule>> {
    return queueRule;
  }

  /**
   * Puts an item into the queue, whether the worker is started or not. Resolves with its id as soon as there is room for it; its
   * result can be waited for with `courier.waitForTaskResult(queueName, id)`. Without `batchSize`, the run of the item has
   * that id, too, for `getTaskInfo()`; of later attempts, with `.2` and so on. Canceling the item cancels its run.
   */
  put(item: I, options: AddOptions = {}): Promise<string> {
    if (isLoadingModule()) return foreverPendingPromise();
    if (isHost()) {
      const { signal, ...rest } = options;
      return this.askProgram('putFor', [item, rest], { waits: true, signal }) as Promise<string>;
    }
    return this.courier.addTaskToQueue(this.queueName, item, { wait: true, priority: this.priority, ...options });
  }

  /** @internal For a task in a thread or child. */
  putFor(item: I, options: AddOptions): Promise<string> {
    return this.put(item, { ...options, signal: currentTask().signal });
  }

  protected override async work(signal: AbortSignal): Promise<void> {
    const { batchSize = 1, concurrency = 1 } = this.#queue;
    const demand = this.#demand();
    const feed = new FetchLoop({
      courier: this.courier,
      queueName: this.queueName,
      maxTasksPerIteration: batchSize,
      maxSimultaneousTasks: batchSize * concurrency,
      onError: (error) => this.reportError(error),
      onFetch: () => {
        this.#fetching.resolve();
        this.#fetching = defer();
      },
      onFailed: (tasks) => this.#noteRetries(tasks),
      perform: (tasks, contextOf) => this.#perform(tasks, contextOf, signal),
      ...(demand && { demand }),
    });
    this.#fetchLoop = feed;
    await feed.perform({ signal });
  }

  /** What is in hand goes back; a courier that does not answer is given a moment, and no more. */
  protected override stopNow(): void {
    super.stopNow();
    const feed = this.#fetchLoop;
    const timer = new Timer(dismissalMs, () => feed?.abandon());
    void this.ended.then(() => timer.cancel());
  }

  /** When the courier last answered a fetch, though it had nothing, in epoch milliseconds; undefined if it has not yet. */
  get timeFetched(): number | undefined {
    return this.#fetchLoop?.timeFetched;
  }

  /** How many items it has, of those that run and those that are returned. */
  get inFlight(): number {
    return this.#fetchLoop?.inFlight ?? 0;
  }

  /** Of a queue of its own none: nobody else could take what waits there. */
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
    if ('error' in outcome) throw outcome.error;
    const { value } = outcome;
    const hasOneEach = this.#queue.batchSize !== undefined && Array.isArray(value) && value.length === tasks.length;
    return hasOneEach ? value : tasks.map(() => value);
  }

  /** A run for a single item has its id, and is canceled with it. Of a batch, the progress is that of no item. */
  #run(
    tasks: readonly CourierTask[],
    contextOf: (task: CourierTask) => CourierTaskContext,
    signal: AbortSignal,
  ): Promise<RunOutcome> {
    const args = tasks.map(({ data }) => data);
    const [task] = tasks as readonly [CourierTask];
    const { priority } = task; // the highest of them
    const begin = () => this.#fetchLoop?.submitted(task);
    if (this.#queue.batchSize !== undefined) return this.tryRun(signal, { args: [args], priority, onSubmitted: begin });
    const context = contextOf(task);
    return this.tryRun(signal, {
      args,
      taskId: task.attempt === 1 ? task.id : `${task.id}.${task.attempt}`,
      delivery: task,
      priority,
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

  /** Of items whose runs have failed, those that wait for another run. */
  async #noteRetries(tasks: readonly CourierTask[]): Promise<void> {
    if (!this.#isOwnQueue) return;
    for (const { id } of tasks) {
      const isOver = await this.courier.checkForDone(this.queueName, id).catch(() => true);
      if (!isOver) this.#toRetry.add(id);
    }
  }

  /**
   * What waits in a queue of its own would be lost with the program: it is done first, what is put meanwhile and what is to
   * be tried again, too. What is delayed, and was never begun, stays.
   */
  protected override async drain(signal: AbortSignal): Promise<void> {
    while (this.#isOwnQueue && !signal.aborted) {
      const fetching = this.#fetching.promise; // from before the look
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

interface FetchLoopOptions {
  /** What a run needs to start: only what can start is fetched. */
  readonly demand?: SupervisorDemand;
  readonly courier: ClientWorkerTaskCourier;
  readonly queueName: string;
  readonly maxTasksPerIteration: number;
  readonly maxSimultaneousTasks: number;
  readonly onError: (error: unknown) => void;
  /** It is about to ask for items, and has none in hand but those of others beside it. */
  readonly onFetch: () => void;
  /** It has said so to the courier. */
  readonly onFailed: (tasks: readonly CourierTask[]) => Promise<void>;
  readonly perform: (
    tasks: readonly CourierTask[],
    contextOf: (task: CourierTask) => CourierTaskContext,
  ) => Promise<readonly unknown[]>;
}

/** The courier's side of it. */
class FetchLoop extends BaseWorker {
  readonly #perform: FetchLoopOptions['perform'];
  readonly #onFetch: FetchLoopOptions['onFetch'];
  readonly #onFailed: FetchLoopOptions['onFailed'];

  readonly #demand: SupervisorDemand | undefined;
  #prefetch: Prefetch | undefined;

  constructor({ perform, onFetch, onFailed, demand, ...options }: FetchLoopOptions) {
    super(options);
    this.#perform = perform;
    this.#onFetch = onFetch;
    this.#onFailed = onFailed;
    this.#demand = demand;
  }

  /** The run of those that begin with this one has its slot. */
  submitted(task: CourierTask): void {
    this.#prefetch?.submitted(task);
  }

  override waitForTasks(options: { readonly signal: AbortSignal }): Promise<readonly CourierTask[]> {
    this.#onFetch();
    if (this.#demand === undefined) return super.waitForTasks(options);
    const { courier, queueName, maxTasksPerIteration: perIteration } = this;
    const demands = [this.#demand];
    this.#prefetch ??= new Prefetch({
      courier,
      queueName,
      perIteration,
      isShared: true,
      demands,
      signal: options.signal,
    });
    return this.#prefetch.next();
  }

  override async returnTaskResults(results: readonly TaskAndResult<unknown, unknown>[]): Promise<void> {
    await super.returnTaskResults(results);
    const failed = results.filter(([, result]) => errorIn(result) !== undefined);
    if (failed.length > 0) await this.#onFailed(failed.map(([task]) => task));
  }

  override performTasks(tasks: readonly CourierTask[]): Promise<readonly unknown[]> {
    return this.#perform(tasks, (task) => this.contextOf(task));
  }
}
