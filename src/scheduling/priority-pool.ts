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
 * While a task of a higher priority waits, no lower one starts; inside one priority, first in, first out.
 * The rule is atasker's, https://github.com/alttch/atasker.
 */
import { Fifo, type FifoItem } from './fifo.ts';

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

export interface PoolItem<T> extends FifoItem<T> {
  readonly priority: Priority;
}

export class PriorityPool<T extends PoolItem<T>> {
  readonly #queues: Readonly<Record<Priority, Fifo<T>>>;
  #limits: Readonly<Record<Priority, number>>;
  #running = 0;
  #waiting = 0;

  constructor(limits: PoolLimits, bookmarks = 0) {
    const queue = () => new Fifo<T>(bookmarks);
    this.#queues = { critical: queue(), high: queue(), normal: queue(), low: queue() };
    this.#limits = limitsOf(limits);
  }

  /** Takes effect at the next `take`; what runs above a smaller limit is left to finish. */
  configure(limits: PoolLimits): void {
    this.#limits = limitsOf(limits);
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting;
  }

  limit(priority: Priority): number {
    return this.#limits[priority];
  }

  queue(priority: Priority): Fifo<T> {
    return this.#queues[priority];
  }

  put(item: T): void {
    this.#queues[item.priority].push(item);
    this.#waiting += 1;
  }

  /** Puts a task before all others of its priority, but for `elder`, which it goes behind. */
  putFirst(item: T, elder?: T): void {
    this.#queues[item.priority].insert(item, elder);
    this.#waiting += 1;
  }

  /**
   * Puts a task that was taken, but did not begin, back before those of its priority that came after it. Its slot stays
   * taken.
   */
  putBack(item: T): void {
    this.#queues[item.priority].putBack(item);
    this.#waiting += 1;
  }

  /** Takes a waiting task out. */
  remove(item: T): void {
    this.#queues[item.priority].remove(item);
    this.#waiting -= 1;
  }

  /** Whether a task of this priority that came now would start at once. */
  hasRoom(priority: Priority): boolean {
    for (const other of priorities) {
      if (other === priority) return this.#running < this.#limits[priority] && this.#queues[priority].size === 0;
      if (this.#queues[other].size > 0) return false;
    }
    return false;
  }

  /** The next task that may start, with a slot taken for it, or undefined. Give the slot back with `release`. */
  take(): T | undefined {
    if (this.#waiting === 0) return undefined;
    for (const priority of priorities) {
      const queue = this.#queues[priority];
      if (queue.size === 0) continue;
      if (this.#running >= this.#limits[priority]) return undefined;
      this.#waiting -= 1;
      this.#running += 1;
      return queue.shift();
    }
    return undefined;
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
    this.remove(next);
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
    for (const priority of priorities) yield* this.#queues[priority];
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
