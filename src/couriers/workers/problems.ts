/** What fails while a worker performs: the first problem is thrown at the end, and the others are reported. */
import { isClosed } from '../outage.ts';

export class Problems {
  readonly #all: unknown[] = [];
  readonly #onProblem: (problem: unknown) => void;

  constructor(onProblem: (problem: unknown) => void) {
    this.#onProblem = onProblem;
  }

  async attempt(step: () => unknown): Promise<void> {
    try {
      await step();
    } catch (problem) {
      if (this.#all.length === 0 || !isClosed(problem)) this.#all.push(problem); // every call fails with COURIER_CLOSED
      this.#onProblem(problem);
    }
  }

  throwFirst(report: (problem: unknown) => void): void {
    const [first, ...others] = this.#all;
    for (const problem of others) report(problem);
    if (this.#all.length > 0) throw first;
  }
}
