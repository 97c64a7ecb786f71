/**
 * How many hosts (threads, or child processes) the tasks of one pool may hold, whatever their priority. A task holds a
 * host from its start to its end, also while it waits for tasks that it has called and has lent its slot.
 *
 * The rule: a task of depth d may start while fewer than maxSize + d hosts are held. Its depth is 0 if the program has
 * called it, else one more than the depth of its caller; more than maxDepth counts as maxDepth. So tasks of the
 * program never hold more than maxSize, and all together never more than maxSize + maxDepth.
 *
 * Why this can't deadlock. Of the tasks that hold hosts here, never more than maxSize + d have a depth of at most d:
 * when one of depth d starts, no more than that are held at all, and no other start adds to them. Now let no task run
 * in any pool, so that all that hold hosts wait for tasks that they have called. Let p be the deepest of them, in
 * whichever pool; it waits for a task c that is one deeper, and so holds no host, and waits in its pool. There only
 * tasks up to the depth of p hold hosts, so fewer than maxSize + depth of c: c may start. The queue must not block it:
 * a deeper task passes tasks that are too shallow to start, whatever its priority. If c is delayed (as between
 * attempts), the delay ends by itself, and so does the exit of a host that keeps another from being started.
 *
 * Three things can break this. Then the deepest task whose module has a place may start all the same, as soon as
 * nothing runs in any pool, up to maxDepth hosts beyond maxSize; beyond that it fails (see `stuck()` of the pool):
 * - c is held back by the cap of a module whose places belong to tasks that wait for shallower tasks.
 * - c is not deeper than p in this count, as both are deeper than maxDepth: callers that have ended count here.
 * - maxDepth has been lowered.
 *
 * A smaller maxSize takes effect as hosts come free: until then, what is held is the ceiling, which keeps the count
 * true.
 */

/** What a pool needs to know of its hosts. */
export interface HostSupply {
  /** How many hosts are exiting, and run nothing. */
  readonly leaving: number;
  /** Whether one more task can have a host: an existing one, or a new one if fewer than `most` exist. */
  hasHostFor(held: number, most: number): boolean;
}

export class HostCeiling {
  #maxSize: number;
  /** The limit in force: above `maxSize` for a while after that was lowered. */
  #ceiling: number;
  #maxDepth: number;

  constructor(maxSize: number, maxDepth: number) {
    this.#maxSize = maxSize;
    this.#ceiling = maxSize;
    this.#maxDepth = maxDepth;
  }

  /** @param held How many hosts are held. */
  configure(maxSize: number, maxDepth: number, held: number): void {
    this.#maxSize = maxSize;
    this.#maxDepth = maxDepth;
    this.#ceiling = Math.max(maxSize, Math.min(this.#ceiling, held));
  }

  /** A task has released its host; `held` hosts are held now. */
  onReleased(held: number): void {
    if (this.#ceiling > this.#maxSize) this.#ceiling = Math.max(this.#maxSize, Math.min(this.#ceiling, held));
  }

  /** How many more hosts tasks of the program may hold. Negative: by how many there are too many. */
  room(held: number): number {
    return this.#ceiling - held;
  }

  /** How many hosts may be held after a task of that depth has started. */
  limit(depth: number): number {
    return this.#ceiling + Math.min(depth, this.#maxDepth);
  }
}
