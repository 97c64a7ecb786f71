/**
 * `currentTask()`: what a running task sees of itself, also after an `await`.
 * All copies of the package in a thread share one storage.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { TaskwardenError } from '../../base/errors.ts';
import type { TaskSubmitter } from '../call/task-options.ts';
import type { CarriedContext, ChildUpdate, TaskMessage } from './task-message.ts';

/** A running task, seen from inside. */
export interface TaskContext {
  /** For a courier's task, the id of that: it is the same wherever the task is delivered. */
  readonly id: string;
  /**
   * Unique to the task, and the same for all its attempts, also if a courier delivers it again to another machine. Use it
   * to recognize work that must not be done twice.
   */
  readonly idempotencyKey: string;
  readonly name: string;
  readonly args: readonly unknown[];
  /** The `context` of the background worker whose run this is; undefined for other tasks. */
  readonly context: unknown;
  /** 1 for the first run; higher for retries, and for repeated deliveries by a courier. */
  readonly attempt: number;
  /** Aborts when the task is asked to stop: canceled, out of time, or shut down. For code that awaits. */
  readonly signal: AbortSignal;
  /** Turns true at the same moment, also while a synchronous loop blocks the thread. For code that computes. */
  readonly stopped: boolean;
  /**
   * Reports how far the task is, from 0 to 1. At most about 50 reports are sent in a second; the last one always arrives
   * before the task ends.
   */
  progress(fraction: number, note?: string): void;
  /**
   * Sends data to the reader of `handle.messages()`. Resolves when there is room for more, so that a task that awaits it
   * does not outrun its reader; while nobody reads, all data is kept and nothing waits. Resolves with false if the task
   * has ended. Throws `MESSAGE_NOT_CLONEABLE`.
   */
  send(data: unknown): Promise<boolean>;
  /**
   * Receives what `handle.send()` sends, in order. Waits for the next message; resolves with undefined after `timeoutMs`,
   * or when the task is asked to stop and no message is left.
   */
  recv(options?: ReceiveOptions): Promise<unknown>;
  /**
   * The same for code that does not await, such as a busy loop. On the event loop nothing could arrive while it waits, so
   * there it throws `WOULD_BLOCK` if no message is there, unless `timeoutMs` is 0.
   */
  recvSync(options?: ReceiveOptions): unknown;
  /**
   * Does a part of the task once: calls `fn`, and keeps its result before it resolves with that. In a later attempt it
   * resolves with what was kept, and `fn` is not called. A worker that dies between the end of `fn` and that moment has kept
   * nothing, so what must not be done twice goes by `idempotencyKey`. What `fn` throws is passed on, and not kept.
   * The result is a copy, in the first attempt as in later ones: it has to be data that can be cloned. All that a task keeps
   * takes at most 1 MiB. It is kept where the task is: by the courier from which it came, or else in memory; until the task
   * has ended, and also for a redrive or `retryTask()` of one that did not complete.
   * Rejects with `DUPLICATE_STEP`, `RESULT_NOT_CLONEABLE`, `WORK_TOO_LARGE`, `NOT_IN_TASK` after the end of the task, or
   * `LEASE_LOST`.
   * @param name Unique in the task, of at most 200 characters.
   */
  step<T>(name: string, fn: () => T): Promise<Awaited<T>>;
  /**
   * Keeps how far the task is, for the next attempt, in place of the checkpoint before. Resolves when it is kept; rejects as
   * `step()` does.
   */
  checkpoint(data: unknown): Promise<void>;
  /** The last checkpoint, a copy at each read, of this attempt or of those before; undefined if there is none. */
  readonly checkpointed: unknown;
}

export interface ReceiveOptions {
  /** How long to wait; 0 does not wait. Default: Infinity. */
  readonly timeoutMs?: number;
}

/** What hears of commands to a run. */
export interface RunListener {
  /** Called at each request to stop. The signal aborts only once, but a stopped task may be canceled later. */
  onStop(reason: unknown): void;
  /** Only of a chunk: no further input is to begin. */
  onRecall?(): void;
}

/** A run, as the background tasks that its function calls see it. */
export interface RunningTask extends TaskContext {
  /** Only on the event loop: the task, and the default supervisor of the tasks that it calls. */
  readonly task?: unknown;
  readonly submitter?: TaskSubmitter | undefined;
  listener: RunListener | undefined;
  /** Sets its `context`, which was the first of its arguments. */
  takeContext(context: unknown): void;
  /**
   * Handles a message that has arrived, though the thread is busy; waits for one up to `timeoutMs`. Returns false if none
   * arrived. Throws where none can arrive while the thread is busy.
   */
  poll(timeoutMs: number): boolean;
  /** Captures the context for a task that it calls now. */
  captureContext?(): CarriedContext | undefined;
  /** Its function has ended. What its left-over code posts is ignored. */
  readonly hasEnded: boolean;
  /** Posts a message to the supervisor. Throws if it can't be cloned; then nothing was sent. */
  post(message: TaskMessage): void;
  /** Whether it has called a task with that id that has not ended. */
  hasChild(id: string): boolean;
  /** Calls back with each update of the task with that id, which it has called. */
  addChild(id: string, onUpdate: (update: ChildUpdate) => void): void;
}

const storageSymbol = Symbol.for('taskwarden.context');
const holder = globalThis as { [storageSymbol]?: AsyncLocalStorage<RunningTask> };
holder[storageSymbol] ??= new AsyncLocalStorage();
const storage: AsyncLocalStorage<RunningTask> = holder[storageSymbol];

/** The task in which this code runs. Throws `NOT_IN_TASK` outside of a task. */
export function currentTask(): TaskContext {
  const context = storage.getStore();
  if (context === undefined) {
    throw new TaskwardenError('NOT_IN_TASK', 'currentTask() works only inside a running task');
  }
  return context;
}

/** Calls something in the context of a task. */
export function runInTask<A extends unknown[], R>(context: RunningTask, call: (...args: A) => R, ...args: A): R {
  return storage.run(context, call, ...args);
}

/** Calls something outside of any task: tasks that it submits have no parent. */
export function outsideTask<R>(call: () => R): R {
  return storage.exit(call);
}

export function currentRun(): RunningTask | undefined {
  return storage.getStore();
}

export function isInTask(): boolean {
  return storage.getStore() !== undefined;
}
