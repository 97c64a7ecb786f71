/**
 * The tasks that wait in one pool: those that may start, by priority, and those that are held back at a gate: their module
 * is full, their key has its share, or a rate is used up. A task that is held back blocks no other one, and gets its old
 * place in the queue again as soon as the gate is open for it. Of a fair module, keys take turns. Pure data.
 */
import { ByDepth } from './by-depth.ts';
import type { Gate } from './gate.ts';
import { HeldBack, type HeldItem } from './held-back.ts';
import type { Fifo } from './order/fifo.ts';
import { type Place, placeOf } from './order/place.ts';
import { StartQueue } from './order/start-queue.ts';
import { type Priority, priorities } from './priority.ts';
import { Turns } from './turns.ts';

export class WaitingTasks<T extends HeldItem<T>> {
  readonly #byDepth = new ByDepth<T>();
  readonly #queues: Readonly<Record<Priority, StartQueue<T>>>;
  readonly #held: HeldBack<T>;
  readonly #turns = new Turns<T>();
  #size = 0;

  constructor(bookmarks: number) {
    const queue = () => new StartQueue<T>(bookmarks);
    this.#queues = { critical: queue(), high: queue(), normal: queue(), low: queue() };
    this.#held = new HeldBack(bookmarks);
  }

  /** How many tasks wait, those that are held back included. */
  get size(): number {
    return this.#size;
  }

  /** How many tasks of that priority wait, and are not held back. */
  ready(priority: Priority): number {
    return this.#queues[priority].size;
  }

  /** The one of them that waits first. It may have to be held back. */
  first(priority: Priority): T | undefined {
    return this.#queues[priority].first;
  }

  /** The first of the deepest sub-tasks. It may have to be held back. */
  firstDeep(priority: Priority): T | undefined {
    return this.#byDepth.deepest(priority);
  }

  /** All queues in which tasks of this priority wait. */
  queues(priority: Priority): readonly [Fifo<T>, ...Fifo<T>[]] {
    return [...this.#queues[priority].queues, ...this.#held.queues(priority)];
  }

  put(item: T): void {
    this.#count(item, 1);
    const limits = item.bulkhead?.limits;
    if (limits !== undefined) {
      const turn = limits.turnOf(item);
      if (turn !== undefined) {
        this.#putInTurn(item, turn);
        return;
      }
    }
    this.#queues[item.priority].push(item);
    this.#byDepth.add(item);
  }

  /** Queues a task in the place of another one, which has left it. */
  putInPlace(item: T): void {
    this.#count(item, 1);
    this.#queues[item.priority].sortIn(item);
    this.#byDepth.add(item);
  }

  /** Queues a task in the order of `isBefore`, which may be anywhere. */
  sortIn(item: T): void {
    this.#count(item, 1);
    const turn = item.bulkhead?.limits?.turnOf(item);
    if (turn !== undefined) {
      this.#putInTurn(item, turn);
      return;
    }
    this.#queues[item.priority].sortIn(item);
    this.#byDepth.add(item);
  }

  /** Tasks of one key wait behind that which has its turn. */
  #putInTurn(item: T, turn: Gate<T>): void {
    const { priority } = item;
    if (this.#turns.isTaken(turn, priority) || this.#held.first(turn, priority) !== undefined) {
      this.#held.hold(item, turn);
      return;
    }
    this.#turns.take(item, turn);
    this.#queues[priority].sortIn(item);
  }

