/**
 * BackgroundQueueWorker: runs for each item that is put into its queue, or for a batch of them. The queue is a courier's:
 * an item whose run did not end, because the worker or its supervisor was stopped, goes back to it.
 */
import { BaseWorker } from '../couriers/base-worker.ts';
import type { AddOptions, ClientWorkerTaskCourier, CourierTask } from '../couriers/courier.ts';
import { MemoryTaskCourier } from '../couriers/memory-courier.ts';
import type { Rule } from '../options.ts';
import { currentTask } from '../task/context.ts';
import { isHost } from '../task/inert.ts';
import { type AnyArgs, BackgroundWorker } from './background-worker.ts';
import { type QueueOptions, type QueueWorkerOptions, queueRule } from './worker-options.ts';

/** How long a queue of its own keeps what runs gave, in milliseconds; and how many items whose runs failed. */
const resultTtlMs = 60_000;
const maxDeadLetters = 1_000;

// biome-ignore lint/suspicious/noExplicitAny: a worker that is not told what its items are takes all.
export class BackgroundQueueWorker<I = any, A extends unknown[] = AnyArgs> extends BackgroundWorker<A> {
  /** Carries its items. */
  readonly courier: ClientWorkerTaskCourier;
  readonly queueName: string;
  readonly #queue: QueueOptions;
  #feed: QueueFeed | undefined;
  /** Items of a queue of its own that have not been run. */
  #pending = 0;
  #drained = () => {};

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
   * result can be waited for with `courier.waitForTaskResult(queueName, id)`.
   */
  async put(item: I, options: AddOptions = {}): Promise<string> {
    if (isHost()) {
      const { signal, ...rest } = options;
      return this.askProgram('putFor', [item, rest], { waits: true, signal }) as Promise<string>;
    }
    const id = await this.courier.addTaskToQueue(this.queueName, item, { wait: true, ...options });
    this.#pending += 1;
    return id;
  }

  /** @internal For a task in a thread or child. */
  putFor(item: I, options: AddOptions): Promise<string> {
    return this.put(item, { ...options, signal: currentTask().signal });
  }

  protected override async work(signal: AbortSignal): Promise<void> {
    const { batchSize = 1, concurrency = 1 } = this.#queue;
    this.#feed = new QueueFeed({
      courier: this.courier,
      queueName: this.queueName,
      maxTasksPerIteration: batchSize,
      maxSimultaneousTasks: batchSize * concurrency,
      onError: (error) => void this.onError(error),
      perform: (tasks, release) => this.#perform(tasks, release, signal),
    });
    await this.#feed.perform({ signal });
  }

  async #perform(
    tasks: readonly CourierTask[],
    release: (task: CourierTask) => Promise<void>,
    signal: AbortSignal,
  ): Promise<readonly unknown[]> {
    const items = tasks.map(({ data }) => data);
    const outcome = await this.tryRun(signal, this.#queue.batchSize === undefined ? items[0] : items);
    if ('error' in outcome && outcome.wasEnded) {
      await Promise.all(tasks.map(release));
      return [];
    }
    this.#pending -= tasks.length;
    if (this.#pending <= 0) this.#drained();
    if ('error' in outcome) throw outcome.error;
    const { value } = outcome;
    const hasOneEach = this.#queue.batchSize !== undefined && Array.isArray(value) && value.length === tasks.length;
    return hasOneEach ? value : tasks.map(() => value);
  }

  /** What waits in a queue of its own would be lost with the program: it is done first. */
  protected override finishUp(): unknown {
    if (this.#queue.courier !== undefined || this.#pending <= 0) return undefined;
    return new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
  }
}

interface FeedOptions {
  readonly courier: ClientWorkerTaskCourier;
  readonly queueName: string;
  readonly maxTasksPerIteration: number;
  readonly maxSimultaneousTasks: number;
  readonly onError: (error: unknown) => void;
  readonly perform: (
    tasks: readonly CourierTask[],
    release: (task: CourierTask) => Promise<void>,
  ) => Promise<readonly unknown[]>;
}

/** The courier's side of it. */
class QueueFeed extends BaseWorker {
  readonly #perform: FeedOptions['perform'];

  constructor({ perform, ...options }: FeedOptions) {
    super(options);
    this.#perform = perform;
  }

  override performTasks(tasks: readonly CourierTask[]): Promise<readonly unknown[]> {
    return this.#perform(tasks, (task) => this.contextOf(task).release());
  }
}
