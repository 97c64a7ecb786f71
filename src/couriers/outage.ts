/**
 * The time in which a courier's server can't be reached: it is told once, and what is asked is asked again, at first soon
 * and then ever less often, until the server answers or nobody wants it any more.
 */
import { TaskwardenError } from '../errors.ts';
import { pause } from '../pause.ts';
import { backoffMs } from '../scheduling/backoff.ts';

/** The first pause, and the longest, in milliseconds. */
const firstPauseMs = 100;
const longestPauseMs = 5_000;

export function isUnreachable(error: unknown): boolean {
  return error instanceof TaskwardenError && error.code === 'COURIER_UNREACHABLE';
}

/** The pause after so many failures. */
export function outagePauseMs(failures: number): number {
  return Math.min(backoffMs(firstPauseMs, failures), longestPauseMs);
}

export class Outage {
  readonly #tell: (error: unknown) => void;
  #isTold = false;

  constructor(tell: (error: unknown) => void) {
    this.#tell = tell;
  }

  /** Tells of it, if nobody has been told. */
  note(error: unknown): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#tell(error);
  }

  /** The server has answered. */
  end(): void {
    this.#isTold = false;
  }

  /** What the courier gives when it can be reached. Rejects with anything else; and with the last try's, once aborted. */
  async ask<R>(call: () => Promise<R>, giveUp: AbortSignal): Promise<R> {
    for (let failures = 1; ; failures += 1) {
      try {
        const answer = await call();
        this.end();
        return answer;
      } catch (error) {
        if (!isUnreachable(error)) {
          this.end(); // it has answered
          throw error;
        }
        this.note(error);
        await pause(outagePauseMs(failures), giveUp);
        if (giveUp.aborted) throw error;
      }
    }
  }
}
