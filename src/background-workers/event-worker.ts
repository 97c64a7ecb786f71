/** BackgroundEventWorker: runs when it is triggered. Triggers that come while it runs are folded into one more run. */
import type { Rule } from '../base/options.ts';
import { type Deferred, defer } from '../platform/deferred.ts';
import { Promise } from '../platform/globals.ts';
import { onAbort } from '../platform/on-abort.ts';
import { isHost, isLoadingModule } from '../task/definition/load-phase.ts';
import { BackgroundWorker } from './background-worker.ts';
import type { AnyArgs } from './hooked-worker.ts';
import { type EventWorkerOptions, eventRule } from './worker-options.ts';

export class BackgroundEventWorker<A extends unknown[] = AnyArgs> extends BackgroundWorker<A> {
  #wake = () => {};
  /** The end of the next run, if somebody has asked for one. */
  #next: Deferred | undefined;
  /** The end of the run that goes on. */
  #current: Deferred | undefined;

  constructor(options?: EventWorkerOptions);
  constructor(moduleUrl: string | URL, options?: EventWorkerOptions);
  constructor(fn: (...args: A) => unknown, options?: EventWorkerOptions);
  constructor(moduleUrl: string | URL, fn: (...args: A) => unknown, options?: EventWorkerOptions);
  constructor(...given: never[]) {
    super(...(given as []));
  }

  protected override ownRules(): Readonly<Record<string, Rule>> {
    return eventRule;
  }

  /**
   * Asks for a run: at once, or as soon as the one that runs has ended. False, and nothing happens, if it was not started;
   * in a thread or child, where that is not known, true.
   */
  trigger(): boolean {
    if (isLoadingModule()) return false;
    if (isHost()) {
      // Whoever triggers does not wait; that of the program says whether it has begun.
      this.askProgram('trigger', []).catch((problem: unknown) => console.error(problem));
      return true;
    }
    if (!this.isStarted && this.state !== 'starting') return false;
    void this.wake();
    return true;
  }

  /** Asks for a run, unless one goes on. Resolves when it has ended. */
  protected wakeIfIdle(): Promise<void> {
    return this.#current?.promise ?? this.wake();
  }

  protected override reset(): void {
    this.#next?.resolve();
    this.#next = undefined;
  }

  /** Asks for a run. Resolves when that has ended, or when the worker has. */
  protected wake(): Promise<void> {
    this.#next ??= defer();
    this.#wake();
    return this.#next.promise;
  }

  protected override async work(signal: AbortSignal): Promise<void> {
    const unlisten = onAbort(signal, () => this.#wake());
    while (!signal.aborted) {
      const next = this.#next;
      if (next !== undefined) {
        this.#next = undefined;
        this.#current = next;
        await this.tryRun(signal);
        this.#current = undefined;
        next.resolve();
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
    unlisten();
    this.reset();
  }
}
