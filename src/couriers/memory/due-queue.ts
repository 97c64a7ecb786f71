/**
 * Items that are all kept equally long, so that the one that came first is due first. One timer, and only while there are
 * items; adding and removing is O(1). A timer may fire late: `check` tells what is due by the clock; and after a late timer
 * the event loop turns once more, so that who renews an item in time is heard, however busy the loop was.
 */
import { now, Timer } from '../../platform/clock.ts';
import { clearImmediate, setImmediate } from '../../platform/globals.ts';
import { Fifo, type FifoItem } from '../../queue/fifo.ts';

export interface DueItem<T> extends FifoItem<T> {
  /** On the clock of `now()`; the queue sets it. */
  dueAt: number;
}

/** Sums of clock times are rounded: what is due so soon is due, in milliseconds. */
const toleranceMs = 0.01;

/** A timer that is later than this says that the event loop was busy, in milliseconds. */
const busyMs = 2;

export class DueQueue<T extends DueItem<T>> {
  readonly #items = new Fifo<T>();
  readonly #keepMs: number;
  readonly #onDue: (item: T) => void;
  readonly #whenChecked: () => void;
  #timer: Timer | undefined;
  #turn: NodeJS.Immediate | undefined;

  /**
   * @param onDue Gets each item that is due, when it was taken out.
   * @param whenChecked Is called after the last of them.
   */
  constructor(keepMs: number, onDue: (item: T) => void, whenChecked: () => void = () => {}) {
    this.#keepMs = keepMs;
    this.#onDue = onDue;
    this.#whenChecked = whenChecked;
  }

  get size(): number {
    return this.#items.size;
  }

  push(item: T): void {
    item.dueAt = now() + this.#keepMs;
    this.#items.push(item);
    this.#arm();
  }

  /** The item must be in this queue. */
  remove(item: T): void {
    this.#items.remove(item);
    if (this.#items.size === 0) this.#disarm();
  }

  /** Begins the time of an item anew. */
  renew(item: T): void {
    this.#items.remove(item);
    this.push(item);
  }

  /** Takes out what is due. */
  check(): void {
    let item = this.#items.first;
    if (item === undefined || item.dueAt - now() > toleranceMs) return;
    while (item !== undefined && item.dueAt - now() <= toleranceMs) {
      this.remove(item);
      this.#onDue(item);
      item = this.#items.first;
    }
    this.#whenChecked();
  }

  clear(): void {
    this.#disarm();
    while (this.#items.shift() !== undefined);
  }

  #arm(): void {
    const { first } = this.#items;
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = new Timer(Math.max(Math.ceil(first.dueAt - now() - toleranceMs), 0), () => {
      const wasBusy = now() - (this.#items.first as T).dueAt > busyMs;
      if (wasBusy) this.#turn = setImmediate(() => this.#fire()).unref();
      else this.#fire();
    });
  }

  #fire(): void {
    this.#timer = undefined;
    this.check();
    this.#arm();
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    clearImmediate(this.#turn);
  }
}
