/**
 * What is known about one task: its status, times, attempts, progress, and what it failed with. TaskInfo is a snapshot
 * of it. A million tasks may wait, so fields that few tasks need are created when they are first set.
 */
import type { AsyncResource } from 'node:async_hooks';
import { type Moment, now, type Timer, thisMoment } from '../../platform/clock.ts';
import type { Deadline } from '../../platform/deadline.ts';
import { comesBefore, type Place } from '../../queue/order/place.ts';
import type { Priority } from '../../queue/priority.ts';
import { Call } from '../call/call.ts';
import { withPriority } from '../call/task-options.ts';
import type { TaskShare } from '../call/task-share.ts';
import type { KeptWork } from '../inside/steps.ts';
import type { CarriedContext } from '../inside/task-message.ts';
import { AttemptRecord } from './attempt-record.ts';
import type { Progress } from './progress.ts';
import type { TaskChannels } from './task-channels.ts';
import type { EndReason } from './task-info.ts';
import { canBecome, type TaskStatus } from './task-status.ts';

/** A decision to end a running task before its function returns. */
export interface EndRequest {
  readonly reason: EndReason;
  readonly error: unknown;
  /** When it was decided, on the clock of `now()`. */
  readonly at?: number;
  /** It applies only if the task can still be withdrawn before it begins. */
  readonly isTentative?: boolean;
  /** A time-out of the whole task: no attempt follows. */
  readonly isFinal?: boolean;
}

/** The fields that few tasks need. */
interface Extras {
  id?: string;
  /** When it entered the queue, if not when it was submitted. */
  queued?: Moment;
  /** Its place in the order, if not by when it entered the queue: its priority was changed since. */
  order?: Place | undefined;
  /** The id of the ended task that it runs again. */
  retryOf?: string;
  /** How long it waited, if it ended while waiting. */
  waitMs?: number;
  error?: unknown;
  endRequest?: EndRequest | undefined;
  progress?: Progress | undefined;
  crashes?: number;
  timer?: Timer | undefined;
  deadline?: Deadline | undefined;
  unlisten?: (() => void) | undefined;
  progressListeners?: ((progress: Progress) => void)[] | undefined;
  scope?: AsyncResource;
  channels?: TaskChannels;
  parentId?: string;
  key?: string;
  place?: Place | undefined;
  share?: TaskShare | undefined;
  depth?: number;
  carried?: CarriedContext;
  keptWork?: KeptWork | undefined;
  statusElsewhere?: TaskStatus | undefined;
  hasBegunElsewhere?: boolean;
}

export abstract class TaskRecord extends Call {
  abstract readonly id: string;
  status: TaskStatus = 'delayed';
  readonly #submitted: Moment = thisMoment();
  #attempts: AttemptRecord | undefined = undefined;
  protected extras: Extras | undefined = undefined;

  protected get ensuredExtras(): Extras {
    this.extras ??= {};
    return this.extras;
  }

  protected get attempts(): AttemptRecord {
    this.#attempts ??= new AttemptRecord();
    return this.#attempts;
  }

  /** How it stands, as it is seen from outside. While its relay runs here, it may wait elsewhere. */
  get shownStatus(): TaskStatus {
    return this.status === 'started' ? (this.extras?.statusElsewhere ?? 'started') : this.status;
  }

  /** Set by its relay, for this attempt. */
  set statusElsewhere(status: TaskStatus) {
    this.ensuredExtras.statusElsewhere = status;
  }

  /** Of a call that runs elsewhere: whether it has begun there. Set by its relay. */
  get hasBegunElsewhere(): boolean | undefined {
    return this.extras?.hasBegunElsewhere;
  }

  set hasBegunElsewhere(hasBegun: boolean) {
    this.ensuredExtras.hasBegunElsewhere = hasBegun;
  }

  get hasId(): boolean {
    return this.extras?.id !== undefined;
  }

  /** The id of the task that called it. */
  get parentId(): string | undefined {
    return this.extras?.parentId;
  }

  /** Whose task it is, if its options say so. */
  get key(): string | undefined {
    return this.extras?.key;
  }

  set key(key: string) {
    this.ensuredExtras.key = key;
  }

  /** How many tasks are above it in the tree of calls. */
  get depth(): number {
    return this.extras?.depth ?? 0;
  }

  get carried(): CarriedContext | undefined {
    return this.extras?.carried;
  }

  set carried(carried: CarriedContext) {
    this.ensuredExtras.carried = carried;
  }

  /** What its attempts have kept. */
  get keptWork(): KeptWork | undefined {
    return this.extras?.keptWork ?? this.options.delivery?.kept;
  }

  set keptWork(kept: KeptWork | undefined) {
    if (kept !== undefined || this.extras !== undefined) this.ensuredExtras.keptWork = kept;
  }

  /** How many attempts have started. */
  get attempt(): number {
    return this.#attempts?.attempt ?? 0;
  }

