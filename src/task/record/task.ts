/**
 * One submitted task: its status, its times, its timers, and how it ended. It settles once, by the first cause.
 * It knows no queue, no lane and no supervisor; whoever holds it moves it on.
 */
import { AsyncResource } from 'node:async_hooks';
import { callSafely } from '../../base/call-safely.ts';
import { type Moment, now, Timer, thisMoment } from '../../platform/clock.ts';
import { onAbort } from '../../platform/on-abort.ts';
import type { Bulkhead } from '../../queue/bulkhead.ts';
import { Call } from '../call/call.ts';
import { settleHandle, type TaskHandle } from '../call/handle.ts';
import type { TaskSpec, TaskSubmitter } from '../call/task-options.ts';
import { isLoadingModule, noteModuleWait } from '../definition/load-phase.ts';
import type { CarriedContext } from '../inside/task-message.ts';
import { AttemptRecord } from './attempt-record.ts';
import type { Progress } from './progress.ts';
import { copyMessage, TaskChannels } from './task-channels.ts';
import { type EndReason, infoOf, type TaskInfo } from './task-info.ts';
import type { TaskOwner } from './task-owner.ts';
import { canBecome, type TaskStatus } from './task-status.ts';

/** What asked a running task to end before its function did. */
export interface EndRequest {
  readonly reason: EndReason;
  readonly error: unknown;
  /** When it was decided, on the clock of `now()`. */
  readonly at?: number;
  /** Only if the task does not begin before it can be withdrawn. */
  readonly isTentative?: boolean;
}

const noArgs: readonly unknown[] = Object.freeze([]);

/** What few tasks have. */
interface Extras {
  id?: string;
  /** When it began to wait, if that was not when it was submitted. */
  queued?: Moment;
  /** How long it waited, if it ended while it did. */
  waitMs?: number;
  error?: unknown;
  ending?: EndRequest | undefined;
  progress?: Progress | undefined;
  crashes?: number;
  timer?: Timer | undefined;
  unlisten?: (() => void) | undefined;
  progressListeners?: ((progress: Progress) => void)[] | undefined;
  scope?: AsyncResource;
  conversation?: TaskChannels;
  parentId?: string;
  depth?: number;
  carried?: CarriedContext;
}

export class Task extends Call {
  args: readonly unknown[];
  status: TaskStatus = 'delayed';
  readonly #submitted: Moment = thisMoment();
  /** Links of the queue it waits in. */
  next: Task | undefined = undefined;
  previous: Task | undefined = undefined;

  readonly #owner: TaskOwner<Task>;
  /** Holds the result, so that a task that is kept for its TaskInfo does not. */
  #handle: TaskHandle<unknown> | undefined = undefined;
  #course: AttemptRecord | undefined = undefined;
  #extras: Extras | undefined = undefined;

  constructor(spec: TaskSpec, args: readonly unknown[], sequence: number, owner: TaskOwner<Task>) {
    super(spec, sequence);
    this.args = args;
    this.#owner = owner;
    const { type, callback, retryIf, transfer } = spec.options;
    // What is called here, and not in a thread, sees the AsyncLocalStorage of who submitted it, not of who freed a slot.
    if (type === 'loop' || callback !== undefined || retryIf !== undefined || transfer !== undefined) {
      this.#more.scope = new AsyncResource('taskwarden.Task');
    }
  }

