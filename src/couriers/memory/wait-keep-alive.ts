/**
 * Whether those who wait at a queue in memory keep the process alive: while a timer of the queue is to end their wait. That
 * is their own time-out, or, for a task or a result, a delay or a lease in that queue. Else nothing would ever come of it.
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

  /** Somebody begins to wait. Gives what is to be called once, when that is over. */
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

  /** Tasks were delayed or leased, or are so no more. */
  update(): void {
    const isHeld = this.#timedWaits > 0 || (this.#waits > 0 && this.#timedTasks() > 0);
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (isHeld) this.#keepAlive.hold();
    else this.#keepAlive.release();
  }
}
