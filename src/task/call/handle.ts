/** TaskHandle: what a caller holds of a task, a native promise with extras. */
import { checkOptions, rules } from '../../base/options.ts';
import { Promise } from '../../platform/globals.ts';
import type { Priority } from '../../queue/priority.ts';
import type { Progress } from '../record/progress.ts';
import type { TaskInfo } from '../record/task-info.ts';
import type { TaskStatus } from '../record/task-status.ts';
import type { TaskType } from '../record/task-type.ts';

/** For the task alone: resolves the handle, or rejects it. */
export let settleHandle: (handle: TaskHandle<unknown>, completed: boolean, outcome: unknown) => void;

/**
 * Calls back when the task has ended. That counts as nobody who awaits it: a failure is still told in a log line, and a
 * generator waits for no reader.
 */
export let onHandleEnd: (handle: PromiseLike<unknown>, ended: () => void) => void;

export interface SendOptions {
  /**
   * Resolve only when the task has received this with `recv()`: with false if it ended without. If its thread or child
   * dies at that moment, it may have received it all the same. Default: false.
   */
  readonly untilTaken?: boolean;
}

const sendRules = { untilTaken: rules.boolean };

function untilTakenOf(options: SendOptions | undefined): boolean {
  if (options === undefined) return false;
  checkOptions(options, sendRules, 'send()');
  return options.untilTaken ?? false;
}

/** What a handle asks of its task. */
interface HandledTask {
  readonly id: string;
  readonly name: string;
  readonly priority: Priority;
  readonly type: TaskType;
  readonly status: TaskStatus;
  readonly info: TaskInfo;
  readonly error: unknown;
  readonly isSettled: boolean;
  /** Whether somebody waits for its end. */
  isAwaited: boolean;
  attach(handle: TaskHandle<unknown>): void;
  /** Somebody waits for its end from now on. */
  markAwaited(): void;
  release(): void;
  cancel(reason: unknown): boolean;
  stop(): void;
  send(data: unknown, untilTaken: boolean): Promise<boolean>;
  channelsForReader(): { readonly messages: AsyncIterable<unknown>; readonly results: AsyncIterable<unknown> };
  onProgress(listener: (progress: Progress) => void): void;
}

type Resolve = (value: unknown) => void;

// The executor is called before a handle can be told from another, so it leaves what it was given here for a moment.
let lastResolve: Resolve | undefined;
const keepResolve = (resolve: (value: never) => void): void => {
  lastResolve = resolve as Resolve;
};

/**
 * The promise of a task's result, with its state. A failure that nobody awaits is an event and a log line, never an
 * unhandled rejection.
 */
export class TaskHandle<T, Y = unknown> extends Promise<T> implements AsyncIterable<Y> {
  readonly #task: HandledTask;
  /** What resolves it; once it is settled, the result. One of the two is enough, and there may be a million handles. */
  #outcome: unknown;

  static {
    settleHandle = (handle, completed, outcome) => handle.#settle(completed, outcome);
    onHandleEnd = (handle, ended) => {
      if (!(#task in handle)) {
        void handle.then(ended, ended); // of another copy of the package
        return;
      }
      handle.#task.release();
      handle.#onEnd(ended);
    };
    // `await`, `then` and Promise.all all read `constructor`: they find Promise, so that nothing wraps the handle or
    // makes another one of it (https://tc39.es/ecma262/#sec-promise-resolve), and the task learns that it is awaited.
    Object.defineProperty(TaskHandle.prototype, 'constructor', {
      get(this: object) {
        if (#task in this) this.#task.markAwaited();
        return Promise;
      },
    });
  }

  /** @internal Handles come from background tasks and supervisors. */
  constructor(task: HandledTask) {
    super(keepResolve);
    this.#task = task;
    this.#outcome = lastResolve;
    lastResolve = undefined; // it would keep the last task, and its supervisor, in memory
    task.attach(this as unknown as TaskHandle<unknown>);
  }

  #settle(completed: boolean, outcome: unknown): void {
    const resolve = this.#outcome as Resolve;
    if (completed) {
      this.#outcome = outcome;
      resolve(outcome);
    } else {
      this.#outcome = undefined;
      this.#onEnd(() => {}); // never an unhandled rejection
      resolve(Promise.reject(outcome));
    }
  }

  #onEnd(ended: () => void): void {
    const { isAwaited } = this.#task;
    super.then(ended, ended);
    this.#task.isAwaited = isAwaited;
  }

  get id(): string {
    return this.#task.id;
  }

  get name(): string {
    return this.#task.name;
  }

  get priority(): Priority {
    return this.#task.priority;
  }

  get type(): TaskType {
    return this.#task.type;
  }

  get status(): TaskStatus {
    return this.#task.status;
  }

  /** A snapshot. */
  get info(): TaskInfo {
    return this.#task.info;
  }

  /** Whether it has ended, in whatever way. */
  get done(): boolean {
    return this.#task.isSettled;
  }

  /** The result, once it has completed. */
  get result(): T | undefined {
    return this.#task.status === 'completed' ? (this.#outcome as T) : undefined;
  }

  /** What it rejected with, once it has failed or was canceled. */
  get exception(): unknown {
    return this.#task.error;
  }

  /**
   * Ends the task. One that waits is gone at once and never runs. One that runs is asked to stop (`currentTask().stopped`
   * and `.signal`), and its thread is ended if it has not stopped after `stopGraceMs`; only then does the handle reject.
   * On the event loop a function can't be ended: after the grace the handle rejects, and the function runs on unseen.
   * The handle rejects with `TASK_CANCELED`, its `cause` the reason. A second call changes nothing.
   * @returns false if the task had ended already.
   */
  cancel(reason?: unknown): boolean {
    return this.#task.cancel(reason);
  }

  /**
   * Asks the task to finish: `currentTask().stopped` turns true, its `signal` aborts, and `recv()` waits no more. What it
   * then returns is its result. A task that waits is asked when it begins. Resolves when the task has ended, however.
   */
  async stop(): Promise<void> {
    this.#task.stop();
    try {
      await this;
    } catch {
      // it is in `exception`
    }
  }

  /**
   * Sends something to the task, which gets it from `currentTask().recv()`; one that waits gets it when it has begun.
   * Resolves when there is room for more, so that a sender who awaits it does not outrun the task; or with false, if the
   * task ended without taking it. Rejects with `MESSAGE_NOT_CLONEABLE`. Another attempt gets what the one before has not taken.
   */
  send(data: unknown, options?: SendOptions): Promise<boolean> {
    const untilTaken = untilTakenOf(options);
    try {
      return this.#task.send(data, untilTaken);
    } catch (problem) {
      return Promise.reject(problem);
    }
  }

  /**
   * What the task sends with `currentTask().send()`, from the first that was not read, until it has ended. Each message
   * goes to one reader; what nobody reads is kept as long as the handle.
   */
  async *messages<M = unknown>(): AsyncGenerator<M, void, undefined> {
    yield* this.#task.channelsForReader().messages as AsyncIterable<M>;
  }

  /**
   * What a generator task yields, as it comes; it runs no more than some values ahead of its reader. Throws what the task
   * fails with. A loop that is left cancels the task.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Y, void, undefined> {
    try {
      yield* this.#task.channelsForReader().results as AsyncIterable<Y>;
      await this;
    } finally {
      if (!this.done) {
        this.cancel('the loop over its results was left');
        await this.stop();
      }
    }
  }

  /** Calls the listener with each report of the task's progress, until it ends. */
  onProgress(listener: (progress: Progress) => void): this {
    this.#task.onProgress(listener);
    return this;
  }
}
