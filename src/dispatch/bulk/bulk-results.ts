/** The results of a bulk in the order of its inputs, or their outcomes, and how many there are. */
import type { ResultBlock } from '../../task/inputs/result-block.ts';
import type { Progress } from '../../task/record/progress.ts';

/** An array that is made longer than this at once is sparse. */
const longestFast = 32_000_000;

interface BulkResultsParts {
  /** Whether it keeps outcomes, those of failures too, and no results. */
  readonly areOutcomes: boolean;
  /** Is called with each result. */
  readonly onResult: ((result: unknown) => void) | undefined;
}

export class BulkResults {
  readonly values: unknown[] = [];
  readonly #areOutcomes: boolean;
  readonly #onResult: ((result: unknown) => void) | undefined;
  /** How many inputs have ended, those that failed included. */
  done = 0;
  #failed = 0;

  constructor({ areOutcomes, onResult }: BulkResultsParts) {
    this.#areOutcomes = areOutcomes;
    this.#onResult = onResult;
  }

  /**
   * So many inputs have been read, of `total` if that is known. Results may come in any order, and V8 would make a sparse
   * array, which is slow, of one that grows by more than a little.
   */
  reserve(inputs: number, total: number = inputs): void {
    if (this.values.length === 0 && total < longestFast) this.values.length = total;
    while (this.values.length < inputs) this.values.push(undefined);
  }

  succeed(index: number, result: unknown): void {
    this.values[index] = this.#areOutcomes ? { status: 'fulfilled', value: result } : result;
    this.done += 1;
    this.#onResult?.(result);
  }

  fail(index: number, reason: unknown): void {
    if (this.#areOutcomes) this.values[index] = { status: 'rejected', reason };
    this.done += 1;
    this.#failed += 1;
  }

  /**
   * Takes the results in the block, the first of which has the index `first`. Returns how many there were, and the places
   * in the block of the others, whose outcomes were posted.
   */
  takeAll(block: ResultBlock, first: number): { readonly taken: number; readonly posted: readonly number[] } {
    const posted: number[] = [];
    const { ended } = block;
    for (let at = 0; at < ended; at += 1) {
      if (block.isPosted(at)) posted.push(at);
      else this.succeed(first + at, block.result(at));
    }
    return { taken: ended - posted.length, posted };
  }

  progress(total: number | undefined): Progress {
    const fraction = total === undefined ? 0 : total === 0 ? 1 : this.done / total;
    return { fraction, done: this.done, failed: this.#failed, total };
  }
}
