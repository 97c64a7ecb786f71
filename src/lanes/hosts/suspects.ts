/**
 * Tasks whose host died after it was sent them and before it began. Their arguments may have killed it, as those do that
 * don't fit into its heap. Such a task is sent alone from then on, so that it is identified and harms no other.
 */

/** How many hosts may die before they begin with a task, the last time with that task alone. */
const mostDeaths = 3;

export class Suspects<T extends object> {
  readonly #deaths = new WeakMap<T, number>();
  /** Nearly always there are none, so that no task has to be looked up. */
  #areThere = false;

  has(task: T): boolean {
    return this.#areThere && this.#deaths.has(task);
  }

  /** One more host has died with this task in its batch. Returns whether the task is to blame. */
  note(task: T, wasAlone: boolean): boolean {
    this.#areThere = true;
    const deaths = (this.#deaths.get(task) ?? 0) + 1;
    this.#deaths.set(task, deaths);
    return wasAlone && deaths >= mostDeaths;
  }
}
