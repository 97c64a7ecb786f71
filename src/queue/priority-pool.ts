/**
 * Who may start now: the slots of one lane, its reserves and the four queues. Pure data: no timers, no I/O.
 *
 * A task may start while fewer than its limit run here:
 *
 *   low       poolSize
 *   normal    poolSize + reserveNormal
 *   high      poolSize + reserveNormal + reserveHigh
 *   critical  no limit of its own
 *
 * and all that hold a host have a ceiling: see host-ceiling.ts.
 *
 * While a task of a higher priority waits, no lower one starts, but for deep ones while shallow ones can't; inside one
 * priority, first in, first out. A task whose module is full is held back: it blocks none, and has its old place again
 * as soon as its module has one for it.
 * The rule is atasker's, https://github.com/alttch/atasker.
 */
import type { Bulkhead } from './bulkhead.ts';
import { ByDepth } from './by-depth.ts';
import { Fifo } from './fifo.ts';
import { HeldBack, type HeldItem } from './held-back.ts';
import { HostCeiling, type HostSupply } from './host-ceiling.ts';
import { type Priority, priorities } from './priority.ts';

export interface PoolLimits {
  /** Slots for tasks of any priority. 0: no limit. */
  readonly poolSize: number;
  /** More slots, for normal tasks and above. */
  readonly reserveNormal: number;
  /** More slots, for high and critical tasks. */
  readonly reserveHigh: number;
  /** At most this many hosts are held by tasks of the program, whatever the sum above. Default: Infinity. */
  readonly maxSize?: number;
  /** How many more may be held by tasks that tasks have called. Default: 0. */
  readonly maxDepth?: number;
}

export class PriorityPool<T extends HeldItem<T>> {
  readonly #hosts: HostSupply | undefined;
  readonly #ceiling: HostCeiling;
  readonly #byDepth = new ByDepth<T>();
  readonly #queues: Readonly<Record<Priority, Fifo<T>>>;
  readonly #held: HeldBack<T>;
  #limits: Readonly<Record<Priority, number>>;
  #running = 0;
  /** How many have lent their slot, and hold a host all the same. */
  #lent = 0;
  #waiting = 0;
  readonly #starts: Record<Priority, number> = { critical: 0, high: 0, normal: 0, low: 0 };

  /** @param hosts Where the tasks run, if that is in hosts. */
  constructor(limits: PoolLimits, bookmarks = 0, hosts?: HostSupply) {
    this.#hosts = hosts;
    this.#ceiling = new HostCeiling(limits.maxSize ?? Infinity, limits.maxDepth ?? 0);
    const queue = () => new Fifo<T>(bookmarks);
    const queues = () => ({ critical: queue(), high: queue(), normal: queue(), low: queue() });
    this.#queues = queues();
    this.#held = new HeldBack(queues);
    this.#limits = limitsOf(limits);
  }

  /** Takes effect at the next `take`; what runs above a smaller limit is left to finish. */
  configure(limits: PoolLimits): void {
    this.#limits = limitsOf(limits);
    this.#ceiling.configure(limits.maxSize ?? Infinity, limits.maxDepth ?? 0, this.held);
  }

  /** How many tasks hold a host. */
  get held(): number {
    return this.#running + this.#lent;
  }

  get running(): number {
    return this.#running;
  }

  /** Those that are held back, too. */
  get waiting(): number {
    return this.#waiting;
  }

  waitingOf(priority: Priority): number {
    return this.queues(priority).reduce((sum, { size }) => sum + size, 0);
  }

  /** How many of that priority were taken. */
  starts(priority: Priority): number {
    return this.#starts[priority];
  }

  limit(priority: Priority): number {
    return this.#limits[priority];
  }

  /** All in which tasks of this priority wait. */
  queues(priority: Priority): readonly [Fifo<T>, ...Fifo<T>[]] {
    return [this.#queues[priority], ...this.#held.queues(priority)];
  }

  put(item: T): void {
    this.#queues[item.priority].push(item);
    this.#byDepth.add(item);
    this.#count(item, 1);
  }

  #count({ bulkhead }: T, by: 1 | -1): void {
    this.#waiting += by;
    if (bulkhead !== undefined) bulkhead.waiting += by;
  }

  /** Puts a task before all others of its priority, but for `olderSibling`, which it goes behind. */
  enqueueFirst(item: T, olderSibling?: T): void {
    this.#queues[item.priority].insert(item, olderSibling?.isHeld ? undefined : olderSibling);
    this.#byDepth.add(item);
    this.#count(item, 1);
  }

  /**
   * Puts a task that was taken, but did not begin, back before those of its priority that came after it. Its slot stays
   * taken.
   */
  putBack(item: T): void {
    this.#queues[item.priority].putBack(item);
    this.#byDepth.add(item);
    this.#count(item, 1);
  }

  /** Takes a waiting task out. */
  remove(item: T): void {
    this.#count(item, -1);
    if (item.isHeld) this.#held.remove(item);
    else this.#leaveQueue(item);
  }

