/**
 * A first in, first out queue with O(1) put, take and removal from any place. It is a linked list whose links are
 * fields of the items: waiting costs no allocation, and an item is in one queue at a time. Each bookmark points at the
 * first item that `pass()` has not passed yet.
 */

export interface FifoItem<T> {
  next: T | undefined;
  previous: T | undefined;
  /** Whether it came before the other. */
  isBefore(other: T): boolean;
}

export class Fifo<T extends FifoItem<T>> {
  #head: T | undefined;
  #tail: T | undefined;
  #size = 0;
  /** The item that was sorted in last: the next one often goes right behind it. */
  #sorted: T | undefined;
  readonly #bookmarks: (T | undefined)[];

  constructor(bookmarks = 0) {
    this.#bookmarks = new Array(bookmarks).fill(undefined);
  }

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    item.previous = this.#tail;
    if (this.#tail === undefined) this.#head = item;
    else this.#tail.next = item;
    this.#tail = item;
    this.#size += 1;
    for (let i = 0; i < this.#bookmarks.length; i += 1) this.#bookmarks[i] ??= item;
  }

  /**
   * Puts an item back where it was: behind those at the head that came before it, and before all others.
   * The bookmarks go back to the head, so items behind it may be passed again.
   */
  putBack(item: T): void {
    let next = this.#head;
    while (next?.isBefore(item)) next = next.next;
    this.#link(item, next);
  }

  /**
   * Inserts an item in order, into a queue that is in order. Fast at the end, and right behind the last item that was
   * sorted in.
   */
  sortIn(item: T): void {
    if (this.#tail === undefined || this.#tail.isBefore(item)) {
      this.push(item);
      return;
    }
    let previous = this.#sorted;
    while (previous !== undefined && !previous.isBefore(item)) previous = previous.previous;
    let next = previous === undefined ? this.#head : previous.next;
    while (next?.isBefore(item)) next = next.next;
    this.#link(item, next);
    this.#sorted = item;
  }

  /** Inserts an item behind its older sibling, which is in this queue; without one, before all others. */
  insert(item: T, olderSibling?: T): void {
    this.#link(item, olderSibling === undefined ? this.#head : olderSibling.next);
  }

  #link(item: T, next: T | undefined): void {
    item.next = next;
    item.previous = next === undefined ? this.#tail : next.previous;
    if (item.previous === undefined) this.#head = item;
    else item.previous.next = item;
    if (next === undefined) this.#tail = item;
    else next.previous = item;
    this.#bookmarks.fill(this.#head);
    this.#size += 1;
  }

  /** Whether an item that is in no other queue is in this one. */
  has(item: T): boolean {
    return item.previous !== undefined || this.#head === item;
  }

  get first(): T | undefined {
    return this.#head;
  }

  get last(): T | undefined {
    return this.#tail;
  }

  shift(): T | undefined {
    const item = this.#head;
    if (item !== undefined) this.remove(item);
    return item;
  }

  /** The item must be in this queue. */
  remove(item: T): void {
    for (let i = 0; i < this.#bookmarks.length; i += 1) {
      if (this.#bookmarks[i] === item) this.#bookmarks[i] = item.next;
    }
    if (this.#sorted === item) this.#sorted = item.previous;
    if (item.previous === undefined) this.#head = item.next;
    else item.previous.next = item.next;
    if (item.next === undefined) this.#tail = item.previous;
    else item.next.previous = item.previous;
    item.next = undefined;
    item.previous = undefined;
    this.#size -= 1;
  }

  /** The first item that bookmark `index` has not passed. */
  bookmark(index: number): T | undefined {
    return this.#bookmarks[index];
  }

  /** Moves bookmark `index` past its item and returns that item. */
  pass(index: number): T | undefined {
    const item = this.#bookmarks[index];
    if (item !== undefined) this.#bookmarks[index] = item.next;
    return item;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let item = this.#head; item !== undefined; item = item.next) yield item;
  }
}
