/** Collects updates for one reader, which takes all that have come at a time. */
import { type Deferred, defer } from '../../platform/deferred.ts';
import { onAbort } from '../../platform/on-abort.ts';

export class UpdateBuffer<T> {
  #updates: T[] = [];
  #isEnded = false;
  #more: Deferred = defer();
  readonly #drained: Deferred = defer();

  readonly push = (what: T): void => {
    this.#updates.push(what);
    this.#more.resolve();
  };

  readonly end = (): void => {
    this.#isEnded = true;
    this.#more.resolve();
  };

  get size(): number {
    return this.#updates.length;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Resolves when all updates were read after the end, or when the reader has stopped. */
  get drained(): Promise<void> {
    return this.#drained.promise;
  }

  /** Yields an empty batch at once; then what comes, until the end or the abort. */
  async *batches(signal: AbortSignal): AsyncGenerator<readonly T[], void, undefined> {
    const unlisten = onAbort(signal, this.end);
    try {
      yield [];
      for (;;) {
        if (this.#updates.length > 0) {
          const batch = this.#updates;
          this.#updates = [];
          yield batch;
        } else if (this.#isEnded || signal.aborted) {
          return;
        } else {
          await this.#more.promise;
          this.#more = defer();
        }
      }
    } finally {
      unlisten();
      this.#drained.resolve();
    }
  }
}
