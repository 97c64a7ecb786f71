/** The pause of a background worker: it starts no runs until it is resumed. */
import { TaskwardenError } from '../base/errors.ts';
import { type Deferred, defer } from '../platform/deferred.ts';
import { untilAborted } from '../platform/on-abort.ts';
import { isHost, isLoadingModule } from '../task/definition/load-phase.ts';
import { HookedWorker } from './hooked-worker.ts';

export abstract class PausableWorker extends HookedWorker {
  /** Resolves when the worker is resumed; undefined if it is not paused. */
  #paused: Deferred | undefined;

  /**
   * Starts no more runs until `resume()`; a run that has begun goes on. A paused worker that is stopped ends without the
   * runs that were asked for. May be called before `start()`. Throws `NOT_IN_PROGRAM` in a task in a thread or child.
   */
  pause(): void {
    if (isLoadingModule() || this.isPaused) return;
    this.refuseInHost('paused');
    this.#paused = defer();
    this.onPauseChanged(true);
  }

  /** Starts runs again. An interval worker leaves out those that came due meanwhile. */
  resume(): void {
    if (isLoadingModule() || !this.isPaused) return;
    this.refuseInHost('resumed');
    this.#paused?.resolve();
    this.#paused = undefined;
    this.onPauseChanged(false);
  }

  get isPaused(): boolean {
    return this.#paused !== undefined;
  }

  /** The worker was paused or resumed. */
  protected abstract onPauseChanged(isPaused: boolean): void;

  /** Resolves when the worker is not paused, or when the signal aborts. */
  protected async untilResumed(signal: AbortSignal): Promise<void> {
    while (this.#paused !== undefined && !signal.aborted) await untilAborted(this.#paused.promise, signal);
  }

  /** @throws TaskwardenError `NOT_IN_PROGRAM` in a thread or child. */
  protected refuseInHost(what: 'started' | 'paused' | 'resumed'): void {
    if (!isHost()) return;
    const message = `worker "${this.name}" is ${what} by the program, and not by a task in a thread or child`;
    throw new TaskwardenError('NOT_IN_PROGRAM', message);
  }
}
