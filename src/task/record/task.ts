/**
 * One submitted task: its record, its handle, its messages, its timer. It settles once, by the first cause.
 * It knows no queue, no lane and no supervisor: its owner moves it from one status to the next.
 */
import { AsyncResource } from 'node:async_hooks';
import { callSafely } from '../../base/call-safely.ts';
import { type Moment, Timer, thisMoment } from '../../platform/clock.ts';
import { onAbort } from '../../platform/on-abort.ts';
import type { Bulkhead } from '../../queue/bulkhead.ts';
import type { Priority } from '../../queue/priority.ts';
import { settleHandle, type TaskHandle } from '../call/handle.ts';
import type { TaskSpec, TaskSubmitter } from '../call/task-options.ts';
import type { TaskShare } from '../call/task-share.ts';
import { isLoadingModule, noteModuleWait } from '../definition/load-phase.ts';
import type { Progress } from './progress.ts';
import { copyMessage, TaskChannels } from './task-channels.ts';
import { type EndReason, infoOf, type TaskInfo } from './task-info.ts';
import type { TaskOwner } from './task-owner.ts';
import { TaskRecord } from './task-record.ts';

// Its private methods have no `#`: for those, each object keeps a field more.
export class Task extends TaskRecord {
  /** Links of the queue in which it waits. */
  next: Task | undefined = undefined;
  previous: Task | undefined = undefined;

  readonly #owner: TaskOwner<Task>;
  /** The handle keeps the result, so a settled task that is kept for its TaskInfo does not. */
  #handle: TaskHandle<unknown> | undefined = undefined;

  constructor(spec: TaskSpec, args: readonly unknown[], sequence: number, owner: TaskOwner<Task>) {
    super(spec, args, sequence);
    this.#owner = owner;
    const { type, callback, retryIf, retryDelayMs, transfer } = spec.options;
    // Code that is called in this thread sees the AsyncLocalStorage of the submitter, not of the code that freed a slot.
    if (
      type === 'loop' ||
      callback !== undefined ||
      retryIf !== undefined ||
      transfer !== undefined ||
      typeof retryDelayMs === 'function'
    ) {
      this.ensuredExtras.scope = new AsyncResource('taskwarden.Task');
    }
  }

  /** Created when it is first read. */
  get id(): string {
    const extras = this.ensuredExtras;
    extras.id ??= this.#owner.assignId(this);
    return extras.id;
  }

  get info(): TaskInfo {
    return infoOf(this);
  }

  get bulkhead(): Bulkhead<Task> | undefined {
    return this.options.module?.bulkhead as Bulkhead<Task> | undefined;
  }

  get submitter(): TaskSubmitter | undefined {
    return this.#owner.submitter;
  }

  /** The caller, direct or not, that lends it a place in their module. */
  get lender(): Task | undefined {
    return this.isSubTask || this.isShared ? this.#owner.lenderOf(this) : undefined;
  }

  /** As `lender`, but it has the same key, too. */
  get keyLender(): Task | undefined {
    return this.isSubTask || this.isShared ? this.#owner.lenderOf(this, true) : undefined;
  }

  setParent(parent: Task): void {
    this.isSubTask = true;
    this.ensuredExtras.parentId = parent.id;
    this.ensuredExtras.depth = parent.depth + 1;
  }

  /** A deeper task waits for it. */
  deepen(depth: number): void {
    this.ensuredExtras.depth = depth;
  }

  /** The share of its caller, if others may join it. */
  get share(): TaskShare | undefined {
    return this.extras?.share;
  }

  set share(share: TaskShare | undefined) {
    this.ensuredExtras.share = share;
  }

  /** Makes it one that runs in another task: it has the id of that, unless its caller has given it one. */
  follow(leader: Task): void {
    this.isFollower = true;
    if (this.options.taskId === undefined) this.ensuredExtras.id = leader.id;
    else void this.id; // found by it from now on
    this.share?.join(leader);
    this.become('queued', 'delayed');
    this.become('started');
  }

  // From one status to the next.

  enqueue(): void {
    this.become('queued', 'delayed');
    this.recordQueued();
  }

  /**
   * @param noticed When this process learned of the start.
   * @param at When it started, on the clock of `now()`.
   */
  start(hostId: number | undefined, noticed: Moment = thisMoment(), at: number = noticed.at): void {
    this.become('started');
    this.attempts.start(hostId, at, noticed);
    this.extras?.channels?.open();
  }

  /** Returns it to the queue: its thread or child died before the function began, so this was no attempt. */
  putBack(): void {
    if (this.status === 'queued') return;
    this.become('queued', 'started');
    this.attempts.undoStart();
    this.extras?.channels?.close();
  }

  /** Makes it wait for its next attempt. */
  retry(): void {
    this.become('delayed');
    if (this.extras === undefined) return;
    this.extras.endRequest = undefined;
    this.extras.progress = undefined;
    this.extras.statusElsewhere = undefined;
    this.extras.channels?.close();
  }

