/** By when something has to end, with all its attempts, and what is to happen then. */
import { now, Timer } from './clock.ts';

export class Deadline {
  /** How long it may take, in milliseconds. */
  readonly ms: number;
  /** On the clock of `now()`. */
  readonly at: number;
  /** With what its last attempt has failed. */
  failure: { readonly error: unknown } | undefined;
  readonly #timer: Timer;

  /** @param since When it was submitted, on the clock of `now()`. */
  constructor(since: number, ms: number, pass: () => void) {
    this.ms = ms;
    this.at = since + ms;
    this.#timer = new Timer(Math.max(this.leftMs, 0), pass);
  }

  get leftMs(): number {
    return this.at - now();
  }

  /** It has ended. */
  cancel(): void {
    this.#timer.cancel();
  }
}
