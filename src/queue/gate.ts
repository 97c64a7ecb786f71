/** What may hold a waiting task back though a slot is free: a module that is full, a key that has its share, a rate. */

export interface Gate<T> {
  /** Whether the item may start, as far as this gate is asked. */
  isOpenFor(item: T): boolean;
}

/** The limits of a module beside its cap. */
export interface StartLimits<T> {
  /** The gate that holds the item back now. Undefined: it may start. */
  blocking(item: T): Gate<T> | undefined;
  /** The item waits from now on. */
  onQueued(item: T): void;
  /** The item waits no longer: it starts, or was removed. */
  onDequeued(item: T): void;
  /** The item starts. */
  enter(item: T): void;
  /** The item has ended, or goes back to its queue. Gives the gate that may be open for another. */
  leave(item: T): Gate<T> | undefined;
  /** The gate of its key at which the item takes turns with other keys; undefined: it need not. */
  turnOf(item: T): Gate<T> | undefined;
  /** The gates that wait for something else than the cap of the module, of an item that waits. */
  gatesOf(item: T): Iterable<Gate<T>>;
  /** Tasks that have their place of a key back, and may lend it again, since the last call. */
  takeLenders(): readonly T[];
}
