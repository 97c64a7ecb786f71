/**
 * How many tasks a worker may run at once: its own concurrency, and what its supervisor could start now. A task whose time
 * has come, such as one with an ETA, waits here for a slot before new messages are taken.
 */
import { courierKit } from '../../../../index.ts';

const { onAbort } = courierKit;

export class Slots {
  readonly #capacity: () => number;
  readonly #waiting: ((isTaken: boolean) => void)[] = [];
  #listener: (() => void) | undefined;
  #limit: number;
  #used = 0;

  /** @param capacity How many tasks the supervisor could start now. */
  constructor(limit: number, capacity: () => number) {
    this.#limit = limit;
    this.#capacity = capacity;
  }

  get limit(): number {
    return this.#limit;
  }

  set limit(limit: number) {
    this.#limit = limit;
    this.changed();
  }

  get used(): number {
    return this.#used;
  }

  /** How many messages may be taken now. */
  get free(): number {
    return Math.max(0, this.#open - this.#waiting.length);
  }

  get #open(): number {
    return Math.min(this.#limit - this.#used, this.#capacity());
  }

  /** One slot, at once: for a message that was taken. */
  take(): void {
    this.#used += 1;
  }

  release(): void {
    this.#used -= 1;
    this.changed();
  }

  /** Resolves when a slot was taken, in the order of the calls; or with false when the signal aborts. */
  acquire(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isTaken: boolean) => {
        unlisten();
        resolve(isTaken);
      };
      const unlisten = onAbort(signal, () => {
        const place = this.#waiting.indexOf(end);
        if (place >= 0) this.#waiting.splice(place, 1);
        end(false);
      });
      if (signal.aborted) return end(false);
      this.#waiting.push(end);
      this.changed();
    });
  }

  /** To be called when the supervisor's capacity may have changed. */
  changed(): void {
    while (this.#waiting.length > 0 && this.#open > 0) {
      this.#used += 1;
      this.#waiting.shift()?.(true);
    }
    if (this.free > 0) this.#listener?.();
  }

  /** Resolves when messages may be taken. There is one waiter. */
  async whenFree(): Promise<void> {
    if (this.free > 0) return;
    await new Promise<void>((resolve) => {
      this.#listener = resolve;
    });
    this.#listener = undefined;
  }
}
