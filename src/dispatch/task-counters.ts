/** Counts what has become of tasks, keeps the process alive while any is pending, and tells when none is. */
import { type Deferred, defer } from '../platform/deferred.ts';
import { Promise } from '../platform/globals.ts';
import type { KeepAlive } from '../platform/keep-alive.ts';
import type { EndReason } from '../task/record/task-info.ts';

export interface Counts {
  readonly submitted: number;
  readonly retried: number;
  readonly ended: Readonly<Record<EndReason, number>>;
}

export class TaskCounters {
  readonly #keepAlive: KeepAlive;
  readonly #ended: Record<EndReason, number> = {
    completed: 0,
    failed: 0,
    canceled: 0,
    timeout: 0,
    expired: 0,
    crashed: 0,
    shutdown: 0,
  };
  #submitted = 0;
  #retried = 0;
  #settled = 0;
  #terminated = 0;
  #missing = 0;
  #holds = false;
  #drained: Deferred | undefined;

  constructor(keepAlive: KeepAlive) {
    this.#keepAlive = keepAlive;
  }

  get counts(): Counts {
    return { submitted: this.#submitted, retried: this.#retried, ended: { ...this.#ended } };
  }

  get pending(): number {
    return Math.max(this.#submitted - this.#settled - this.#missing, 0);
  }

  /** Those that were given up: nobody knows where they are. */
  get missing(): number {
    return this.#missing;
  }

  get settled(): number {
    return this.#settled;
  }

  /** Tasks that lost their thread to a shutdown. */
  get terminated(): number {
    return this.#terminated;
  }

  submit(): void {
    this.#submitted += 1;
    this.#balance();
  }

  retry(): void {
    this.#retried += 1;
  }

  terminate(): void {
    this.#terminated += 1;
  }

  /** Not yet the end for those who wait for it: see `balance`. */
  settle(reason: EndReason): void {
    this.#ended[reason] += 1;
    this.#settled += 1;
  }

  /** What follows from the counts. Listeners of the last task may have submitted another, so it comes after them. */
  balance(): void {
    this.#balance();
    if (this.pending > 0) return;
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  #balance(): void {
    const isPending = this.pending > 0;
    if (isPending === this.#holds) return;
    this.#holds = isPending;
    if (isPending) this.#keepAlive.hold();
    else this.#keepAlive.release();
  }

  /** Nothing will settle what is pending: nobody is to wait for it any more. */
  giveUp(): void {
    this.#missing += this.pending;
    this.balance();
  }

  /** Resolves when nothing is pending. */
  drained(): Promise<void> {
    if (this.pending === 0) return Promise.resolve();
    this.#drained ??= defer();
    return this.#drained.promise;
  }
}
