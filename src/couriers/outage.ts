/**
 * A time in which a courier's server can't be reached, or can't do what it is asked. An outage is reported once. Calls are
 * retried, with growing pauses, until the server answers or the caller gives up.
 */
import { hasCode, TaskwardenError } from '../base/errors.ts';
import { isInstance } from '../base/foreign-value.ts';
import { backoffMs } from '../dispatch/retries/backoff.ts';
import { pause } from '../platform/pause.ts';

/** In milliseconds, like the next. */
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

/** The pause after so many failures in a row, in milliseconds. */
export function outagePauseMs(failures: number): number {
  return Math.min(backoffMs(firstPauseMs, failures), longestPauseMs);
}

type IsFinal = (error: unknown) => boolean;

export class Outage {
  readonly #onOutage: (error: unknown) => void;
  #isReported = false;
  /** How many calls are being retried. */
  #unanswered = 0;

  constructor(onOutage: (error: unknown) => void) {
    this.#onOutage = onOutage;
  }

  /** Reports the outage, unless it was already reported. */
  report(error: unknown): void {
    if (this.#isReported) return;
    this.#isReported = true;
    this.#onOutage(error);
  }

  /** The server has answered: the outage is over if no other call is being retried. */
  #end(): void {
    if (this.#unanswered === 0) this.#isReported = false;
  }

  /**
   * Retries a call until it succeeds, which ends the outage. When `giveUp` aborts, rejects with the last error.
   * @param isFinal Says for which errors to reject at once.
   */
  async retry<R>(call: () => Promise<R>, giveUp: AbortSignal, isFinal: IsFinal = isAnswer): Promise<R> {
    try {
      const answer = await this.retryWithoutEnding(call, giveUp, isFinal);
      this.#end();
      return answer;
    } catch (error) {
      if (isFinal(error)) this.#end(); // the server has answered
      throw error;
    }
  }

  /** The same for a call whose success does not mean that other calls succeed. */
  async retryWithoutEnding<R>(call: () => Promise<R>, giveUp: AbortSignal, isFinal: IsFinal = isAnswer): Promise<R> {
    let failures = 0;
    try {
      for (;;) {
        try {
          return await call();
        } catch (error) {
          if (isFinal(error)) throw error;
          failures += 1;
          if (failures === 1) this.#unanswered += 1;
          this.report(error);
          await pause(outagePauseMs(failures), giveUp);
          if (giveUp.aborted) throw error;
        }
      }
    } finally {
      if (failures > 0) this.#unanswered -= 1;
    }
  }
}