  get #more(): Extras {
    this.#extras ??= {};
    return this.#extras;
  }

  get #run(): AttemptRecord {
    this.#course ??= new AttemptRecord();
    return this.#course;
  }

  /** Made when it is first asked for. */
  get id(): string {
    const more = this.#more;
    more.id ??= this.#owner.assignId(this);
    return more.id;
  }

  /** Of the task that called it. */
  get parentId(): string | undefined {
    return this.#extras?.parentId;
  }

  get bulkhead(): Bulkhead<Task> | undefined {
    return this.options.module?.bulkhead as Bulkhead<Task> | undefined;
  }

  get depth(): number {
    return this.#extras?.depth ?? 0;
  }

  setParent(parent: Task): void {
    this.isSubTask = true;
    this.#more.parentId = parent.id;
    this.#more.depth = parent.depth + 1;
  }

  /** Of those that called it: who lends it a place in their module. */
  get lender(): Task | undefined {
    return this.isSubTask ? this.#owner.lenderOf(this) : undefined;
  }

  get carried(): CarriedContext | undefined {
    return this.#extras?.carried;
  }

  set carried(carried: CarriedContext) {
    this.#more.carried = carried;
  }

  get submitter(): TaskSubmitter | undefined {
    return this.#owner.submitter;
  }

  get hasId(): boolean {
    return this.#extras?.id !== undefined;
  }

  /** How many attempts have started. */
  get attempt(): number {
    return this.#course?.attempt ?? 0;
  }

  get timeQueued(): number {
    return this.#submitted.time;
  }

  /** When it began to wait, on the clock of `now()`. */
  get queuedAt(): number {
    return (this.#extras?.queued ?? this.#submitted).at;
  }

  get timeStarted(): number | undefined {
    const time = this.#course?.timeStarted;
    return time && Math.max(time, this.timeQueued);
  }

  get timeFinished(): number | undefined {
    return this.#course?.finished?.time;
  }

  /** How long the last attempt ran, or has run until now. */
  get runMs(): number | undefined {
    const run = this.#course;
    if (run === undefined || run.runMs !== undefined || this.status !== 'started') return run?.runMs;
    return Math.max(now() - run.startedAt, 0);
  }

  set runMs(runMs: number | undefined) {
    this.#run.runMs = runMs;
  }

  get threadId(): number | undefined {
    return this.type === 'thread' ? this.#course?.hostId : undefined;
  }

  get pid(): number | undefined {
    return this.type === 'process' ? this.#course?.hostId : undefined;
  }

  get error(): unknown {
    return this.#extras?.error;
  }

  get endReason(): EndReason | undefined {
    return this.#course?.endReason;
  }

  get isSettled(): boolean {
    return this.endReason !== undefined;
  }

  get progress(): Progress | undefined {
    return this.#extras?.progress;
  }

  /** Decided, but not yet over: the first cause to end the task that runs. */
  get endRequest(): EndRequest | undefined {
    return this.#extras?.ending;
  }

  set endRequest(ending: EndRequest | undefined) {
    this.#more.ending = ending;
  }

  get crashes(): number {
    return this.#extras?.crashes ?? 0;
  }

  set crashes(crashes: number) {
    this.#more.crashes = crashes;
  }

  isBefore(other: Task): boolean {
    if (this.depth !== other.depth) return this.depth > other.depth;
    return this.queuedAt < other.queuedAt || (this.queuedAt === other.queuedAt && this.sequence < other.sequence);
  }

  attach(handle: TaskHandle<unknown>): void {
    this.#handle = handle;
  }

  cancel(reason: unknown): boolean {
    return this.#owner.cancel(this, reason);
  }

  stop(): void {
    this.#owner.stop(this);
  }

  /** Until it has begun, what is sent is copied at once: it must not change, or turn out to be none that can be copied. */
  send(data: unknown, untilTaken: boolean): Promise<boolean> {
    const isCopied = this.status === 'started' || this.type === 'loop';
    const { messages } = this.channels;
    const message = isCopied ? data : copyMessage(data, this);
    const room = untilTaken ? messages.sendUntilTaken(message) : messages.send(message);
    if ((untilTaken || messages.isFull) && isLoadingModule()) noteModuleWait();
    if ((untilTaken || messages.isFull) && this.isSubTask) this.#owner.onAwaited(this);
    return room;
  }

  channelsForReader(): TaskChannels {
    if (this.isSubTask) this.#owner.onAwaited(this);
    if (isLoadingModule()) noteModuleWait();
    return this.channels;
  }

  release(): void {
    this.isReleased = true;
    this.#extras?.conversation?.results.countUnreadAsTaken();
  }

  get channels(): TaskChannels {
    const more = this.#more;
    if (more.conversation === undefined) {
      more.conversation = new TaskChannels((data) => this.#owner.send(this, data));
      if (this.isAwaited || this.isReleased) more.conversation.results.countUnreadAsTaken();
      if (this.isSettled) more.conversation.end();
      else if (this.status === 'started') more.conversation.open();
    }
    return more.conversation;
  }

  /** The one way its status changes. */
  #become(status: TaskStatus, from: TaskStatus = this.status): void {
    if (this.status !== from || !canBecome(from, status)) {
      throw new Error(`task ${this.id} can't go from ${this.status} to ${status}`);
    }
    this.status = status;
  }

  enqueue(): void {
    this.#become('queued', 'delayed');
    if (this.#course === undefined && !this.options.delayMs) return; // it was submitted just now
    this.#more.queued = thisMoment();
    this.warnings = 0;
  }

  /** @param at When it started, on the clock of `now()`; it may be heard of later. */
  start(hostId: number | undefined, heard: Moment = thisMoment(), at: number = heard.at): void {
    this.#become('started');
    this.#run.start(hostId, at, heard);
    this.#extras?.conversation?.open();
  }

  /** Its thread or child died before the function began: this was no attempt, and it waits as before. */
  putBack(): void {
    if (this.status === 'queued') return;
    this.#become('queued', 'started');
    this.#run.undoStart();
    this.#extras?.conversation?.close();
  }

  /** Back to wait for its next attempt. */
  retry(): void {
    this.#become('delayed');
    if (this.#extras === undefined) return;
    this.#extras.ending = undefined;
    this.#extras.progress = undefined;
    this.#extras.conversation?.close();
  }

  /** False, and nothing changes, if it was settled before. */
  settle(endReason: EndReason, outcome: unknown, heard: Moment = thisMoment()): boolean {
    if (this.isSettled) return false;
    const completed = endReason === 'completed';
    const { status } = this;
    this.#become(
      completed ? 'completed' : endReason === 'canceled' || endReason === 'shutdown' ? 'canceled' : 'failed',
    );
    const run = this.#run;
    if (status === 'queued' || run.started === undefined) this.#more.waitMs = Math.max(heard.at - this.queuedAt, 0);
    run.endReason = endReason;
    run.finished = heard;
    if (!completed) this.#more.error = outcome;
    this.args = noArgs;
    if (this.#extras !== undefined) {
      this.stopTimer();
      this.#extras.unlisten?.();
      this.#extras.unlisten = undefined;
      this.#extras.progressListeners = undefined;
      this.#extras.conversation?.end();
    }
    if (this.#handle !== undefined) settleHandle(this.#handle, completed, outcome);
    this.#handle = undefined;
    return true;
  }

  /** How long it has waited, or waited for its last start. */
  get waitMs(): number {
    if (this.#extras?.waitMs !== undefined) return this.#extras.waitMs;
    const run = this.#course;
    const hasStarted = run?.started !== undefined && this.status !== 'queued';
    return Math.max((hasStarted ? run.startedAt : now()) - this.queuedAt, 0);
  }

  /** Calls something in the asynchronous context of whoever submitted the task, if it was kept. */
  runInScope<R>(call: () => R): R {
    const scope = this.#extras?.scope;
    return scope === undefined ? call() : scope.runInAsyncScope(call);
  }

  /** The one timer of its present state: its delay, its time in the queue, its run time or its grace. */
  setTimer(delayMs: number, fire: () => void): void {
    const more = this.#more;
    more.timer?.cancel();
    more.timer = new Timer(delayMs, fire);
  }

  stopTimer(): void {
    if (this.#extras?.timer === undefined) return;
    this.#extras.timer.cancel();
    this.#extras.timer = undefined;
  }

  /** Until it settles, calls back when the signal of its options aborts. */
  listenToSignal(signal: AbortSignal, abort: () => void): void {
    this.#more.unlisten = onAbort(signal, abort);
  }

  markAwaited(): void {
    this.isAwaited = true;
    if (this.isSubTask) this.#owner.onAwaited(this);
    this.#extras?.conversation?.results.countUnreadAsTaken();
    if (isLoadingModule()) noteModuleWait();
  }

  onProgress(listener: (progress: Progress) => void): void {
    if (this.isSettled) return;
    const more = this.#more;
    more.progressListeners ??= [];
    more.progressListeners.push(AsyncResource.bind(listener)); // it hears in the context of who listens
  }

  /** Calls the listeners; `onProblem` hears what they throw, or reject with. */
  report(progress: Progress, onProblem: (problem: unknown) => void): void {
    const more = this.#more;
    more.progress = Object.freeze(progress);
    for (const listener of more.progressListeners ?? []) callSafely(listener, more.progress, onProblem);
  }

  get info(): TaskInfo {
    return infoOf(this);
  }
}
