/** BackgroundEventWorker: runs when it is triggered. Triggers that come during a run lead to one more run. */
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
  /** Resolves at the end of the next run, if one was asked for. */
  #next: Deferred | undefined;
  /** Resolves at the end of the present run. */
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
   * Asks for a run, which starts at once, or as soon as the present one has ended. Returns false, and does nothing, if the
   * worker is not started. In a thread or child, where that is not known, returns true.
   */
  trigger(): boolean {
    if (isLoadingModule()) return false;
    if (isHost()) {
      // A trigger does not wait for the answer of the program.
      this.askProgram('trigger', []).catch((problem: unknown) => console.error(problem));
      return true;
    }
    if (!this.isStarted && this.state !== 'starting') return false;
    void this.wake();
    return true;
  }

  /** Asks for a run, unless one is going on. Resolves when the run has ended. */
  protected wakeIfIdle(): Promise<void> {
    return this.#current?.promise ?? this.wake();
  }

  protected override reset(): void {
    this.#next?.resolve();
    this.#next = undefined;
  }

  /** Asks for a run. Resolves when the run or the worker has ended. */
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
