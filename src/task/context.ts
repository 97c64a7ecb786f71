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

const progressEveryMs = 20;

/** The context of one run of one task. What its lane knows of the task, the lane adds. */
export abstract class Run implements TaskContext {
  abstract readonly id: string;
  abstract readonly name: string;
  abstract readonly attempt: number;
  readonly args: readonly unknown[];
  #abort: AbortController | undefined = undefined;
  #reason: unknown = undefined;
  #progress: { reportedAt: number; unreported?: Progress | undefined; timer?: NodeJS.Timeout | undefined } | undefined =
    undefined;
  #ended = false;
  #wasStopped = false;

  constructor(args: readonly unknown[]) {
    this.args = args;
  }

  protected abstract isStopRequested(): boolean;
  protected abstract report(progress: Progress): void;

  get stopped(): boolean {
    return this.#ended ? this.#wasStopped : this.isStopRequested();
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
    this.#progress ??= { reportedAt: -Infinity };
    this.#progress.unreported = note === undefined ? { fraction } : { fraction, note };
    const sinceMs = performance.now() - this.#progress.reportedAt;
    if (sinceMs >= progressEveryMs) this.#report();
    else this.#progress.timer ??= setTimeout(() => this.#report(), progressEveryMs - sinceMs).unref();
  }

  #report(): void {
    if (this.#progress === undefined) return;
    const { timer, unreported } = this.#progress;
    clearTimeout(timer);
    this.#progress.timer = undefined;
    if (unreported === undefined) return;
    this.#progress.reportedAt = performance.now();
    this.#progress.unreported = undefined;
    this.report(unreported);
  }

  /** Calls the function in this context; what it gives may be a promise. */
  call(fn: (...args: never[]) => unknown, receiver: unknown): unknown {
    return storage.run(this, Reflect.apply, fn, receiver, this.args);
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