  get timeQueued(): number {
    return this.#submitted.time;
  }

  /** When it entered the queue, on the clock of `now()`. */
  get queuedAt(): number {
    return (this.extras?.queued ?? this.#submitted).at;
  }

  get timeStarted(): number | undefined {
    const time = this.#attempts?.timeStarted;
    return time && Math.max(time, this.timeQueued);
  }

  get timeFinished(): number | undefined {
    return this.#attempts?.finished?.time;
  }

  /** How long the last attempt ran, or has run until now. */
  get runMs(): number | undefined {
    const attempts = this.#attempts;
    if (attempts === undefined || attempts.runMs !== undefined || this.status !== 'started') return attempts?.runMs;
    return Math.max(now() - (attempts.startedAt ?? Infinity), 0);
  }

  set runMs(runMs: number | undefined) {
    this.attempts.runMs = runMs;
  }

  /** How long it waited for its last start, or has waited until now. */
  get waitMs(): number {
    if (this.extras?.waitMs !== undefined) return this.extras.waitMs;
    const startedAt = this.status === 'queued' ? undefined : this.#attempts?.startedAt;
    return Math.max((startedAt ?? now()) - this.queuedAt, 0);
  }

  get threadId(): number | undefined {
    return this.type === 'thread' ? this.#attempts?.hostId : undefined;
  }

  get pid(): number | undefined {
    return this.type === 'process' ? this.#attempts?.hostId : undefined;
  }

  get error(): unknown {
    return this.extras?.error;
  }

  get endReason(): EndReason | undefined {
    return this.#attempts?.endReason;
  }

  get isSettled(): boolean {
    return this.endReason !== undefined;
  }

  get progress(): Progress | undefined {
    return this.extras?.progress;
  }

  set progress(progress: Progress) {
    this.ensuredExtras.progress = Object.freeze(progress);
  }

  /** The first decision to end the running task, until the task is over. */
  get endRequest(): EndRequest | undefined {
    return this.extras?.endRequest;
  }

  set endRequest(endRequest: EndRequest | undefined) {
    this.ensuredExtras.endRequest = endRequest;
  }

  /** By when it has to end, if there is such a time. */
  get deadline(): Deadline | undefined {
    return this.extras?.deadline;
  }

  set deadline(deadline: Deadline) {
    this.ensuredExtras.deadline = deadline;
  }

  get crashes(): number {
    return this.extras?.crashes ?? 0;
  }

  set crashes(crashes: number) {
    this.ensuredExtras.crashes = crashes;
  }

  /** Its place in the order of its queue, if it is not its own. */
  get place(): Place | undefined {
    return this.extras?.place ?? this.extras?.order;
  }

  set place(place: Place | undefined) {
    this.ensuredExtras.place = place;
  }

  /** The order in a queue: deeper tasks first, because their callers wait for them. */
  isBefore(other: TaskRecord): boolean {
    if (this.depth !== other.depth) return this.depth > other.depth;
    return comesBefore(this.place ?? this, other.place ?? other);
  }

  /** It waits behind all that have this priority now. @param sequence The next number of its supervisor. */
  changePriority(priority: Priority, sequence: number): void {
    this.spec = withPriority(this.spec, priority);
    this.ensuredExtras.order = { queuedAt: thisMoment().at, sequence };
    if (this.place !== undefined) this.place = undefined;
  }

  /** The id of the ended task that it runs again. */
  get retryOf(): string | undefined {
    return this.extras?.retryOf;
  }

  set retryOf(id: string) {
    this.ensuredExtras.retryOf = id;
  }

  /** The only place where `status` changes. */
  protected become(status: TaskStatus, from: TaskStatus = this.status): void {
    if (this.status !== from || !canBecome(from, status)) {
      throw new Error(`task ${this.id} can't go from ${this.status} to ${status}`);
    }
    this.status = status;
  }

  protected recordQueued(): void {
    if (this.#attempts === undefined && !this.options.delayMs) return; // it was submitted just now
    this.ensuredExtras.queued = thisMoment();
    if (this.ensuredExtras.order !== undefined) this.ensuredExtras.order = undefined;
    this.warnings = 0;
  }

  protected recordEnd(endReason: EndReason, outcome: unknown, noticed: Moment): void {
    const { status, attempts } = this;
    const isCompleted = endReason === 'completed';
    const isCanceled = endReason === 'canceled' || endReason === 'shutdown';
    this.become(isCompleted ? 'completed' : isCanceled ? 'canceled' : 'failed');
    if (status === 'queued' || attempts.started === undefined) {
      this.ensuredExtras.waitMs = Math.max(noticed.at - this.queuedAt, 0);
    }
    attempts.endReason = endReason;
    attempts.finished = noticed;
    if (!isCompleted) this.ensuredExtras.error = outcome;
  }
}
