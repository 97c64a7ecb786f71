/**
 * A time in which a courier's server can't be reached, or can't do what it is asked. An outage is reported once. Calls are
 * retried, with growing pauses, until the server answers or the caller gives up.
 */

import { backoffMs } from '../base/backoff.ts';
import { hasCode, TaskwardenError } from '../base/errors.ts';
import { isInstance } from '../base/foreign-value.ts';
import { pause } from '../platform/pause.ts';

/** From half of `firstPauseMs` to all of it, then twice as long each time, up to `longestPauseMs`; in milliseconds. */
const firstPauseMs = 100;
const longestPauseMs = 5_000;

export function isUnreachable(error: unknown): boolean {
  return hasCode(error, 'COURIER_UNREACHABLE');
}

/** Whether the error is an answer of the courier. Every other error counts as an outage. */
export function isAnswer(error: unknown): boolean {
  return error instanceof TaskwardenError && !isUnreachable(error);
}

/**
 * Whether a worker ends because of this error of a fetch: the courier was closed; or, before the courier has ever answered,
 * the worker has bad options or is refused by the server.
 */
export function endsFetching(error: unknown, hasAnswered: boolean): boolean {
  if (isClosed(error) || hasAnswered) return isClosed(error);
  return isAnswer(error) || isInstance(error, TypeError) || isInstance(error, RangeError);
}

export function isClosed(error: unknown): boolean {
  return hasCode(error, 'COURIER_CLOSED');
}

export function isNotCloneable(error: unknown): boolean {
  return hasCode(error, 'RESULT_NOT_CLONEABLE');
}

/** The error of a worker that has waited for so many tasks to be returned as long as their leases last. */
export function unanswered(queue: string, tasks: number): TaskwardenError {
  const message = `the courier of queue "${queue}" has not answered in time: the leases of ${tasks} tasks run out`;
  return new TaskwardenError('COURIER_UNREACHABLE', message);
}

/** The pause after so many failures in a row, in milliseconds. */
export function outagePauseMs(failures: number): number {
  return backoffMs({ minMs: firstPauseMs / 2, maxMs: longestPauseMs, jitter: 1 }, failures);
}

type IsFinal = (error: unknown) => boolean;

export class Outage {
  readonly #onOutage: (error: unknown) => void;
  #isReported = false;
  /** How many calls are being retried. */
  #unanswered = 0;
  #failures = 0;

  constructor(onOutage: (error: unknown) => void) {
    this.#onOutage = onOutage;
  }

  /** Reports the outage, unless it was already reported. */
  report(error: unknown): void {
    this.#failures += 1;
    if (this.#isReported) return;
    this.#isReported = true;
    this.#onOutage(error);
  }

  /** The server has answered: the outage is over if nothing has failed since the call, and no other is being retried. */
  #end(failuresBefore: number): void {
    if (this.#unanswered === 0 && this.#failures === failuresBefore) this.#isReported = false;
  }

  /**
   * Retries a call until it succeeds, which ends the outage unless something has failed since it was made. When `giveUp`
   * aborts, rejects with the last error.
   * @param isFinal Says for which errors to reject at once.
   */
  retry<R>(call: () => Promise<R>, giveUp: AbortSignal, isFinal: IsFinal = isAnswer): Promise<R> {
    return this.#retry(call, giveUp, isFinal, true);
  }

  /** The same for a call whose success does not mean that other calls succeed. */
  retryWithoutEnding<R>(call: () => Promise<R>, giveUp: AbortSignal, isFinal: IsFinal = isAnswer): Promise<R> {
    return this.#retry(call, giveUp, isFinal, false);
  }

  async #retry<R>(call: () => Promise<R>, giveUp: AbortSignal, isFinal: IsFinal, ends: boolean): Promise<R> {
    let failures = 0;
    let failuresBefore = this.#failures;
    let isAnswered = false;
    try {
      for (;;) {
        try {
          failuresBefore = this.#failures;
          const answer = await call();
          isAnswered = true;
          return answer;
        } catch (error) {
          isAnswered = isFinal(error);
          if (isAnswered) throw error;
          failures += 1;
          if (failures === 1) this.#unanswered += 1;
          this.report(error);
          await pause(outagePauseMs(failures), giveUp);
          if (giveUp.aborted) throw error;
        }
      }
    } finally {
      if (failures > 0) this.#unanswered -= 1;
      if (ends && isAnswered) this.#end(failuresBefore);
    }
  }
}
