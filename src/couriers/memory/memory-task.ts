/**
 * A task as a memory courier keeps it.
 *
 *   delayed  ─▶ waiting, canceled
 *   waiting  ─▶ leased, canceled
 *   leased   ─▶ completed, failed, canceled; waiting (released, lease lost), delayed (retried)
 *   failed   ─▶ waiting (redriven)
 */
import type { Timer } from '../../platform/clock.ts';
import { timeOfDay } from '../../platform/globals.ts';
import { Fifo } from '../../queue/fifo.ts';
import type { Priority } from '../../queue/priority.ts';
import type { AddOptions, TaskCommand } from '../courier.ts';
import type { Listeners } from '../listeners.ts';
import type { Wait } from '../wait.ts';
import type { ExpiringItem } from './expiry-queue.ts';

export type MemoryTaskEnd = 'completed' | 'failed' | 'canceled';
export type MemoryTaskState = 'delayed' | 'waiting' | 'leased' | MemoryTaskEnd;

export class MemoryTask implements ExpiringItem<MemoryTask> {
  next: MemoryTask | undefined = undefined;
  previous: MemoryTask | undefined = undefined;
  readonly id: string;
  data: unknown;
  readonly priority: Priority;
  readonly delayMs: number;
  readonly retries: number | undefined;
  readonly retryDelayMs: number;
  readonly timeQueued: number = timeOfDay();

  state: MemoryTaskState = 'waiting';
  /** In the order of those that wait; it keeps it while a worker has it. */
  sequence = 0;
  /** When its lease is lost, or its result forgotten. */
  expiresAt = 0;
  /** How often it was delivered, but for releases. */
  attempts = 0;
  /** How many of them ended with an error. */
  failures = 0;
  /** How many leases were lost. */
  stalls = 0;
  /** Of its last delivery. */
  lease: string | undefined = undefined;
  /** The result, or the error. */
  outcome: unknown = undefined;
  /** The outcome can be asked for; that of a dead letter may be too old. */
  isKept = false;
  timeFailed = 0;
  /** Of its delay. */
  timer: Timer | undefined = undefined;
  /** All that the client has said. */
  readonly commands: TaskCommand[] = [];
  /** The worker that has it. */
  workerListeners: Listeners<TaskCommand> | undefined = undefined;
  #waits: Fifo<Wait<unknown>> | undefined = undefined;

  constructor(id: string, data: unknown, options: AddOptions) {
    const { priority = 'normal', delayMs = 0, retries, retryDelayMs = 100 } = options;
    this.id = id;
    this.data = data;
    this.priority = priority;
    this.delayMs = delayMs;
    this.retries = retries;
    this.retryDelayMs = retryDelayMs;
  }

  /** Those who wait for its result. */
  get waits(): Fifo<Wait<unknown>> {
    this.#waits ??= new Fifo();
    return this.#waits;
  }

  get isAwaited(): boolean {
    return this.#waits !== undefined && this.#waits.size > 0;
  }

  get hasEnded(): boolean {
    return this.state === 'completed' || this.state === 'failed' || this.state === 'canceled';
  }

  /** As if nothing had been tried. */
  reset(): void {
    this.outcome = undefined;
    this.attempts = 0;
    this.failures = 0;
    this.stalls = 0;
  }

  /** No worker has it any more. @param last What those who had it hear. */
  endDelivery(last?: TaskCommand): void {
    const { workerListeners } = this;
    this.workerListeners = undefined;
    workerListeners?.end(last);
  }

  isBefore(other: MemoryTask): boolean {
    return this.sequence < other.sequence;
  }
}
