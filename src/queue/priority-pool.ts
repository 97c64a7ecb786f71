/**
 * Decides which task may start now: the slots of one lane, its reserves and its four queues. Pure data: no timers, no
 * I/O.
 *
 * A task may start while fewer than its limit run here:
 *
 *   low       poolSize
 *   normal    poolSize + reserveNormal
 *   high      poolSize + reserveNormal + reserveHigh
 *   critical  no limit of its own
 *
 * and all tasks that hold a host have a common limit: see host-ceiling.ts.
 *
 * While a task of a higher priority waits, no lower one starts, except deep sub-tasks when shallower tasks can't. Tasks
 * of a paused priority block no others, and of them only sub-tasks start, because tasks that run wait for these. Tasks
 * of one priority start first in, first out. A task whose module is full is held back: it blocks no other task, and
 * gets its old place in the queue again as soon as its module has a place for it. The rule is atasker's,
 * https://github.com/alttch/atasker.
 */

import type { Gate } from './gate.ts';
import type { HeldItem } from './held-back.ts';
import { HostCeiling, type HostSupply } from './host-ceiling.ts';
import type { Fifo } from './order/fifo.ts';
import { limitsOf, type PoolLimits, type Priority, priorities } from './priority.ts';
import { WaitingTasks } from './waiting-tasks.ts';

export class PriorityPool<T extends HeldItem<T>> {
  readonly #hosts: HostSupply | undefined;
  readonly #ceiling: HostCeiling;
  readonly #waiting: WaitingTasks<T>;
  #limits: Readonly<Record<Priority, number>>;
  #running = 0;
  /** How many tasks have lent their slot, and hold their host all the same. */
  #lent = 0;
  /** The priorities that are paused; undefined if none is. */
  #paused: ReadonlySet<Priority> | undefined;
  readonly #starts: Record<Priority, number> = { critical: 0, high: 0, normal: 0, low: 0 };

  /** @param hosts The hosts in which the tasks run; absent for the event loop. */
  constructor(limits: PoolLimits, bookmarks = 0, hosts?: HostSupply) {
    this.#hosts = hosts;
    this.#ceiling = new HostCeiling(limits.maxSize ?? Infinity, limits.maxDepth ?? 0);
    this.#waiting = new WaitingTasks(bookmarks);
    this.#limits = limitsOf(limits);
  }

  /** Takes effect at the next `take()`. Tasks that run above a lower limit are left to finish. */
  configure(limits: PoolLimits): void {
    this.#limits = limitsOf(limits);
    this.#ceiling.configure(limits.maxSize ?? Infinity, limits.maxDepth ?? 0, this.held);
  }

  /** Tasks of these priorities don't start, except sub-tasks, and block no others. */
  pause(paused: readonly Priority[]): void {
    this.#paused = paused.length > 0 ? new Set(paused) : undefined;
  }

  /** Whether a waiting task is paused: with its priority, or by its module, if no caller in that waits for it. */
  isPaused(item: T): boolean {
    if (item.bulkhead?.cap === 0 && item.lender === undefined) return true;
    return item.depth === 0 && this.#paused?.has(item.priority) === true;
  }

