/** A timer that can be longer than `setTimeout` allows (2^31 - 1 ms, about 24.8 days). */

const longestTimeoutMs = 2 ** 31 - 1;

export class Timer {
  #timeout: NodeJS.Timeout | undefined;

  /** Calls `fire` once, `delayMs` from now; `Infinity` never fires. It does not keep the process alive. */
  constructor(delayMs: number, fire: () => void) {
    if (delayMs !== Infinity) this.#arm(delayMs, fire);
  }

  #arm(leftMs: number, fire: () => void): void {
    const stepMs = Math.min(leftMs, longestTimeoutMs);
    this.#timeout = setTimeout(() => {
      if (leftMs > stepMs) this.#arm(leftMs - stepMs, fire);
      else fire();
    }, stepMs).unref();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }
}
