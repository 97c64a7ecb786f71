/** Counts tasks by what became of them, keeps the process alive while any is pending, and reports when none is. */
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
  /** How many bulks have not ended: more inputs may come of them. */
  #bulks = 0;
  #holdsProcess = false;
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

  /** How many tasks were given up: they are counted, and can't be found. */
  get missing(): number {
    return this.#missing;
  }

  get settled(): number {
    return this.#settled;
  }

  /** How many tasks lost their thread or child when the supervisor stopped. */
  get terminated(): number {
    return this.#terminated;
  }

  countSubmitted(tasks = 1): void {
    this.#submitted += tasks;
    this.#updateKeepAlive();
  }

  openBulk(): void {
    this.#bulks += 1;
    this.#updateKeepAlive();
  }

  /** Call `checkDrained()` later, as for a task. */
  closeBulk(): void {
    this.#bulks = Math.max(this.#bulks - 1, 0);
  }

  get #isPending(): boolean {
    return this.pending > 0 || this.#bulks > 0;
  }

  countRetried(): void {
    this.#retried += 1;
  }

  countTerminated(): void {
    this.#terminated += 1;
  }

  /** Call `checkDrained()` when the listeners of its events have returned. */
  countEnded(reason: EndReason, tasks = 1): void {
    this.#ended[reason] += tasks;
    this.#settled += tasks;
  }

  /**
   * Resolves `whenDrained()` if nothing is pending. A listener of the last task's event may have submitted another one.
   */
  checkDrained(): void {
    this.#updateKeepAlive();
    if (this.#isPending) return;
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  #updateKeepAlive(): void {
    const isPending = this.#isPending;
    if (isPending === this.#holdsProcess) return;
    this.#holdsProcess = isPending;
    if (isPending) this.#keepAlive.hold();
    else this.#keepAlive.release();
  }

  /** Gives up all pending tasks: nothing will settle them, and nothing waits for them any more. */
  giveUp(): void {
    this.#missing += this.pending;
    this.#bulks = 0;
    this.checkDrained();
  }

  /** Resolves when nothing is pending. */
  whenDrained(): Promise<void> {
    if (!this.#isPending) return Promise.resolve();
    this.#drained ??= defer();
    return this.#drained.promise;
  }
}