  /** How many tasks of this priority wait in the queue, without those that are paused. */
  #startable(priority: Priority): number {
    return this.#paused?.has(priority) ? 0 : this.#waiting.ready(priority);
  }

  /** How many tasks hold a host. */
  get held(): number {
    return this.#running + this.#lent;
  }

  get running(): number {
    return this.#running;
  }

  /** How many tasks wait, those that are held back included. */
  get waiting(): number {
    return this.#waiting.size;
  }

  waitingOf(priority: Priority): number {
    return this.queues(priority).reduce((sum, { size }) => sum + size, 0);
  }

  /** How many tasks of that priority have started. */
  starts(priority: Priority): number {
    return this.#starts[priority];
  }

  limit(priority: Priority): number {
    return this.#limits[priority];
  }

  // The tasks that wait.

  /** All queues in which tasks of this priority wait. */
  queues(priority: Priority): readonly [Fifo<T>, ...Fifo<T>[]] {
    return this.#waiting.queues(priority);
  }

  put(item: T): void {
    this.#waiting.put(item);
  }

  /** Queues a task in the place of another one, which has left it. */
  putInPlace(item: T): void {
    this.#waiting.putInPlace(item);
  }

  /** Queues a task behind its older sibling, if that is in the queue; else before all others of its priority. */
  enqueueFirst(item: T, olderSibling?: T): void {
    this.#waiting.enqueueFirst(item, olderSibling);
  }

  /**
   * Puts back a task that was taken and did not begin, before those of its priority that came after it. Its slot stays
   * taken.
   */
  putBack(item: T): void {
    this.#waiting.putBack(item);
  }

  /** Queues a task in the order of `isBefore`, as behind all others if its priority was changed. */
  sortIn(item: T): void {
    this.#waiting.sortIn(item);
  }

  /** Removes a waiting task. */
  remove(item: T): void {
    this.#waiting.remove(item);
  }

  /** The next task that a gate holds back, for each priority. */
  nextOf(gate: Gate<T>): T[] {
    return this.#waiting.nextOf(gate);
  }

  /** Puts a held-back task back where it was in its queue, if its gate is open for it. Returns whether it is. */
  admit(item: T): boolean {
    return this.#waiting.admit(item);
  }

  /** The task that starts after this one, if both are in the queue. Undefined also where that is not known. */
  after(item: T): T | undefined {
    return this.#waiting.after(item);
  }

  // Who may start.

  /** Whether a task of this priority would start at once if the program called it now. */
  hasRoom(priority: Priority): boolean {
    for (const other of priorities) {
      if (this.#startable(other) > 0) return false;
      if (other === priority) break;
    }
    return this.room(priority) > 0;
  }

  /** How many tasks of this priority would start at once if the program called them now. */
  room(priority: Priority): number {
    if (this.#paused?.has(priority)) return 0;
    let room = Math.min(this.#limits[priority] - this.#running, this.#ceiling.room(this.held));
    for (const other of priorities) {
      room -= this.#startable(other);
      if (other === priority) break;
    }
    return Math.max(room, 0);
  }

  /** The task that waits first of all that are not paused. */
  get head(): T | undefined {
    for (const priority of priorities) {
      const item = this.#paused?.has(priority) ? this.#waiting.firstDeep(priority) : this.#waiting.first(priority);
      if (item !== undefined) return item;
    }
    return undefined;
  }

  /** The next task that may start. */
  next(): T | undefined {
    if (this.#waiting.size === 0) return undefined;
    const isBelow = this.#ceiling.room(this.held) > 0;
    for (const priority of priorities) {
      const item = isBelow && !this.#paused?.has(priority) ? this.#waiting.next(priority) : this.#nextDeep(priority);
      if (item === undefined) continue;
      return this.#running < this.#limits[priority] && this.#hasHostFor(item) ? item : undefined;
    }
    return undefined;
  }

  /** The first of the deepest tasks that nothing but slots may hold back, if it is deep enough to start beyond maxSize. */
  #nextDeep(priority: Priority): T | undefined {
    const item = this.#waiting.deepest(priority);
    return item !== undefined && this.held < this.#ceiling.limit(item.depth) ? item : undefined;
  }

  #hasHostFor({ depth }: T): boolean {
    return this.#hosts === undefined || this.#hosts.hasHostFor(this.held, this.#ceiling.limit(depth));
  }

  /**
   * Call it when nothing runs in any pool. If too many hosts are held for the next sub-task to start, it starts all the
   * same; if it can never start, it is returned as `hopeless`, and stays in its queue.
   */
  stuck(): { readonly started: T } | { readonly hopeless: T } | undefined {
    if (this.#waiting.size === 0 || this.#ceiling.room(this.held) > 0 || (this.#hosts?.leaving ?? 0) > 0)
      return undefined;
    for (const priority of priorities) {
      const item = this.#waiting.deepest(priority);
      if (item === undefined) continue;
      return this.held < this.#ceiling.limit(Infinity) ? { started: this.start(item) } : { hopeless: item };
    }
    return undefined;
  }

  /** Takes a slot for the task. Give it back with `release()`. */
  start(item: T): T {
    this.#running += 1;
    this.takeOver(item);
    return item;
  }

  /** Takes a slot for a task that is for one host, whatever the limits. Give it back with `release()`. */
  occupy(): void {
    this.#running += 1;
  }

  /** Whether a task may have the slot and the host of one that runs, when that has ended. */
  mayFollow(item: T): boolean {
    const { priority, depth } = item;
    if (this.#running > this.#limits[priority] || this.held > this.#ceiling.limit(depth)) return false;
    return this.#paused === undefined || !this.isPaused(item);
  }

  /** The task has the slot of another, or shares it. */
  takeOver(item: T): void {
    this.#starts[item.priority] += 1;
    item.bulkhead?.enter(item);
    this.#waiting.remove(item, true);
  }

  /** How many waiting tasks could share a slot with one of this priority: none while a higher one waits. */
  batchCandidates(priority: Priority): number {
    for (const other of priorities) {
      const size = this.#waiting.ready(other);
      if (other === priority) return size;
      if (size > 0) return 0;
    }
    return 0;
  }

  /** Takes the next task of this priority, to share the slot of another, if it fits. */
  dequeueBatch(priority: Priority, fits: (item: T) => boolean): T | undefined {
    const next = this.#waiting.first(priority);
    if (next === undefined || !fits(next)) return undefined;
    if (next.bulkhead?.blocking(next) !== undefined) return undefined;
    if (this.#paused !== undefined && this.isPaused(next)) return undefined;
    this.takeOver(next);
    return next;
  }

  /** A task has released its host, and its slot unless that was lent. */
  release(wasLent = false): void {
    if (wasLent) this.#lent -= 1;
    else this.#running -= 1;
    this.#ceiling.onReleased(this.held);
  }

  /** The slot of a task is free for others; its host is not. */
  lend(): void {
    this.#running -= 1;
    this.#lent += 1;
  }

  /** Takes back a slot that was lent, if need be above the limit. */
  reclaim(): void {
    this.#running += 1;
    this.#lent -= 1;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const priority of priorities) for (const queue of this.queues(priority)) yield* queue;
  }
}
