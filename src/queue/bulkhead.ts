/**
 * The cap of a module: how many of its tasks run at a time, over all lanes. Pure data.
 * A task that waits for tasks which it has called lends its place to one of them at a time. So a full module can't
 * deadlock. The pattern is Nygard's bulkhead, https://learn.microsoft.com/azure/architecture/patterns/bulkhead.
 */

import type { Gate, StartLimits } from './gate.ts';

export interface BulkheadItem<T> {
  /** The nearest of its callers that is in the same module and waits for it. */
  readonly lender: T | undefined;
}

export class Bulkhead<T extends BulkheadItem<T>> implements Gate<T> {
  /** How many items may run at a time. */
  cap: number;
  #running = 0;
  /** How many items wait for a slot, for a place here, or for both. */
  waiting = 0;
  /** What limits its tasks beside the cap; few modules have that. */
  limits: StartLimits<T> | undefined = undefined;
  readonly #borrowers = new Map<T, T>();
  readonly #lenders = new Map<T, T>();

  constructor(cap: number) {
    this.cap = cap;
  }

  /** How many places are taken. A lent place counts once. */
  get running(): number {
    return this.#running;
  }

  get isFull(): boolean {
    return this.#running >= this.cap;
  }

  /** Whether a task may have to wait for it, though it has a slot. */
  get mayBeFull(): boolean {
    return this.isFull || this.limits !== undefined;
  }

  mayEnter(item: T): boolean {
    return !this.isFull || this.#freeLoan(item) !== undefined;
  }

  isOpenFor(item: T): boolean {
    return this.mayEnter(item);
  }

  /** The gate that holds the item back now, this one or one of its limits. Undefined: it may start. */
  blocking(item: T): Gate<T> | undefined {
    return this.limits?.blocking(item) ?? (this.mayEnter(item) ? undefined : this);
  }

  protected lenderOf(item: T): T | undefined {
    return item.lender;
  }

  #freeLoan(item: T): T | undefined {
    const lender = this.lenderOf(item);
    return lender === undefined || this.#borrowers.has(lender) ? undefined : lender;
  }

  /** Takes a place, or borrows one. Call it only if `mayEnter()` is true. */
  enter(item: T): void {
    this.limits?.enter(item);
    if (!this.isFull) {
      this.#running += 1;
      return;
    }
    const lender = this.#freeLoan(item) as T;
    this.#borrowers.set(lender, item);
    this.#lenders.set(item, lender);
  }

  /** Gives back the place of an item. Returns the lender whose place is returned, which may lend it again. */
  leave(item: T): T | undefined {
    const lender = this.#lenders.get(item);
    const borrower = this.#borrowers.get(item);
    if (borrower !== undefined) {
      // The borrower keeps the place: as its own, or on loan from the lender of the one that leaves.
      this.#borrowers.delete(item);
      this.#lenders.delete(borrower);
      if (lender !== undefined) this.#lenders.set(borrower, lender);
    }
    if (lender !== undefined) {
      this.#lenders.delete(item);
      if (borrower === undefined) {
        this.#borrowers.delete(lender);
        return lender;
      }
      this.#borrowers.set(lender, borrower);
    } else if (borrower === undefined) {
      this.#running -= 1;
    }
    return undefined;
  }
}
