/**
 * How many hosts (threads, or children) the tasks of one pool may hold, of whatever priority. A task holds a host from
 * its start to its end, also while it has lent its slot because it waits for tasks that it has called.
 *
 * The rule: a task of depth d may start while fewer than maxSize + d hosts are held. Its depth is 0 if the program has
 * called it, else one more than that of the task that did; more than maxDepth counts as maxDepth. So tasks of the
 * program never hold more than maxSize, and all together never more than maxSize + maxDepth.
 *
 * Why it can't lock up. Of those that hold hosts here, never more than maxSize + d have a depth of at most d: when one
 * of depth d starts, no more than that are held at all, and no other start adds to them. Now let no task run in any pool,
 * so that all that hold hosts wait for tasks that they have called. Let p be the deepest of them, in whichever pool; it
 * waits for a task c that is one deeper, and so holds no host, and waits in its pool. There only tasks up to the depth
 * of p hold hosts, so fewer than maxSize + depth of c: c may start. The queue must not keep it: where tasks are too shallow to
 * start, a deeper one passes them, whatever its priority. That c is delayed (as between attempts) ends by itself, and so
 * does a host that is about to exit and keeps another from being started.
 *
 * Three things can break this, and then the deepest one that its module lets in may start all the same, up to maxDepth
 * hosts beyond maxSize, as soon as nothing runs in any pool; beyond that it fails (see `stuck`):
 * - c is held back by the cap of a module whose places belong to tasks that wait for shallower ones.
 * - c is not deeper than p in this count, as both are deeper than maxDepth: callers that have ended count here.
 * - maxDepth has been lowered.
 *
 * A smaller maxSize takes effect as hosts come free: until then, what is held is the ceiling, which keeps the count true.
 */

/** What the pool needs to know of the hosts that there are. */
export interface HostSupply {
  /** How many hosts are about to exit, and run nothing. */
  readonly leaving: number;
  /** Whether one task more can have a host: one that is there, or one that is started, if fewer than `most` are there. */
  hasHostFor(held: number, most: number): boolean;
}

export class HostCeiling {
  #maxSize: number;
  /** The one in force: it is above `maxSize` for a while after that has become smaller. */
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

  /** One host less is held: so many are. */
  onReleased(held: number): void {
    if (this.#ceiling > this.#maxSize) this.#ceiling = Math.max(this.#maxSize, Math.min(this.#ceiling, held));
  }

  /** How many hosts more tasks of the program may hold; if none, by how many there are too many. */
  room(held: number): number {
    return this.#ceiling - held;
  }

  /** How many hosts may be held when a task of that depth has started. */
  limit(depth: number): number {
    return this.#ceiling + Math.min(depth, this.#maxDepth);
  }
}