  /** Whoever is held back behind it in its module follows, if there is a place. */
  #leaveQueue(item: T): void {
    const { bulkhead, priority } = item;
    this.#queues[priority].remove(item);
    this.#byDepth.delete(item);
    const next = bulkhead && this.#held.first(bulkhead, priority);
    if (next !== undefined && bulkhead?.mayEnter(next)) this.admit(next);
  }

  /** Who is held back, and is the next to go of a module: one of each priority. */
  nextOf(bulkhead: Bulkhead<T>): T[] {
    return priorities.flatMap((priority) => this.#held.first(bulkhead, priority) ?? []);
  }

  /** Puts one that is held back where it was in its queue. */
  admit(item: T): void {
    this.#held.remove(item);
    this.#queues[item.priority].putBack(item);
    this.#byDepth.add(item);
  }

  /** Whether a task of this priority that came now would start at once, if no task has called it. */
  hasRoom(priority: Priority): boolean {
    for (const other of priorities) {
      if (this.#queues[other].size > 0) return false;
      if (other === priority) break;
    }
    return this.room(priority) > 0;
  }

  /** How many tasks of this priority that came now would start at once, if no task has called them. */
  room(priority: Priority): number {
    let room = Math.min(this.#limits[priority] - this.#running, this.#ceiling.room(this.held));
    for (const other of priorities) {
      room -= this.#queues[other].size;
      if (other === priority) break;
    }
    return Math.max(room, 0);
  }

  /** The next task that may start, with a slot taken for it, or undefined. Give the slot back with `release`. */
  take(): T | undefined {
    if (this.#waiting === 0) return undefined;
    const isBelow = this.#ceiling.room(this.held) > 0;
    for (const priority of priorities) {
      const item = isBelow ? this.#next(priority) : this.#nextDeep(priority);
      if (item === undefined) continue;
      return this.#running < this.#limits[priority] && this.#hasHostFor(item) ? this.#start(item) : undefined;
    }
    return undefined;
  }

  /** The first whose module has a place; those before it are held back. */
  #next(priority: Priority): T | undefined {
    const queue = this.#queues[priority];
    let item = queue.first;
    while (item?.bulkhead && !item.bulkhead.mayEnter(item)) {
      this.#hold(item);
      item = queue.first;
    }
    return item;
  }

  /** The first of the deepest whose module has a place, if it is deep enough to start beyond the ceiling. */
  #nextDeep(priority: Priority): T | undefined {
    const item = this.#deepest(priority);
    return item !== undefined && this.held < this.#ceiling.limit(item.depth) ? item : undefined;
  }

  #deepest(priority: Priority): T | undefined {
    let item = this.#byDepth.deepest(priority);
    while (item?.bulkhead && !item.bulkhead.mayEnter(item)) {
      this.#hold(item);
      item = this.#byDepth.deepest(priority);
    }
    return item;
  }

  #hold(item: T): void {
    this.#queues[item.priority].remove(item);
    this.#byDepth.delete(item);
    this.#held.hold(item);
  }

  #hasHostFor({ depth }: T): boolean {
    return this.#hosts === undefined || this.#hosts.hasHostFor(this.held, this.#ceiling.limit(depth));
  }

  /**
   * For when nothing runs in any pool: the next of those that tasks have called, if too many hosts are held for it. It
   * may start all the same, or never: then it is given as `hopeless`, and left where it is.
   */
  stuck(): { readonly started: T } | { readonly hopeless: T } | undefined {
    if (this.#waiting === 0 || this.#ceiling.room(this.held) > 0 || (this.#hosts?.leaving ?? 0) > 0) return undefined;
    for (const priority of priorities) {
      const item = this.#deepest(priority);
      if (item === undefined) continue;
      return this.held < this.#ceiling.limit(Infinity) ? { started: this.#start(item) } : { hopeless: item };
    }
    return undefined;
  }

  /** It has a slot from now on. */
  #start(item: T): T {
    this.#running += 1;
    this.#enter(item);
    return item;
  }

  #enter(item: T): void {
    this.#starts[item.priority] += 1;
    item.bulkhead?.enter(item);
    this.remove(item);
  }

  /** How many waiting tasks may share a slot that one of this priority has: none while a higher one waits. */
  batchCandidates(priority: Priority): number {
    for (const other of priorities) {
      const { size } = this.#queues[other];
      if (other === priority) return size;
      if (size > 0) return 0;
    }
    return 0;
  }

  /** The next task of this priority, to share the slot of another. */
  dequeueBatch(priority: Priority, fits: (item: T) => boolean): T | undefined {
    const next = this.#queues[priority].first;
    if (next === undefined || !fits(next)) return undefined;
    if (next.bulkhead && !next.bulkhead.mayEnter(next)) return undefined;
    this.#enter(next);
    return next;
  }

  /** A task that held a host does so no more. */
  release(wasLent = false): void {
    if (wasLent) this.#lent -= 1;
    else this.#running -= 1;
    this.#ceiling.onReleased(this.held);
  }

  /** The slot of a task is for others, though its host is not. */
  lend(): void {
    this.#running -= 1;
    this.#lent += 1;
  }

  /** Takes a slot that was lent back, if need be above the limit. */
  reclaim(): void {
    this.#running += 1;
    this.#lent -= 1;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const priority of priorities) for (const queue of this.queues(priority)) yield* queue;
  }
}

function limitsOf({ poolSize, reserveNormal, reserveHigh, maxSize = Infinity }: PoolLimits): Record<Priority, number> {
  const low = poolSize === 0 ? Infinity : poolSize;
  return {
    critical: maxSize,
    high: Math.min(low + reserveNormal + reserveHigh, maxSize),
    normal: Math.min(low + reserveNormal, maxSize),
    low: Math.min(low, maxSize),
  };
}
