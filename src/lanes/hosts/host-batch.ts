/**
 * The batch that runs in a host: which of its items have begun and ended, as the memory of the host and its replies tell.
 * Reports each start and end to the listener of the lane, once and in the order of the items.
 */
import { type Moment, thisMoment } from '../../platform/clock.ts';
import type { WireDefinition } from '../../task/definition/definition.ts';
import type { TaskMessage } from '../../task/inside/task-message.ts';
import type { Progress } from '../../task/record/progress.ts';
import type { LaneListener, LaneOutcome, LaneTask, TaskReach } from '../lane.ts';
import type { ControlBlock } from '../wire/control-block.ts';
import type { ItemReply } from '../wire/protocol.ts';
import type { Host } from './host.ts';
import { outcomeOf } from './outcome.ts';
import { replyReadError } from './send-failure.ts';

export abstract class HostBatch<T extends LaneTask> {
  /** Absent until it has been created, which can fail. */
  host: Host | undefined;
  protected readonly listener: LaneListener<T>;
  /** The tasks by their item, from `first` on; undefined for those that were given back. */
  protected batch: readonly (T | undefined)[] = [];
  protected first = 0;
  /** The first item whose end has not been reported. */
  protected item = 0;
  /** Whether the start of that item has been reported. */
  protected isStartReported = false;
  /** The definitions that the host has to load for the batch, which is one task then. Nothing begins before that. */
  protected loading: readonly WireDefinition[] | undefined;

  constructor(listener: LaneListener<T>) {
    this.listener = listener;
  }

  get id(): number {
    return this.host?.id ?? -1;
  }

  protected get control(): ControlBlock {
    return (this.host as Host).control;
  }

  /** How many items the batch has, with those that have ended. */
  get size(): number {
    return this.batch.length;
  }

  /** The item after the last. */
  get end(): number {
    return this.first + this.batch.length;
  }

  protected taskOf(item: number): T | undefined {
    return this.batch[item - this.first];
  }

  /** The item of a task; -1 if it is not in the batch. */
  protected itemOf(task: T): number {
    const index = this.batch.indexOf(task);
    return index < 0 ? -1 : this.first + index;
  }

  /** The tasks whose end or return has not been reported. */
  *[Symbol.iterator](): Generator<T> {
    for (let item = this.item; item < this.end; item += 1) {
      const task = this.taskOf(item);
      if (task !== undefined) yield task;
    }
  }

  get isLoading(): boolean {
    return this.loading !== undefined;
  }

  /** Whether only one item is left whose end has not been reported. */
  get isAtLast(): boolean {
    return this.item === this.end - 1;
  }

  protected setBatch(batch: readonly T[], first: number): void {
    this.batch = batch;
    this.first = first;
    this.item = first;
    this.isStartReported = false;
    this.loading = undefined;
  }

  /** Removes tasks that were given back, or could not be sent. */
  protected drop(tasks: ReadonlySet<T>): void {
    if (tasks.size > 0) this.batch = this.batch.map((task) => (task && tasks.has(task) ? undefined : task));
  }

  /** How far a task of the batch is. It may have ended though that has not been reported. */
  reachOf(task: T): TaskReach {
    const item = this.itemOf(task);
    if (item < this.item || this.host === undefined) return item < this.item ? 'ended' : 'waits';
    this.host.refresh?.();
    const state = this.control.state(item);
    if (state === 'waiting' || state === 'withdrawn') return 'waits';
    return state === 'running' ? 'runs' : 'ended';
  }

  // What the host has done.

  /** The host begins with the batch. */
  onBegun(): void {
    this.reportStart(thisMoment());
  }

  /**
   * Reports what has ended by now, and the start of what runs.
   * @param withLast False: not the end of the last item, whose slot is released with the message that follows.
   */
  reportChanges(withLast = true): void {
    if (this.host === undefined || this.loading !== undefined || this.item === this.end) return;
    const { control } = this;
    const noticed = thisMoment();
    // The listener may ask for another task, and so call this again: each item is passed before it is reported.
    while (this.item < this.end) {
      const { item } = this;
      const state = control.state(item);
      if (state === 'withdrawn') this.reportEnd({ kind: 'withdrawn' }, noticed);
      else if (state === 'waiting') return;
      else if (!this.isStartReported) this.reportStart(noticed);
      else if (state === 'finished' && (withLast || !this.isAtLast)) this.#reportResult(control.result(item), noticed);
      else return; // it runs, or its outcome follows in a message
    }
  }

