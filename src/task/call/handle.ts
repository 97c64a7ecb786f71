/** TaskHandle: what a call of a background task returns, a native promise with the state of the task. */
import { checkOptions, oneOf, rules } from '../../base/options.ts';
import { Promise } from '../../platform/globals.ts';
import { type Priority, priorities } from '../../queue/priority.ts';
import type { Progress } from '../record/progress.ts';
import type { TaskInfo } from '../record/task-info.ts';
import type { TaskStatus } from '../record/task-status.ts';
import type { TaskType } from '../record/task-type.ts';

/** Resolves or rejects a handle. Only its task calls it. */
export let settleHandle: (handle: TaskHandle<unknown>, completed: boolean, outcome: unknown) => void;

/**
 * Calls back when the task has ended. It does not count as awaiting the handle, so a failure is still logged, and a
 * generator does not wait for a reader.
 */
export let onHandleEnd: (handle: PromiseLike<unknown>, callback: () => void) => void;

export interface SendOptions {
  /**
   * Resolve only when the task has received this with `recv()`, or with false if the task ended before. If its thread or
   * child dies at that moment, the task may have received it all the same. Default: false.
   */
  readonly untilTaken?: boolean;
}

const sendRules = { untilTaken: rules.boolean };

function untilTakenOf(options: SendOptions | undefined): boolean {
  if (options === undefined) return false;
  checkOptions(options, sendRules, 'send()');
  return options.untilTaken ?? false;
}

/** What a handle needs of its task. */
export interface HandledTask {
  readonly id: string;
  readonly name: string;
  readonly priority: Priority;
  readonly type: TaskType;
  readonly shownStatus: TaskStatus;
  readonly info: TaskInfo;
  readonly error: unknown;
  readonly isSettled: boolean;
  attach(handle: TaskHandle<unknown>): void;
  /** The handle is awaited from now on. */
  markAwaited(): void;
  /** A generator need not wait for a reader of its results. */
  release(): void;
  cancel(reason: unknown): boolean;
  setPriority(priority: Priority): boolean;
  stop(): void;
  send(data: unknown, untilTaken: boolean): Promise<boolean>;
  channelsForReader(): { readonly messages: AsyncIterable<unknown>; readonly results: AsyncIterable<unknown> };
  onProgress(listener: (progress: Progress) => void): void;
}

type Resolve = (value: unknown) => void;

// The executor runs inside super(), before `this` exists, so it passes `resolve` on through this variable.
let lastResolve: Resolve | undefined;
const keepResolve = (resolve: (value: never) => void): void => {
  lastResolve = resolve as Resolve;
};

/** Whether the library waits for a handle just now, which nobody is told of. */
let isOurWait = false;

function callAtEnd(handle: PromiseLike<unknown>, callback: () => void): void {
  isOurWait = true;
  Promise.prototype.then.call(handle, callback, callback);
  isOurWait = false;
}

/**
 * The promise of a task's result, with its state. A failure that nobody awaits is an event and a log line, never an
 * unhandled rejection.
 */
export class TaskHandle<T, Y = unknown> extends Promise<T> implements AsyncIterable<Y> {
  readonly #task: HandledTask;
  /** `resolve` until the handle is settled, then the result: one field for both, because there may be a million handles. */
  #outcome: unknown;

  static {
    // No private methods: for those, each handle would keep a field more.
    settleHandle = (handle, completed, outcome) => {
      const resolve = handle.#outcome as Resolve;
      if (completed) {
        handle.#outcome = outcome;
        resolve(outcome);
      } else {
        handle.#outcome = undefined;
        callAtEnd(handle, () => {}); // never an unhandled rejection
        resolve(Promise.reject(outcome));
      }
    };
    onHandleEnd = (handle, callback) => {
      if (!(#task in handle)) {
        void handle.then(callback, callback); // of another copy of the package
        return;
      }
      handle.#task.release();
      callAtEnd(handle, callback);
    };
    // `await`, `then` and Promise.all all read `constructor` (https://tc39.es/ecma262/#sec-promise-resolve). They get
    // Promise, so nothing wraps or copies the handle, and the read tells the task that it is awaited.
    Object.defineProperty(TaskHandle.prototype, 'constructor', {
      get(this: object) {
        if (#task in this && !isOurWait) this.#task.markAwaited();
        return Promise;
      },
    });
  }

  /** @internal Handles come from background tasks and supervisors. */
  constructor(task: HandledTask) {
    super(keepResolve);
    this.#task = task;
    this.#outcome = lastResolve;
    lastResolve = undefined; // otherwise it would keep the last task and its supervisor in memory
    task.attach(this as unknown as TaskHandle<unknown>);
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
    return this.#task.shownStatus;
  }

  /** A frozen snapshot of its present state. */
  get info(): TaskInfo {
    return this.#task.info;
  }

  /** Whether it has ended, in whatever way. */
  get done(): boolean {
    return this.#task.isSettled;
  }

  /** The result, once it has completed. */
  get result(): T | undefined {
    return this.#task.shownStatus === 'completed' ? (this.#outcome as T) : undefined;
  }

  /** What it rejected with, once it has failed or was canceled. */
  get exception(): unknown {
    return this.#task.error;
  }

  /**
   * Ends the task. A waiting task is removed at once and never runs. A running task is asked to stop
   * (`currentTask().stopped` and `.signal`); if it has not stopped after `stopGraceMs`, its thread or child is ended. The
   * handle rejects when the task has stopped. On the event loop a function can't be ended: after the grace the handle
   * rejects, and the function runs on unobserved. The handle rejects with `TASK_CANCELED`, whose `cause` is the reason.
   * A second call changes nothing.
   * @returns false if the task had ended already.
   */
  cancel(reason?: unknown): boolean {
    return this.#task.cancel(reason);
  }

  /**
   * Changes the priority of a task that waits: it goes behind those that wait with the new priority now.
   * @returns false if it has begun, or ended. In a thread or child, where that may not be known yet, possibly true.
   */
  setPriority(priority: Priority): boolean {
    oneOf(priorities)(priority, 'the priority of setPriority()');
    return this.#task.setPriority(priority);
  }

  /**
   * Asks the task to finish: `currentTask().stopped` turns true, its `signal` aborts, and `recv()` no longer waits. What
   * it then returns is its result. A waiting task is asked when it begins. Resolves when the task has ended in any way.
   */
  async stop(): Promise<void> {
    this.#task.stop();
    try {
      await this;
    } catch {
      // the error is in `exception`
    }
  }

  /**
   * Sends data to the task, which receives it with `currentTask().recv()`; a waiting task receives it after it has begun.
   * Resolves when there is room for more, so that a sender who awaits it does not outrun the task; or with false if the
   * task ended without taking it. Rejects with `MESSAGE_NOT_CLONEABLE`. The next attempt receives what the previous one
   * has not taken.
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
   * Yields what the task sends with `currentTask().send()`, from the first unread message until the task has ended. Each
   * message goes to one reader. Unread messages are kept as long as the handle.
   */
  async *messages<M = unknown>(): AsyncGenerator<M, void, undefined> {
    yield* this.#task.channelsForReader().messages as AsyncIterable<M>;
  }

  /**
   * Yields what a generator task yields, as it arrives; the task runs at most 64 values ahead of its reader. Throws the
   * error with which the task fails. Leaving the loop cancels the task.
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

  /** Calls the listener with each progress report of the task, until the task ends. */
  onProgress(listener: (progress: Progress) => void): this {
    this.#task.onProgress(listener);
    return this;
  }
}
