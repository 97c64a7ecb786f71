/**
 * The time in which a courier's server can't be reached, or can't do what it is asked: it is told once, and what is asked is
 * asked again, at first soon and then ever less often, until the server does it or nobody wants it any more.
 */
import { hasCode, TaskwardenError } from '../base/errors.ts';
import { isInstance } from '../base/foreign-value.ts';
import { backoffMs } from '../dispatch/retries/backoff.ts';
import { pause } from '../platform/pause.ts';

/** The first pause, and the longest, in milliseconds. */
const firstPauseMs = 100;
const longestPauseMs = 5_000;

export function isUnreachable(error: unknown): boolean {
  return hasCode(error, 'COURIER_UNREACHABLE');
}

/** Whether a call was answered with what taskwarden says of it: all else is an outage, whatever it is. */
export function isAnswer(error: unknown): boolean {
  return error instanceof TaskwardenError && !isUnreachable(error);
}

/**
 * Whether a worker ends for what its fetch has failed with: the courier was closed; or, before it has ever answered, the
 * worker was made wrongly, or is not let in.
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

/** The pause after so many failures. */
export function outagePauseMs(failures: number): number {
  return Math.min(backoffMs(firstPauseMs, failures), longestPauseMs);
}

type IsFinal = (error: unknown) => boolean;

export class Outage {
  readonly #onOutage: (error: unknown) => void;
  #isReported = false;
  /** How many are not answered, and ask again. */
  #unanswered = 0;

  constructor(onOutage: (error: unknown) => void) {
    this.#onOutage = onOutage;
  }

  /** Tells of it, if nobody has been told. */
  report(error: unknown): void {
    if (this.#isReported) return;
    this.#isReported = true;
    this.#onOutage(error);
  }

  /** The server has answered: it is over if nobody is left whom it has not. */
  #end(): void {
    if (this.#unanswered === 0) this.#isReported = false;
  }

  /**
   * What the courier gives when it does what it is asked, which ends the outage. Rejects with the last try's error, once
   * aborted.
   * @param isFinal What it rejects with at once.
   */
  async retry<R>(call: () => Promise<R>, giveUp: AbortSignal, isFinal: IsFinal = isAnswer): Promise<R> {
    try {
      const answer = await this.retryWithoutEnding(call, giveUp, isFinal);
      this.#end();
      return answer;
    } catch (error) {
      if (isFinal(error)) this.#end(); // it has answered
      throw error;
    }
  }

  /** The same for what may be answered though the rest is not. */
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
