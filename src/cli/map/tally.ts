/** How far a run over many inputs has come, in numbers. It counts, and knows nothing of tasks or terminals. */
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

  succeed(): void {
    this.#succeeded += 1;
  }

  fail(failure: Failure): void {
    this.#failed += 1;
    if (this.#failures.length < failuresKept) this.#failures.push(failure);
  }

  /** How many inputs have been worked through, those that failed included. */
  get done(): number {
    return this.#succeeded + this.#failed;
  }

  get failed(): number {
    return this.#failed;
  }

  /** The first few. */
  get failures(): readonly Failure[] {
    return this.#failures;
  }

  get elapsedMs(): number {
    return elapsed() - this.#startedAt;
  }

  /** Of inputs done, over the whole run. */
  get perSecond(): number {
    return (this.done / this.elapsedMs) * 1_000;
  }

  /** Unknown until there is a total, and something is done. */
  get leftMs(): number | undefined {
    if (this.total === undefined || this.done === 0) return undefined;
    return ((this.total - this.done) / this.perSecond) * 1_000;
  }
}
