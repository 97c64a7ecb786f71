/**
 * Who may start now: the slots of one lane, its reserves and the four queues. Pure data: no timers, no I/O.
 *
 * A task may start while fewer than its limit run here:
 *
 *   low       poolSize
 *   normal    poolSize + reserveNormal
 *   high      poolSize + reserveNormal + reserveHigh
 *   critical  always
 *
 * While a task of a higher priority waits, no lower one starts; inside one priority, first in, first out. A task whose
 * module is full is held back: it blocks none, and has its old place again as soon as its module has one for it.
 * The rule is atasker's, https://github.com/alttch/atasker.
 */
import type { Bulkhead } from './bulkhead.ts';
import { Fifo } from './fifo.ts';
import { HeldBack, type HeldItem } from './held-back.ts';

/** From the most urgent to the least. */
export const priorities = ['critical', 'high', 'normal', 'low'] as const;

/** How urgent a task is. A higher one starts before all lower ones, and finds slots that are kept for it. */
export type Priority = (typeof priorities)[number];

export interface PoolLimits {
  /** Slots for tasks of any priority. 0: no limit. */
  readonly poolSize: number;
  /** More slots, for normal tasks and above. */
  readonly reserveNormal: number;
  /** More slots, for high and critical tasks. */
  readonly reserveHigh: number;
  /** At most this many tasks below critical run, whatever the sum above. */
  readonly ceiling?: number;
}

export class PriorityPool<T extends HeldItem<T>> {
  readonly #queues: Readonly<Record<Priority, Fifo<T>>>;
  readonly #held: HeldBack<T>;
  #limits: Readonly<Record<Priority, number>>;
  #running = 0;
  #waiting = 0;

  constructor(limits: PoolLimits, bookmarks = 0) {
    const queue = () => new Fifo<T>(bookmarks);
    const queues = () => ({ critical: queue(), high: queue(), normal: queue(), low: queue() });
    this.#queues = queues();
    this.#held = new HeldBack(queues);
    this.#limits = limitsOf(limits);
  }

  /** Takes effect at the next `take`; what runs above a smaller limit is left to finish. */
  configure(limits: PoolLimits): void {
    this.#limits = limitsOf(limits);
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

  limit(priority: Priority): number {
    return this.#limits[priority];
  }

  /** All in which tasks of this priority wait. */
  queues(priority: Priority): readonly [Fifo<T>, ...Fifo<T>[]] {
    return [this.#queues[priority], ...this.#held.queues(priority)];
  }

  put(item: T): void {
    this.#queues[item.priority].push(item);
    this.#count(item, 1);
  }

  #count({ bulkhead }: T, by: 1 | -1): void {
    this.#waiting += by;
    if (bulkhead !== undefined) bulkhead.waiting += by;
  }

  /** Puts a task before all others of its priority, but for `elder`, which it goes behind. */
  putFirst(item: T, elder?: T): void {
    this.#queues[item.priority].insert(item, elder?.isHeld ? undefined : elder);
    this.#count(item, 1);
  }

  /**
   * Puts a task that was taken, but did not begin, back before those of its priority that came after it. Its slot stays
   * taken.
   */
  putBack(item: T): void {
    this.#queues[item.priority].putBack(item);
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
    const next = bulkhead && this.#held.first(bulkhead, priority);
    if (next !== undefined && bulkhead?.mayEnter(next)) this.letGo(next);
  }

  /** Who is held back, and is the next to go of a module: one of each priority. */
  nextOf(bulkhead: Bulkhead<T>): T[] {
    return priorities.flatMap((priority) => this.#held.first(bulkhead, priority) ?? []);
  }

  /** Puts one that is held back where it was in its queue. */
  letGo(item: T): void {
    this.#held.remove(item);
    this.#queues[item.priority].putBack(item);
  }

  /** Whether a task of this priority that came now would start at once. */
  hasRoom(priority: Priority): boolean {
    for (const other of priorities) {
      if (other === priority) return this.#running < this.#limits[priority] && this.#queues[priority].size === 0;
      if (this.#queues[other].size > 0) return false;
    }
    return false;
  }

  /** How many tasks of this priority that came now would start at once. */
  room(priority: Priority): number {
    let room = this.#limits[priority] - this.#running;
    for (const other of priorities) {
      room -= this.#queues[other].size;
      if (other === priority) break;
    }
    return Math.max(room, 0);
  }

  /** The next task that may start, with a slot taken for it, or undefined. Give the slot back with `release`. */
  take(): T | undefined {
    if (this.#waiting === 0) return undefined;
    for (const priority of priorities) {
      const item = this.#next(priority);
      if (item === undefined) continue;
      if (this.#running >= this.#limits[priority]) return undefined;
      this.#running += 1;
      this.#start(item);
      return item;
    }
    return undefined;
  }

  /** The first whose module has a place; those before it are held back. */
  #next(priority: Priority): T | undefined {
    const queue = this.#queues[priority];
    let item = queue.first;
    while (item?.bulkhead && !item.bulkhead.mayEnter(item)) {
      queue.remove(item);
      this.#held.hold(item);
      item = queue.first;
    }
    return item;
  }

  #start(item: T): void {
    item.bulkhead?.enter(item);
    this.remove(item);
  }

  /** How many waiting tasks may share a slot that one of this priority has: none while a higher one waits. */
  companions(priority: Priority): number {
    for (const other of priorities) {
      const { size } = this.#queues[other];
      if (other === priority) return size;
      if (size > 0) return 0;
    }
    return 0;
  }

  /** The next task of this priority, to share the slot of another. */
  takeAlong(priority: Priority, fits: (item: T) => boolean): T | undefined {
    const next = this.#queues[priority].first;
    if (next === undefined || !fits(next)) return undefined;
    if (next.bulkhead && !next.bulkhead.mayEnter(next)) return undefined;
    this.#start(next);
    return next;
  }

  release(): void {
    this.#running -= 1;
  }

  /** Takes a slot that was lent back, if need be above the limit. */
  reclaim(): void {
    this.#running += 1;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const priority of priorities) for (const queue of this.queues(priority)) yield* queue;
  }
}

function limitsOf({ poolSize, reserveNormal, reserveHigh, ceiling = Infinity }: PoolLimits): Record<Priority, number> {
  const low = poolSize === 0 ? Infinity : poolSize;
  return {
    critical: Infinity,
    high: Math.min(low + reserveNormal + reserveHigh, ceiling),
    normal: Math.min(low + reserveNormal, ceiling),
    low: Math.min(low, ceiling),
  };
}
