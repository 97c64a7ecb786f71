/**
 * A queue of items that all expire after the same time, so the first in expires first. It has one timer while there are
 * items; adding and removing is O(1). The timer may fire late: `check()` expires by the clock. After a late timer the event
 * loop turns once more before items expire, so that an extension that came in time counts, however busy the loop was.
 */
import { now, Timer } from '../../../platform/clock.ts';
import { clearImmediate, setImmediate } from '../../../platform/globals.ts';
import { Fifo, type FifoItem } from '../../../queue/order/fifo.ts';

export interface ExpiringItem<T> extends FifoItem<T> {
  /** On the clock of `now()`; set by the queue. */
  expiresAt: number;
}

/** Sums of clock times are rounded: an item that expires within this time counts as expired. In milliseconds. */
const toleranceMs = 0.01;

/** A timer that fires later than this shows that the event loop was busy. In milliseconds. */
const busyMs = 2;

export class ExpiryQueue<T extends ExpiringItem<T>> {
  readonly #items = new Fifo<T>();
  readonly #keepMs: number;
  readonly #onExpired: (item: T) => void;
  readonly #onChecked: () => void;
  #timer: Timer | undefined;
  #immediate: NodeJS.Immediate | undefined;

  /**
   * @param keepMs How long each item is kept, in milliseconds.
   * @param onExpired Gets each expired item, after its removal.
   * @param onChecked Called after the last of them.
   */
  constructor(keepMs: number, onDue: (item: T) => void, whenChecked: () => void = () => {}) {
    this.#keepMs = keepMs;
    this.#onExpired = onDue;
    this.#onChecked = whenChecked;
  }

  get size(): number {
    return this.#items.size;
  }

  push(item: T): void {
    item.expiresAt = now() + this.#keepMs;
    this.#items.push(item);
    this.#startTimer();
  }

  /** The item must be in this queue. */
  remove(item: T): void {
    this.#items.remove(item);
    if (this.#items.size === 0) this.#stopTimer();
  }

  /** Starts the time of an item again. */
  renew(item: T): void {
    this.#items.remove(item);
    this.push(item);
  }

  /** Removes what has expired. */
  check(): void {
    let item = this.#items.first;
    if (item === undefined || item.expiresAt - now() > toleranceMs) return;
    while (item !== undefined && item.expiresAt - now() <= toleranceMs) {
      this.remove(item);
      this.#onExpired(item);
      item = this.#items.first;
    }
    this.#onChecked();
  }

  clear(): void {
    this.#stopTimer();
    while (this.#items.shift() !== undefined);
  }

  #startTimer(): void {
    const { first } = this.#items;
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = new Timer(Math.max(Math.ceil(first.expiresAt - now() - toleranceMs), 0), () => {
      const wasBusy = now() - (this.#items.first as T).expiresAt > busyMs;
      // Not unref'd: a quiet loop would not turn for it.
      if (wasBusy) this.#immediate = setImmediate(() => this.#fire());
      else this.#fire();
    });
  }

  #fire(): void {
    this.#timer = undefined;
    this.check();
    this.#startTimer();
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    clearImmediate(this.#immediate);
  }
}
