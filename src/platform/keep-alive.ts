/** Keeps the process alive between `hold()` and `release()`. An idle supervisor must not keep it alive. */
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

  /** Keeps the process alive until the promise settles. */
  async during(wait: () => Promise<void>): Promise<void> {
    this.hold();
    try {
      await wait();
    } finally {
      this.release();
    }
  }

  /** Keeps nothing alive any more, and removes the timer. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
