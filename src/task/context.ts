/**
 * What a task sees of itself while it runs: `currentTask()`, which follows `await`.
 * The storage is one for all copies of the package in a thread.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { TaskwardenError } from '../errors.ts';
import { rules } from '../options.ts';

/** How far a task has come. */
export interface Progress {
  /** From 0 to 1. */
  readonly fraction: number;
  readonly note?: string;
}

/** A running task, seen from inside. */
export interface TaskContext {
  readonly id: string;
  readonly name: string;
  readonly args: readonly unknown[];
  /** 1 for the first run; more for retries. */
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
}

const storageSymbol = Symbol.for('taskwarden.context');
const holder = globalThis as { [storageSymbol]?: AsyncLocalStorage<TaskContext> };
holder[storageSymbol] ??= new AsyncLocalStorage();
const storage: AsyncLocalStorage<TaskContext> = holder[storageSymbol];

/** The task that this code runs in. Throws `NOT_IN_TASK` outside of one. */
export function currentTask(): TaskContext {
  const context = storage.getStore();
  if (context === undefined) {
    throw new TaskwardenError('NOT_IN_TASK', 'currentTask() works inside a running task, and this code is in none');
  }
  return context;
}

export function isInTask(): boolean {
  return storage.getStore() !== undefined;
}

/** What a lane knows of a task that it runs, enough to make its context. */
export interface RunningTask {
  readonly id: string;
  readonly name: string;
  readonly args: readonly unknown[];
  readonly attempt: number;
  isStopRequested(): boolean;
  report(progress: Progress): void;
}

const progressEveryMs = 20;

/** The context of one run of one task, and the lane's side of it. */
export class Run implements TaskContext {
  readonly #task: RunningTask;
  #abort: AbortController | undefined;
  #reason: unknown;
  #reportedAt = -Infinity;
  #unreported: Progress | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  #wasStopped = false;

  constructor(task: RunningTask) {
    this.#task = task;
  }

  get id(): string {
    return this.#task.id;
  }

  get name(): string {
    return this.#task.name;
  }

  get args(): readonly unknown[] {
    return this.#task.args;
  }

  get attempt(): number {
    return this.#task.attempt;
  }

  get stopped(): boolean {
    return this.#ended ? this.#wasStopped : this.#task.isStopRequested();
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.stopped) this.#abort.abort(this.#reason ?? new TaskwardenError('TASK_CANCELED', 'asked to stop'));
    return this.#abort.signal;
  }

  progress(fraction: number, note?: string): void {
    rules.fraction(fraction, 'the fraction of progress()');
    if (note !== undefined) rules.text(note, 'the note of progress()');
    if (this.#ended) return;
    this.#unreported = note === undefined ? { fraction } : { fraction, note };
    const sinceMs = performance.now() - this.#reportedAt;
    if (sinceMs >= progressEveryMs) this.#report();
    else this.#timer ??= setTimeout(() => this.#report(), progressEveryMs - sinceMs).unref();
  }

  #report(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#unreported === undefined) return;
    this.#reportedAt = performance.now();
    this.#task.report(this.#unreported);
    this.#unreported = undefined;
  }

  /** Calls the function in this context; what it gives may be a promise. */
  call(fn: (...args: never[]) => unknown, receiver: unknown): unknown {
    return storage.run(this, Reflect.apply, fn, receiver, this.#task.args);
  }

  /** The task was asked to stop; its stop flag is up already. */
  stop(reason: unknown): void {
    this.#reason = reason;
    this.#abort?.abort(reason);
  }

  /** The function has ended: says what progress was not said yet. */
  end(): void {
    this.#wasStopped = this.stopped; // what is left of it must not read the flag of the next task
    this.#ended = true;
    this.#report();
  }
}
