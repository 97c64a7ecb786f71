/** Resolves the calls of `capacity()` as the queue gets room, the most urgent first. */
import { Promise, setImmediate } from '../platform/globals.ts';
import { type Priority, priorities } from './priority.ts';

export class Capacity {
  readonly #room: () => number;
  readonly #waiting: Record<Priority, (() => void)[]> = { critical: [], high: [], normal: [], low: [] };
  /** Calls that were resolved in this turn of the event loop, and may not have used their room yet. */
  #granted = 0;
  #size = 0;
  #isClosed = false;

  /** @param room Gives how many more tasks may wait. */
  constructor(room: () => number) {
    this.#room = room;
  }

  wait(priority: Priority): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting[priority].push(resolve);
      this.#size += 1;
      this.offer();
    });
  }

  /** Resolves waiting calls, as far as there is room. */
  offer(): void {
    while (this.#size > 0 && this.#room() - this.#granted > 0) {
      const priority = priorities.find((each) => this.#waiting[each].length > 0) as Priority;
      this.#size -= 1;
      this.#granted += 1;
      this.#waiting[priority].shift()?.();
      setImmediate(() => {
        this.#granted -= 1;
        this.offer();
      });
    }
  }

  /** Resolves all calls, now and from now on: the supervisor has stopped. */
  close(): void {
    this.#isClosed = true;
    for (const priority of priorities) for (const resolve of this.#waiting[priority].splice(0)) resolve();
    this.#size = 0;
  }
}
