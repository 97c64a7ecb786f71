/**
 * A task as a memory courier keeps it.
 *
 *   delayed  ─▶ waiting, canceled
 *   waiting  ─▶ leased, canceled
 *   leased   ─▶ completed, failed, canceled; waiting (released, lease lost), delayed (retried)
 *   failed   ─▶ waiting (redriven)
 */
import { type Backoff, backoffMs } from '../../base/backoff.ts';
import type { TaskwardenError } from '../../base/errors.ts';
import { now, type Timer } from '../../platform/clock.ts';
import { timeOfDay } from '../../platform/globals.ts';
import { Fifo } from '../../queue/order/fifo.ts';
import type { Priority } from '../../queue/priority.ts';
import { calledName } from '../calls/courier-call.ts';
import type { AddOptions, CourierTask, ReturnErrorOptions, TaskCommand } from '../courier.ts';
import { deadlinePassed } from '../courier-error.ts';
import type { Listeners } from '../listeners.ts';
import type { Wait } from '../wait.ts';
import type { ExpiringItem } from './ending/expiry-queue.ts';

export type MemoryTaskEnd = 'completed' | 'failed' | 'canceled';
export type MemoryTaskState = 'delayed' | 'waiting' | 'leased' | MemoryTaskEnd;

export class MemoryTask implements ExpiringItem<MemoryTask> {
  next: MemoryTask | undefined = undefined;
  previous: MemoryTask | undefined = undefined;
  readonly id: string;
  readonly name: string | undefined;
  data: unknown;
  readonly priority: Priority;
  readonly delayMs: number;
  readonly retries: number | undefined;
  readonly retryDelayMs: number | Backoff | undefined;
  readonly deadlineMs: number | undefined;
  readonly key: string | undefined;
  readonly unique: AddOptions['unique'];
  readonly uniqueForMs: number;
  timeQueued: number = timeOfDay();

  state: MemoryTaskState = 'waiting';
  /** Its position among those that wait; kept while a worker holds it. */
  sequence = 0;
  /** When its deadline is over, on the clock of `now()`. */
  deadlineAt: number = Infinity;
  /** When its lease runs out, or its result is forgotten. */
  expiresAt = 0;
  /** How often it was delivered, without releases. */
  attempts = 0;
  /** How many attempts ended with an error. */
  failures = 0;
  /** What its last attempt failed with. */
  failure: unknown = undefined;
  /** How many leases were lost. */
  stalls = 0;
  /** The lease of its last delivery. */
  lease: string | undefined = undefined;
  /** The result, or the error. */
  outcome: unknown = undefined;
  /** Whether the outcome can be asked for. A dead letter stays longer than its outcome. */
  isKept = false;
  timeStarted: number | undefined;
  timeEnded: number | undefined;
  /** When its delay ends, on the clock of `timeOfDay()`. */
  timeDue = 0;
  /** Ends its delay. */
  timer: Timer | undefined = undefined;
  /** All commands of clients. */
  readonly commands: TaskCommand[] = [];
  /** What its attempts have kept, by name. */
  kept: Map<string, Uint8Array> | undefined = undefined;
  /** The listeners of the worker that holds it. */
  workerListeners: Listeners<TaskCommand> | undefined = undefined;
  #waits: Fifo<Wait<unknown>> | undefined = undefined;

  constructor(id: string, data: unknown, options: AddOptions) {
    const { priority = 'normal', delayMs = 0, retries, retryDelayMs, deadlineMs } = options;
    const { key, unique, uniqueForMs = 0 } = options;
    this.id = id;
    this.data = data;
    this.name = calledName(data);
    this.priority = priority;
    this.delayMs = delayMs;
    this.retries = retries;
    this.retryDelayMs = retryDelayMs;
    this.deadlineMs = deadlineMs;
    this.key = key;
    this.unique = unique;
    this.uniqueForMs = uniqueForMs;
  }

  /** The waits for its result. */
  get waits(): Fifo<Wait<unknown>> {
    this.#waits ??= new Fifo();
    return this.#waits;
  }

  get isAwaited(): boolean {
    return this.#waits !== undefined && this.#waits.size > 0;
  }

  /** Gives its outcome to who waits for it. */
  settleWaits(): void {
    for (let wait = this.#waits?.first; wait !== undefined; wait = this.#waits?.first) {
      if (this.state === 'completed') wait.resolve(this.outcome);
      else wait.reject(this.outcome);
    }
  }

  get hasEnded(): boolean {
    return this.state === 'completed' || this.state === 'failed' || this.state === 'canceled';
  }

  /** When its deadline is over, in epoch milliseconds. */
  get deadline(): number | undefined {
    return this.deadlineMs === undefined ? undefined : timeOfDay() + this.deadlineAt - now();
  }

  /** The error of one whose deadline is over, or leaves no time for another attempt. */
  tooLate(queue: string): TaskwardenError {
    const { id, deadlineMs = 0, attempts, failure } = this;
    return deadlinePassed(queue, { id, deadlineMs, hasBegun: attempts > 0 }, failure);
  }

  /** Sets it back to before its first attempt. */
  reset(): void {
    this.outcome = undefined;
    this.attempts = 0;
    this.failures = 0;
    this.failure = undefined;
    this.stalls = 0;
    this.timeQueued = timeOfDay();
    this.timeStarted = undefined;
    this.timeEnded = undefined;
  }

  /** A worker gets it. */
  lend(lease: string): void {
    this.state = 'leased';
    this.attempts += 1;
    this.lease = lease;
    this.timeStarted = timeOfDay();
  }

  /** What the worker gets that holds it. @param data A copy of its data. */
  delivered(queue: string, data: unknown): CourierTask {
    const { id, priority, attempts: attempt, retries, delayMs, key, deadline, timeQueued } = this;
    const [kept, lease] = [this.kept && new Map(this.kept), this.lease as string];
    const facts = { id, queue, data, priority, attempt, retries, delayMs, key, deadline, timeQueued, kept, lease };
    return Object.freeze(facts);
  }

  /** The pause before its next attempt, in milliseconds; undefined if there is none. Counts a failure. */
  pauseAfterFailure(
    error: unknown,
    { isFinal = false, retries = 0, retryDelayMs }: ReturnErrorOptions,
  ): number | undefined {
    if (isFinal || this.failures >= (this.retries ?? retries)) return undefined;
    this.failures += 1;
    this.failure = error;
    const own = this.retries === undefined ? (this.retryDelayMs ?? retryDelayMs) : this.retryDelayMs;
    return backoffMs(own ?? {}, this.failures);
  }

  /** No worker holds it any more. @param last Delivered to the listeners of the worker. */
  endDelivery(last?: TaskCommand): void {
    const { workerListeners } = this;
    this.workerListeners = undefined;
    workerListeners?.end(last);
  }

  isBefore(other: MemoryTask): boolean {
    return this.sequence < other.sequence;
  }
}
