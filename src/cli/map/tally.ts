/** Counts how far a run over many inputs has come. It knows nothing of tasks or terminals. */
import { elapsed } from '../../platform/globals.ts';

export interface Failure {
  readonly index: number;
  readonly input: unknown;
  readonly error: unknown;
}

const failuresKept = 5;

export class Tally {
  /** Unknown while inputs may still come. */
  total: number | undefined;
  readonly #startedAt = elapsed();
  readonly #failures: Failure[] = [];
  #succeeded = 0;
  #failed = 0;
  #skipped = 0;

  succeed(): void {
    this.#succeeded += 1;
  }

  fail(failure: Failure): void {
    this.#failed += 1;
    if (this.#failures.length < failuresKept) this.#failures.push(failure);
  }

  /** It was done by an earlier run. */
  skip(): void {
    this.#skipped += 1;
  }

  /** How many inputs are done, those that failed included. */
  get done(): number {
    return this.#succeeded + this.#failed;
  }

  get failed(): number {
    return this.#failed;
  }

  /** How many were done by earlier runs. They are in the total, and not among those that are done. */
  get skipped(): number {
    return this.#skipped;
  }

  /** The first few failures. */
  get failures(): readonly Failure[] {
    return this.#failures;
  }

  get elapsedMs(): number {
    return elapsed() - this.#startedAt;
  }

  /** Inputs done per second, over the whole run. */
  get perSecond(): number {
    return (this.done / this.elapsedMs) * 1_000;
  }

  /** The estimated time left. Unknown until there is a total and an input is done. */
  get leftMs(): number | undefined {
    if (this.total === undefined || this.done === 0) return undefined;
    return ((this.total - this.#skipped - this.done) / this.perSecond) * 1_000;
  }
}
