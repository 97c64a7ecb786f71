/**
 * Tasks whose host died before it began with them, when it had been handed them: their arguments may be what killed it, as
 * those do that don't fit into its heap. Such a task travels alone from then on, so that it is found out and harms no other.
 */

/** So often a host may die of a task that it had not begun, the last time of it alone. */
const mostDeaths = 3;

export class Suspects<T extends object> {
  readonly #deaths = new WeakMap<T, number>();
  /** Nearly always there are none; then no task is looked up. */
  #areThere = false;

  has(task: T): boolean {
    return this.#areThere && this.#deaths.has(task);
  }

  /** One more host has died of it, or of one that travelled with it. True: it is to blame. */
  note(task: T, wasAlone: boolean): boolean {
    this.#areThere = true;
    const deaths = (this.#deaths.get(task) ?? 0) + 1;
    this.#deaths.set(task, deaths);
    return wasAlone && deaths >= mostDeaths;
  }
}
