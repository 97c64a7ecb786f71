/** The store refuses a call, and has changed nothing for it. */
import type { Failure } from '../../protocol.ts';

export class Refusal extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.code);
    this.failure = failure;
  }
}
