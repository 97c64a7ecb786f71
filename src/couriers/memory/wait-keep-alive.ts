/**
 * Keeps the process alive while a timer of a memory queue can end a wait: the time-out of the wait, or a delay or lease in
 * that queue, which can bring a task or a result. Other waits do not, because nothing in this process would end them.
 */
import type { KeepAlive } from '../../platform/keep-alive.ts';
import type { WaitOptions } from '../courier.ts';

export class WaitKeepAlive {
  readonly #keepAlive: KeepAlive;
  /** How many tasks are delayed or leased. */
  readonly #timedTasks: () => number;
  #waits = 0;
  #timedWaits = 0;
  #isHeld = false;

  constructor(keepAlive: KeepAlive, timedTasks: () => number) {
    this.#keepAlive = keepAlive;
    this.#timedTasks = timedTasks;
  }

  /** Adds a wait. Returns a function to call once, when the wait is over. */
  add({ timeoutMs = Infinity }: WaitOptions): () => void {
    const timed = timeoutMs === Infinity ? 0 : 1;
    this.#waits += 1;
    this.#timedWaits += timed;
    this.update();
    return () => {
      this.#waits -= 1;
      this.#timedWaits -= timed;
      this.update();
    };
  }

  /** To be called when the number of delayed or leased tasks has changed. */
  update(): void {
    const isHeld = this.#timedWaits > 0 || (this.#waits > 0 && this.#timedTasks() > 0);
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (isHeld) this.#keepAlive.hold();
    else this.#keepAlive.release();
  }
}
