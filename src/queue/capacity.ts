/** Lets those who wait for room in the queue go on as room comes, the most urgent first. */
import { Promise, setImmediate } from '../platform/globals.ts';
import { type Priority, priorities } from './priority.ts';

export class Capacity {
  readonly #room: () => number;
  readonly #waiting: Record<Priority, (() => void)[]> = { critical: [], high: [], normal: [], low: [] };
  /** Those who were let go on, and have had no time to use their room yet. */
  #granted = 0;
  #size = 0;
  #isClosed = false;

  /** `room` is how many more tasks may wait. */
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

  /** There may be room. */
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

  /** Nothing will wait any more: all go on. */
  close(): void {
    this.#isClosed = true;
    for (const priority of priorities) for (const resolve of this.#waiting[priority].splice(0)) resolve();
    this.#size = 0;
  }
}