  /** Returns false, and changes nothing, if it was settled before. */
  settle(endReason: EndReason, outcome: unknown, noticed: Moment = thisMoment()): boolean {
    if (this.isSettled) return false;
    this.recordEnd(endReason, outcome, noticed);
    if (!this.keepsArgs(endReason)) this.dropArgs();
    if (this.extras !== undefined) {
      this.stopTimer();
      this.extras.deadline?.cancel();
      this.extras.unlisten?.();
      this.extras.unlisten = undefined;
      this.extras.progressListeners = undefined;
      this.extras.channels?.end();
    }
    if (this.#handle !== undefined) settleHandle(this.#handle, endReason === 'completed', outcome);
    this.#handle = undefined;
    return true;
  }

  /** They are not kept for `retryTask()`, and neither is its work. */
  override dropArgs(): void {
    super.dropArgs();
    if (this.extras !== undefined) this.extras.keptWork = undefined;
    if (this.options.delivery?.kept !== undefined) this.options.delivery.kept = undefined;
  }

  /** A task that did not complete can be retried as long as its supervisor keeps it, if its arguments are still whole. */
  private keepsArgs(endReason: EndReason): boolean {
    if (endReason === 'completed' || endReason === 'shutdown' || this.isForgotten) return false;
    if (this.isPart || this.isBulk || this.options.transfer !== undefined) return false;
    return this.#owner.submitter !== undefined;
  }

  // What the handle asks for.

  /** Rejects its handle alone: its caller has left it to others. */
  rejectHandle(error: unknown): void {
    if (this.#handle !== undefined) settleHandle(this.#handle, false, error);
    this.#handle = undefined;
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

  setPriority(priority: Priority): boolean {
    return this.#owner.setPriority(this, priority);
  }

  /** Somebody waits for its end from now on. */
  markAwaited(): void {
    this.isAwaited = true;
    this.noteWait();
    this.extras?.channels?.results.countUnreadAsTaken();
  }

  private noteWait(): void {
    if (this.isSubTask) this.#owner.onAwaited(this);
    else if (isLoadingModule()) noteModuleWait(); // of a running task, code that has lost its context may wait, too
  }

  /** A generator need not wait for a reader of its results. */
  release(): void {
    this.isReleased = true;
    this.extras?.channels?.results.countUnreadAsTaken();
  }

  /** Before the task has started, the data is copied at once: it may change later, or fail to be copied then. */
  send(data: unknown, untilTaken: boolean): Promise<boolean> {
    const needsNoCopy = this.status === 'started' || this.type === 'loop';
    const { messages } = this.channels;
    const message = needsNoCopy ? data : copyMessage(data, this);
    const sent = untilTaken ? messages.sendUntilTaken(message) : messages.send(message);
    if (untilTaken || messages.isFull) this.noteWait();
    return sent;
  }

  channelsForReader(): TaskChannels {
    this.noteWait();
    return this.channels;
  }

  get channels(): TaskChannels {
    const extras = this.ensuredExtras;
    if (extras.channels === undefined) {
      extras.channels = new TaskChannels((data) => this.#owner.send(this, data));
      if (this.isAwaited || this.isReleased) extras.channels.results.countUnreadAsTaken();
      if (this.isSettled) extras.channels.end();
      else if (this.status === 'started') extras.channels.open();
    }
    return extras.channels;
  }

  onProgress(listener: (progress: Progress) => void): void {
    if (this.isSettled) return;
    const extras = this.ensuredExtras;
    extras.progressListeners ??= [];
    extras.progressListeners.push(AsyncResource.bind(listener)); // it is called in the context of the one who listens
  }

  /** Calls the listeners. `onProblem` is called with what they throw, or reject with. */
  report(progress: Progress, onProblem: (problem: unknown) => void): void {
    this.progress = progress;
    for (const listener of this.extras?.progressListeners ?? []) callSafely(listener, progress, onProblem);
  }

  // What its owner asks for.

  /** Calls something in the asynchronous context of the submitter, if that was kept. */
  runInScope<R>(call: () => R): R {
    const scope = this.extras?.scope;
    return scope === undefined ? call() : scope.runInAsyncScope(call);
  }

  /** Sets the one timer of its present status: for its delay, its time in the queue, its run time or its grace. */
  setTimer(delayMs: number, fire: () => void): void {
    const extras = this.ensuredExtras;
    extras.timer?.cancel();
    extras.timer = new Timer(delayMs, fire);
  }

  stopTimer(): void {
    if (this.extras?.timer === undefined) return;
    this.extras.timer.cancel();
    this.extras.timer = undefined;
  }

  /** Calls back when the signal aborts, until the task settles. */
  listenToSignal(signal: AbortSignal, abort: () => void): void {
    const { unlisten } = this.ensuredExtras;
    const unlistenThis = onAbort(signal, abort);
    this.ensuredExtras.unlisten = () => {
      unlisten?.();
      unlistenThis();
    };
  }
}
