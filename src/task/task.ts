/**
 * One submitted task: its state, its times, its timers, and how it ended. It settles once, by the first cause.
 *
 *   delayed ──▶ queued ──▶ started ──▶ completed | failed | canceled
 *      ▲          ▲          │
 *      │          └──────────┤  its thread died before it began
 *      └─────────────────────┘  it is tried again
 *
 * One that is delayed or queued may become failed (refused, expired) or canceled, too.
 * It knows no queue, no lane and no supervisor; whoever holds it moves it on.
 */
import { AsyncResource } from 'node:async_hooks';
import { callSafely } from '../call-safely.ts';
import { Timer } from '../clock.ts';
import type { Priority } from '../scheduling/priority-pool.ts';
import type { Progress } from './context.ts';
import type { Definition } from './definition.ts';
import { settleHandle, type TaskHandle } from './handle.ts';
import { isInert, noteInertWait } from './inert.ts';
import type { EndReason, TaskInfo, TaskStatus } from './info.ts';
import { onAbort } from './on-abort.ts';
import type { ResolvedTaskOptions, TaskType } from './task-options.ts';

/** What asked a running task to end before its function did. */
export interface Ending {
  readonly reason: EndReason;
  readonly error: unknown;
}

/** Gives a task its id, and can find it by that from then on. */
export interface TaskNaming {
  nameTask(task: Task): string;
}

const next: Readonly<Record<TaskStatus, readonly TaskStatus[]>> = {
  delayed: ['queued', 'failed', 'canceled'],
  queued: ['started', 'failed', 'canceled'],
  started: ['delayed', 'queued', 'completed', 'failed', 'canceled'],
  completed: [],
  failed: [],
  canceled: [],
};

export class Task {
  readonly definition: Definition;
  readonly options: ResolvedTaskOptions;
  args: readonly unknown[];
  readonly sequence: number;

  status: TaskStatus = 'delayed';
  attempt = 0;
  timeQueued: number = Date.now();
  timeStarted: number | undefined;
  timeFinished: number | undefined;
  runMs: number | undefined;
  threadId: number | undefined;
  progress: Progress | undefined;
  error: unknown;
  endReason: EndReason | undefined;

  /** Decided, but not yet over: the first cause to end the task that runs. */
  ending: Ending | undefined;
  /** A slot was taken for it, and has not been given back. */
  hasSlot = false;
  /** Somebody waits, or waited, for the handle. */
  awaited = false;
  /** It is not to be found by its id any more. */
  isForgotten = false;
  crashes = 0;
  /** Which warnings about waiting were given, a bit for each. */
  warnings = 0;
  /** When it entered the queue, on the clock of `performance.now()`. */
  queuedAt: number = performance.now();
  /** Links of the queue it waits in. */
  next: Task | undefined;
  previous: Task | undefined;

  #waitMs: number | undefined;
  readonly #naming: TaskNaming;
  readonly #scope: AsyncResource | undefined;
  #id: string | undefined;
  /** Holds the result, so that a task that is kept for its TaskInfo does not. */
  #handle: TaskHandle<unknown> | undefined;
  #timer: Timer | undefined;
  #unlisten: (() => void) | undefined;
  #progressListeners: ((progress: Progress) => void)[] | undefined;

  constructor(
    definition: Definition,
    options: ResolvedTaskOptions,
    args: readonly unknown[],
    sequence: number,
    naming: TaskNaming,
  ) {
    this.definition = definition;
    this.options = options;
    this.args = args;
    this.sequence = sequence;
    this.#naming = naming;
    // What is called here, and not in a thread, sees the AsyncLocalStorage of who submitted it, not of who freed a slot.
    if (options.type === 'loop' || options.callback !== undefined) this.#scope = new AsyncResource('taskwarden.Task');
  }

  /** Made when it is first asked for. */
  get id(): string {
    this.#id ??= this.#naming.nameTask(this);
    return this.#id;
  }

  /** Whether somebody has asked for its id. */
  get isNamed(): boolean {
    return this.#id !== undefined;
  }

  get name(): string {
    return this.options.name ?? this.definition.name;
  }

  get priority(): Priority {
    return this.options.priority;
  }

  get type(): TaskType {
    return this.options.type;
  }