  /** The outcome of an item, from a reply; `conclude` reports it. Throws, and changes nothing, if no such reply is due. */
  read(reply: ItemReply): LaneOutcome {
    this.reportChanges();
    const { item } = this;
    const isDue = reply.item === item && item < this.end && this.control.state(item) === 'posted';
    const neverBegan = reply.kind === 'unloadable' || reply.kind === 'unread';
    if (!isDue || (this.isLoading && !neverBegan)) throw new Error(`a "${reply.kind}" that nobody waits for`);
    return outcomeOf(reply, this.taskOf(item) as T, { runMs: this.#runMs(), endedAt: this.control.endedAt(item) });
  }

  /** Reports the outcome of the next item. */
  conclude(outcome: LaneOutcome): void {
    this.reportEnd(outcome, thisMoment());
    this.reportChanges(false);
  }

  /** The host says that nothing of the batch runs any more. Throws if that can't be true. */
  checkDone(): void {
    this.reportChanges();
    const isOpen = this.item < this.end && ['running', 'posted'].includes(this.control.state(this.item));
    if (this.size === 0 || isOpen) throw new Error('it is done with what it has not ended');
  }

  /**
   * A child is done with all before that item, and goes on with others. What has not begun there never will: it may say so
   * before its guard tells what was withdrawn. Returns their tasks.
   */
  onPassed(end: number): readonly T[] {
    const passed: T[] = [];
    while (this.item < Math.min(end, this.end) && this.control.state(this.item) === 'waiting') {
      const task = this.taskOf(this.item);
      if (task !== undefined) passed.push(task);
      this.moveOn();
    }
    this.drop(new Set(passed));
    if (passed.length > 0) this.reportChanges();
    return passed;
  }

  /** Whether the next message can only be the outcome of the next item. */
  get isOutcomeNext(): boolean {
    this.reportChanges();
    return this.item < this.end && this.control.isOutcomeNext(this.item);
  }

  /** A reply, most likely about the next item, can't be read. Returns whether none follows that item, prefetched ones included. */
  onUnreadable(problem: unknown): boolean {
    const isLast = this.isAtLast;
    const outcome: LaneOutcome = { kind: 'uncloneable', error: replyReadError(problem), runMs: this.#runMs() };
    if (this.item < this.end) this.conclude(outcome);
    return isLast && this.item === this.end;
  }

  onProgress(item: number, progress: Progress): void {
    this.reportChanges();
    const task = this.taskOf(item);
    if (task !== undefined) this.listener.progress(task, progress);
  }

  onTaskMessage(item: number, message: TaskMessage): void {
    this.reportChanges();
    const task = this.taskOf(item);
    if (task !== undefined) this.listener.message(task, message);
  }

  // Reports.

  protected reportStart(noticed: Moment): void {
    const { control, item } = this;
    const task = this.taskOf(item);
    this.isStartReported = true;
    const at = control.state(item) === 'waiting' ? noticed.at : control.begunAt(item);
    if (task !== undefined) this.listener.started(task, this.id, at, noticed);
  }

  #reportResult(value: unknown, noticed: Moment): void {
    const endedAt = this.control.endedAt(this.item);
    this.reportEnd({ kind: 'result', value, runMs: this.#runMs(), endedAt }, noticed);
  }

  #runMs(): number {
    return this.control.endedAt(this.item) - this.control.begunAt(this.item);
  }

  /** A load that failed counts as an attempt, so its start is reported, too. */
  protected reportEnd(outcome: LaneOutcome, noticed: Moment): void {
    const task = this.taskOf(this.item);
    if (outcome.kind === 'unloadable' && !this.isStartReported) this.reportStart(noticed);
    this.moveOn();
    if (task !== undefined) this.listener.ended(task, outcome, noticed);
  }

  protected moveOn(): void {
    this.item += 1;
    this.isStartReported = false;
  }
}
