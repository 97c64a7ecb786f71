/**
 * The tasks of one pool and priority that may start, as far as slots allow: a first in, first out queue, and those that
 * were held back and are to go between others. A queue can't be entered in its middle without walking there, so these
 * are kept beside it, in a heap. Both have one order.
 */
import { Fifo, type FifoItem } from './fifo.ts';
import { Heap } from './heap.ts';

export class StartQueue<T extends FifoItem<T>> {
  readonly #fifo: Fifo<T>;
  /** The items of the heap, for those who go through all items. */
  readonly #between: Fifo<T>;
  readonly #heap = new Heap<T>((a, b) => a.isBefore(b));

  constructor(bookmarks: number) {
    this.#fifo = new Fifo(bookmarks);
    this.#between = new Fifo(bookmarks);
  }

  get size(): number {
    return this.#fifo.size + this.#between.size;
  }

  get first(): T | undefined {
    const first = this.#fifo.first;
    const other = this.#heap.first;
    if (other === undefined || first === undefined) return first ?? other;
    return other.isBefore(first) ? other : first;
  }

  /** The one that starts after this one; undefined also where that is not known. */
  after(item: T): T | undefined {
    return this.#heap.size === 0 ? item.next : undefined;
  }

  push(item: T): void {
    this.#fifo.push(item);
  }

  /** Puts an item back that was at the head. */
  putBack(item: T): void {
    this.#fifo.putBack(item);
  }

  /** Queues an item in its order, which may be anywhere. */
  sortIn(item: T): void {
    const { first, last } = this.#fifo;
    if (last === undefined || last.isBefore(item)) {
      this.#fifo.push(item);
    } else if (first !== undefined && !first.isBefore(item)) {
      this.#fifo.putBack(item);
    } else {
      this.#between.push(item);
      this.#heap.add(item);
    }
  }

  /** Queues an item behind its older sibling, if that is here; else before all others. */
  insert(item: T, olderSibling?: T): void {
    this.#fifo.insert(item, olderSibling && this.#heap.has(olderSibling) ? undefined : olderSibling);
  }

  remove(item: T): void {
    if (this.#heap.size > 0 && this.#heap.delete(item)) this.#between.remove(item);
    else this.#fifo.remove(item);
  }

  /** All its items. */
  get queues(): readonly [Fifo<T>, Fifo<T>] {
    return [this.#fifo, this.#between];
  }
}