  get isSettled(): boolean {
    return this.endReason !== undefined;
  }

  attach(handle: TaskHandle<unknown>): void {
    this.#handle = handle;
  }

  /** The one way its status changes. */
  #become(status: TaskStatus, from: TaskStatus = this.status): void {
    if (this.status !== from || !next[from].includes(status)) {
      throw new Error(`task ${this.id} can't go from ${this.status} to ${status}`);
    }
    this.status = status;
  }

  enqueue(): void {
    this.#become('queued', 'delayed');
    this.queuedAt = performance.now();
    this.#waitMs = undefined;
    this.warnings = 0;
  }

  start(threadId: number | undefined): void {
    this.#become('started');
    this.attempt += 1;
    this.timeStarted = Date.now();
    this.#waitMs = performance.now() - this.queuedAt;
    this.runMs = undefined;
    this.threadId = threadId;
  }

  /** Its thread died before the function began: this was no attempt, and it waits as before. */
  putBack(): void {
    if (this.status === 'queued') return;
    this.#become('queued', 'started');
    this.attempt -= 1;
    this.threadId = undefined;
    this.timeStarted = undefined;
    this.#waitMs = undefined;
  }

  /** Back to wait for its next attempt. */
  retry(): void {
    this.#become('delayed');
    this.ending = undefined;
    this.progress = undefined;
  }

  /** False, and nothing changes, if it was settled before. */
  settle(endReason: EndReason, outcome: unknown): boolean {
    if (this.isSettled) return false;
    const completed = endReason === 'completed';
    this.#become(
      completed ? 'completed' : endReason === 'canceled' || endReason === 'shutdown' ? 'canceled' : 'failed',
    );
    this.endReason = endReason;
    this.timeFinished = Date.now();
    this.#waitMs ??= performance.now() - this.queuedAt;
    this.stopTimer();
    this.#unlisten?.();
    this.args = [];
    if (!completed) this.error = outcome;
    if (this.#handle !== undefined) settleHandle(this.#handle, completed, outcome);
    this.#handle = undefined;
    this.#unlisten = undefined;
    this.#progressListeners = undefined;
    return true;
  }

  /** How long it has waited, or waited for its last start. */
  get waitMs(): number {
    return this.#waitMs ?? performance.now() - this.queuedAt;
  }

  /** Calls something in the asynchronous context of whoever submitted the task, if it was kept. */
  runInScope<R>(call: () => R): R {
    return this.#scope === undefined ? call() : this.#scope.runInAsyncScope(call);
  }

  /** The one timer of its present state: its delay, its time in the queue, its run time or its grace. */
  setTimer(delayMs: number, fire: () => void): void {
    this.#timer?.cancel();
    this.#timer = new Timer(delayMs, fire);
  }

  stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Until it settles, calls back when the signal of its options aborts. */
  listen(signal: AbortSignal, abort: () => void): void {
    this.#unlisten = onAbort(signal, abort);
  }

  observe(): void {
    this.awaited = true;
    if (isInert()) noteInertWait();
  }

  onProgress(listener: (progress: Progress) => void): void {
    if (this.isSettled) return;
    this.#progressListeners ??= [];
    this.#progressListeners.push(listener);
  }

  /** Calls the listeners; `onProblem` hears what they throw, or reject with. */
  report(progress: Progress, onProblem: (problem: unknown) => void): void {
    this.progress = Object.freeze(progress);
    for (const listener of this.#progressListeners ?? []) callSafely(listener, this.progress, onProblem);
  }

  /** How long the attempt has run that runs now. */
  get runningMs(): number | undefined {
    return this.status === 'started' ? Date.now() - (this.timeStarted ?? 0) : undefined;
  }

  get info(): TaskInfo {
    return Object.freeze({
      id: this.id,
      name: this.name,
      type: this.type,
      priority: this.priority,
      status: this.status,
      attempt: this.attempt,
      timeQueued: this.timeQueued,
      timeStarted: this.timeStarted,
      timeFinished: this.timeFinished,
      waitMs: this.waitMs,
      runMs: this.runMs ?? this.runningMs,
      threadId: this.threadId,
      progress: this.progress,
      error: this.error,
      endReason: this.endReason,
    });
  }
}
