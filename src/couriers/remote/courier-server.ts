/**
 * The part of a memory courier in the program that threads and children call. Its methods have the same names as those of
 * the courier. Errors that are data, and not the failure of a call, are sent encoded.
 */
import { decodeThrown, encodeThrown, type WireThrown } from '../../lanes/wire/error-codec.ts';
import { currentRun, currentTask } from '../../task/inside/context.ts';
import type { Task } from '../../task/record/task.ts';
import type {
  AddOptions,
  BulkAddOptions,
  CourierTask,
  FetchOptions,
  ReturnErrorOptions,
  TaskCommand,
  TaskUpdate,
  WaitOptions,
} from '../courier.ts';
import type { MemoryStore } from '../memory/memory-store.ts';
import type { ListOptions, QueueEvent } from '../queue-view.ts';
import { UpdateBuffer } from './update-buffer.ts';

/** Methods whose arguments and results need no encoding. */
const forwarded = [
  'getTaskResult',
  'checkForDone',
  'sendToTask',
  'redriveTasks',
  'removeDeadLetters',
  'getQueueInfo',
  'getQueueNames',
  'pauseQueue',
  'resumeQueue',
  'setLimits',
  'getTask',
  'bulkGetTasks',
  'returnTaskResult',
  'bulkReturnTaskResults',
  'extendLease',
  'bulkExtendLeases',
  'releaseTask',
  'keepWork',
  'sendToClient',
] as const;

/** How many events of a queue are kept for a slow reader. */
const mostEvents = 10_000;

export class CourierServer {
  readonly #store: MemoryStore;
  /** The updates for subscribed callers, by caller, queue and id. */
  readonly #buffers = new Map<string, Set<UpdateBuffer<TaskUpdate>>>();

  readonly close: () => Promise<void>;

  constructor(store: MemoryStore, close: () => Promise<void>) {
    this.#store = store;
    this.close = close;
    for (const name of forwarded) {
      const method = store[name] as (...args: unknown[]) => unknown;
      Object.defineProperty(this, name, { value: (...args: unknown[]) => method.apply(store, args) });
    }
  }

  addTaskToQueue(queue: string, data: unknown, options: AddOptions): Promise<string> {
    return this.#store.addTaskToQueue(queue, data, withSignal(options));
  }

  bulkAddTasksToQueue(queue: string, data: readonly unknown[], options: BulkAddOptions): Promise<string[]> {
    return this.#store.bulkAddTasksToQueue(queue, data, withSignal(options));
  }

  /** Resolves after the caller has read all updates of the task. */
  async waitForTaskResult(queue: string, id: string, options: WaitOptions): Promise<unknown> {
    try {
      return await this.#store.waitForTaskResult(queue, id, withSignal(options));
    } finally {
      for (const buffer of this.#buffers.get(bufferKey(queue, id)) ?? []) if (buffer.isEnded) await buffer.drained;
    }
  }

  async waitForTask(queue: string, options: WaitOptions & FetchOptions): Promise<CourierTask | undefined> {
    return (await this.bulkWaitForTasks(queue, 1, options))[0];
  }

  /** Releases tasks that came just as the wait was canceled. */
  async bulkWaitForTasks(queue: string, max: number, options: WaitOptions & FetchOptions): Promise<CourierTask[]> {
    const { signal } = currentTask();
    const tasks = await this.#store.bulkWaitForTasks(queue, max, { ...options, signal });
    if (!signal.aborted) return tasks;
    for (const task of tasks) await this.#store.releaseTask(queue, task);
    throw signal.reason;
  }

  cancelTask(queue: string, id: string, reason: WireThrown): Promise<boolean> {
    return this.#store.cancelTask(queue, id, decodeThrown(reason));
  }

  returnTaskError(queue: string, task: CourierTask, error: WireThrown, options?: ReturnErrorOptions): Promise<void> {
    return this.#store.returnTaskError(queue, task, decodeThrown(error), options);
  }

  async getDeadLetters(queue: string, options: { readonly offset?: number; readonly max?: number }): Promise<unknown> {
    const letters = await this.#store.getDeadLetters(queue, options);
    return letters.map((letter) => ({ ...letter, error: encodeThrown(letter.error) }));
  }

  async listTasks(queue: string, options: ListOptions): Promise<unknown> {
    const tasks = await this.#store.listTasks(queue, options);
    return tasks.map((task) => ('error' in task ? { ...task, error: encodeThrown(task.error) } : task));
  }

  async *subscribeToTask(queue: string, id: string): AsyncGenerator<readonly TaskUpdate[], void, undefined> {
    const { signal } = currentTask();
    const buffer = new UpdateBuffer<TaskUpdate>();
    const key = bufferKey(queue, id);
    const buffers = this.#buffers.get(key) ?? new Set();
    this.#buffers.set(key, buffers.add(buffer));
    try {
      const stop = await this.#store.subscribeToTask(queue, id, buffer.push, buffer.end);
      try {
        yield* buffer.batches(signal);
      } finally {
        stop();
      }
    } finally {
      buffers.delete(buffer);
      if (buffers.size === 0) this.#buffers.delete(key);
    }
  }

  /** Events for a reader that is too slow are dropped, and it is told so. */
  async *subscribe(queue: string): AsyncGenerator<readonly QueueEvent[], void, undefined> {
    const { signal } = currentTask();
    const buffer = new UpdateBuffer<QueueEvent>();
    let hasMissed = false;
    const stop = await this.#store.subscribe(queue, (event) => {
      if (buffer.size >= mostEvents) {
        hasMissed = true;
        return;
      }
      if (hasMissed) buffer.push({ kind: 'missed', queue, time: event.time });
      hasMissed = false;
      buffer.push(event);
    });
    try {
      yield* buffer.batches(signal);
    } finally {
      stop();
    }
  }

  async *subscribeToClient(queue: string, task: CourierTask): AsyncGenerator<readonly unknown[], void, undefined> {
    const { signal } = currentTask();
    const buffer = new UpdateBuffer<TaskCommand | { kind: 'cancel'; thrown: WireThrown }>();
    const listener = (command: TaskCommand) => {
      buffer.push(command.kind === 'cancel' ? { kind: 'cancel', thrown: encodeThrown(command.reason) } : command);
    };
    const stop = await this.#store.subscribeToClient(queue, task, listener, buffer.end);
    try {
      yield* buffer.batches(signal);
    } finally {
      stop();
    }
  }
}

/** The signal of this call aborts when that of the caller does. */
function withSignal<O extends object>(options: O): O & { readonly signal: AbortSignal } {
  return { ...options, signal: currentTask().signal };
}

function bufferKey(queue: string, id: string): string {
  return JSON.stringify([(currentRun()?.task as Task | undefined)?.parentId, queue, id]);
}
