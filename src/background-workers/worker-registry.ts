/** The active workers of a supervisor. They keep the process alive, and are stopped before its tasks. */
import { type Deferred, defer } from '../platform/deferred.ts';
import type { KeepAlive } from '../platform/keep-alive.ts';
import type { BackgroundWorker, WorkerState } from './background-worker.ts';

export interface WorkerInfo {
  readonly name: string;
  readonly state: WorkerState;
  readonly isPaused: boolean;
  /** When its last run was submitted, in epoch milliseconds. */
  readonly lastExecuted: number | undefined;
  /** For a queue worker: when its courier last answered a fetch, even without an item, in epoch milliseconds. */
  readonly timeFetched?: number | undefined;
  /** For a queue worker: how many items are running or have results that are being returned. */
  readonly inFlight?: number;
}

export class WorkerRegistry {
  readonly #keepAlive: KeepAlive;
  readonly #workers = new Set<BackgroundWorker>();
  #empty: Deferred | undefined;

  constructor(keepAlive: KeepAlive) {
    this.#keepAlive = keepAlive;
  }

  /** In the order in which they were started. */
  [Symbol.iterator](): Iterator<BackgroundWorker> {
    return this.#workers.values();
  }

  /** Returns a function to call when the worker is not active any more. */
  register(worker: BackgroundWorker): () => void {
    this.#workers.add(worker);
    this.#keepAlive.hold();
    return () => {
      if (!this.#workers.delete(worker)) return;
      this.#keepAlive.release();
      if (this.#workers.size === 0) this.giveUp();
    };
  }

  get info(): readonly WorkerInfo[] {
    return [...this.#workers].map((worker: WorkerInfo) => {
      const { name, state, isPaused, lastExecuted, timeFetched, inFlight } = worker;
      return { name, state, isPaused, lastExecuted, ...(inFlight !== undefined && { timeFetched, inFlight }) };
    });
  }

  /** Stops all workers; with `wait: false`, cancels their runs. */
  stop(wait: boolean): void {
    for (const worker of this) void worker.stop({ wait });
  }

  /** Resolves when no worker is active, or after `giveUp()`. */
  async emptied(): Promise<void> {
    if (this.#workers.size === 0) return;
    this.#empty ??= defer();
    await this.#empty.promise;
  }

  /** Ends the wait for the workers. */
  giveUp(): void {
    this.#empty?.resolve();
    this.#empty = undefined;
  }
}