  #count(item: T, by: 1 | -1): void {
    const { bulkhead } = item;
    this.#size += by;
    if (bulkhead === undefined) return;
    bulkhead.waiting += by;
    if (by > 0) bulkhead.limits?.onQueued(item);
    else bulkhead.limits?.onDequeued(item);
  }

  /** Queues a task behind its older sibling, if that is in the queue; else before all others of its priority. */
  enqueueFirst(item: T, olderSibling?: T): void {
    this.#queues[item.priority].insert(item, olderSibling?.isHeld ? undefined : olderSibling);
    this.#byDepth.add(item);
    this.#count(item, 1);
  }

  /**
   * Puts back a task that was taken and did not begin, before those of its priority that came after it. Its slot stays
   * taken.
   */
  putBack(item: T): void {
    this.#queues[item.priority].putBack(item);
    this.#byDepth.add(item);
    this.#count(item, 1);
  }

  /** Removes a waiting task, which starts or not. */
  remove(item: T, starts = false): void {
    const { bulkhead, priority, isHeld } = item;
    const gates = bulkhead?.limits?.gatesOf(item);
    if (isHeld) {
      this.#held.remove(item);
    } else {
      this.#queues[priority].remove(item);
      this.#byDepth.delete(item);
    }
    this.#count(item, -1);
    if (bulkhead === undefined) return;
    if (!isHeld) this.#admitNext(bulkhead, priority);
    for (const gate of gates ?? []) {
      const hadTurn = this.#turns.leave(item, gate);
      this.#admitNext(gate, priority, hadTurn && !starts ? (item.place ?? item) : undefined);
    }
  }

  /**
   * The next task that a gate holds back takes its place in the queue, if the gate is open for it. So while a gate is open,
   * one of those that it held back is on its way, and the next one follows when that starts or is removed; in the place of
   * that, if it has not used its turn.
   */
  #admitNext(gate: Gate<T>, priority: Priority, place?: Place): void {
    const next = this.#held.first(gate, priority);
    if (next !== undefined) this.admit(next, place && placeOf(place));
  }

  /** The next task that a gate holds back, for each priority. */
  nextOf(gate: Gate<T>): T[] {
    return priorities.flatMap((priority) => this.#held.first(gate, priority) ?? []);
  }

  /** Puts a held-back task back where it was in its queue, if its gate is open for it. Returns whether it is. */
  admit(item: T, place?: Place): boolean {
    const gate = this.#held.gateOf(item);
    if (!gate.isOpenFor(item)) return false;
    const isTurn = gate === item.bulkhead?.limits?.turnOf(item);
    if (isTurn && this.#turns.isTaken(gate, item.priority)) return false;
    this.#held.remove(item);
    if (isTurn) this.#turns.take(item, gate, place);
    this.#queues[item.priority].sortIn(item);
    this.#byDepth.add(item);
    return true;
  }

  /** The task that starts after this one, if both are in the queue. Undefined also where that is not known. */
  after(item: T): T | undefined {
    return this.#queues[item.priority].after(item);
  }

  /** The first task that nothing but slots may hold back. Those before it are held back at their gates. */
  next(priority: Priority): T | undefined {
    const queue = this.#queues[priority];
    let item = queue.first;
    for (let gate = item?.bulkhead?.blocking(item); gate !== undefined; gate = item?.bulkhead?.blocking(item)) {
      this.#hold(item as T, gate);
      item = queue.first;
    }
    return item;
  }

  /** The first of the deepest tasks that nothing but slots may hold back. */
  deepest(priority: Priority): T | undefined {
    let item = this.#byDepth.deepest(priority);
    for (let gate = item?.bulkhead?.blocking(item); gate !== undefined; gate = item?.bulkhead?.blocking(item)) {
      this.#hold(item as T, gate);
      item = this.#byDepth.deepest(priority);
    }
    return item;
  }

  #hold(item: T, gate: Gate<T>): void {
    this.#queues[item.priority].remove(item);
    this.#byDepth.delete(item);
    if (this.#turns.leave(item, gate)) item.place = undefined; // it waits before the others of its key again
    this.#held.hold(item, gate);
    const { bulkhead, priority } = item;
    if (bulkhead?.limits === undefined) return;
    // It may have been on its way for those that wait at another gate.
    for (const other of [bulkhead, ...bulkhead.limits.gatesOf(item)])
      if (other !== gate) this.#admitNext(other, priority);
  }
}
