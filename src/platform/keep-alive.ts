/** Keeps the process alive while something is held, and not a moment longer: an idle supervisor must not. */
import { clearInterval, setInterval } from './globals.ts';

export class KeepAlive {
  #holds = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  hold(): void {
    this.#holds += 1;
    if (this.#holds > 1 || this.#isClosed) return;
    this.#timer ??= setInterval(() => {}, 2 ** 31 - 1);
    this.#timer.ref();
  }

  release(): void {
    this.#holds -= 1;
    if (this.#holds === 0) this.#timer?.unref();
  }

  /** Holds until what is waited for has come, or failed. */
  async during(wait: () => Promise<void>): Promise<void> {
    this.hold();
    try {
      await wait();
    } finally {
      this.release();
    }
  }

  /** For the end: nothing is left, not even the timer that does nothing. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
