/** The iterations of one `perform()`, counted for all that run side by side. */
import type { CourierTask } from '../courier.ts';

export class Iterations {
  #left: number;

  constructor(total: number) {
    this.#left = total;
  }

  get areLeft(): boolean {
    return this.#left > 0;
  }

  /** Fetches the tasks of an iteration, which counts unless there are none. */
  async next<D>(fetch: () => Promise<readonly CourierTask<D>[]>): Promise<readonly CourierTask<D>[]> {
    this.#left -= 1;
    let tasks: readonly CourierTask<D>[] = [];
    try {
      tasks = await fetch();
    } finally {
      if (tasks.length === 0) this.#left += 1;
    }
    return tasks;
  }
}
