/**
 * What a task sees of itself while it runs: `currentTask()`, which follows `await`.
 * The storage is one for all copies of the package in a thread.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { TaskwardenError } from '../../base/errors.ts';
import type { TaskSubmitter } from '../call/task-options.ts';
import type { CarriedContext, ChildUpdate, TaskMessage } from './task-message.ts';

/** A running task, seen from inside. */
export interface TaskContext {
  /** Of a task that came through a courier, that of the courier's task: the same wherever it is delivered. */
  readonly id: string;
  /**
   * The same for all attempts of a task, also if a courier delivers it again, to another machine; and no other's. What is
   * not to be done twice can be known by it.
   */
  readonly idempotencyKey: string;
  readonly name: string;
  readonly args: readonly unknown[];
  /** What the background worker whose run this is was given as `context`; else undefined. */
  readonly context: unknown;
  /** 1 for the first run; more for retries, and for those deliveries of a courier that come after the first. */
  readonly attempt: number;
  /** Aborts when the task is asked to stop: canceled, out of time, or shut down. For code that awaits. */
  readonly signal: AbortSignal;
  /** Turns true at the same moment, also while a synchronous loop keeps the thread busy. For code that computes. */
  readonly stopped: boolean;
  /**
   * Reports how far the task is, from 0 to 1. Reports are joined to about 50 a second; the last one always arrives,
   * before the task ends.
   */
  progress(fraction: number, note?: string): void;
  /**
   * Sends something to whoever reads `handle.messages()`. Resolves when there is room for more, so that a task that
   * awaits it does not outrun its reader; while nobody reads, all is kept and nothing waits. Resolves with false if the
   * task has ended. Throws `MESSAGE_NOT_CLONEABLE`.
   */
  send(data: unknown): Promise<boolean>;
  /**
   * What `handle.send()` has sent, in order. Waits for it; undefined when `timeoutMs` is over, or when nothing is left
   * and the task is asked to stop.
   */
  recv(options?: ReceiveOptions): Promise<unknown>;
  /**
   * The same for code that does not await, such as a busy loop. On the event loop it never waits, since nothing could
   * come: if nothing is there it throws `WOULD_BLOCK`, unless `timeoutMs` is 0.
   */
  recvSync(options?: ReceiveOptions): unknown;
}

export interface ReceiveOptions {
  /** How long to wait. 0: not at all. Default: Infinity. */
  readonly timeoutMs?: number;
}

/** What a run offers to the background tasks that its function calls. */
export interface RunningTask extends TaskContext {
  /** On the event loop: the task, and where such tasks go, unless they say otherwise. */
  readonly task?: unknown;
  readonly submitter?: TaskSubmitter | undefined;
  /** Hears why it is to end, each time: the signal says it once, and a task that was to finish may be canceled then. */
  onStop: ((reason: unknown) => void) | undefined;
  /** Takes the first of its arguments as its `context`. */
  takeContext(context: unknown): void;
  /** What of its context goes along with a task that it calls now. */
  captureContext?(): CarriedContext | undefined;
  /** Its function has ended, and what is left of it is heard no more. */
  readonly hasEnded: boolean;
  /** Elsewhere: throws if the word can't cross; then nothing was said. */
  post(word: TaskMessage): void;
  /** Whether it has called a task of that id that has not ended. */
  hasChild(id: string): boolean;
  /** Calls back with what becomes of the task of that id. */
  addChild(id: string, onUpdate: (update: ChildUpdate) => void): void;
}

const storageSymbol = Symbol.for('taskwarden.context');
const holder = globalThis as { [storageSymbol]?: AsyncLocalStorage<RunningTask> };
holder[storageSymbol] ??= new AsyncLocalStorage();
const storage: AsyncLocalStorage<RunningTask> = holder[storageSymbol];

/** The task that this code runs in. Throws `NOT_IN_TASK` outside of one. */
export function currentTask(): TaskContext {
  const context = storage.getStore();
  if (context === undefined) {
    throw new TaskwardenError('NOT_IN_TASK', 'currentTask() works inside a running task, and this code is in none');
  }
  return context;
}

/** Calls something in the context of a task. */
export function runInTask<A extends unknown[], R>(context: RunningTask, call: (...args: A) => R, ...args: A): R {
  return storage.run(context, call, ...args);
}

/** Calls something as if no task ran: what it begins is nobody's child. */
export function outsideTask<R>(call: () => R): R {
  return storage.exit(call);
}

export function currentRun(): RunningTask | undefined {
  return storage.getStore();
}

export function isInTask(): boolean {
  return storage.getStore() !== undefined;
}
