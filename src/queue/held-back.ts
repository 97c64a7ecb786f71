/**
 * The tasks of one pool that are held back, each at the gate that is closed for it, in the order in which they start. Most
 * gates are full modules. Pure data.
 */
import type { Bulkhead, BulkheadItem } from './bulkhead.ts';
import type { Gate } from './gate.ts';
import { Fifo, type FifoItem } from './order/fifo.ts';
import type { Place } from './order/place.ts';
import type { Priority } from './priority.ts';

export interface HeldItem<T extends BulkheadItem<T>> extends FifoItem<T>, BulkheadItem<T>, Place {
  readonly priority: Priority;
  readonly bulkhead: Bulkhead<T> | undefined;
  /** How many tasks have called one another, down to this one; 0: the program has called it. */
  readonly depth: number;
  /** Its place where it has that of another task; else it is its own. */
  place: Place | undefined;
  /** Whether the task is held back, and not in the queue of its priority. */
  isHeld: boolean;
}

type Queues<T extends HeldItem<T>> = Partial<Record<Priority, Fifo<T>>>;

export class HeldBack<T extends HeldItem<T>> {
  readonly #byGate = new Map<Gate<T>, Queues<T>>();
  /** The gates of those that are not held back by the cap of their module. */
  readonly #gates = new Map<T, Gate<T>>();
  readonly #bookmarks: number;

  constructor(bookmarks: number) {
    this.#bookmarks = bookmarks;
  }

  hold(item: T, gate: Gate<T>): void {
    const { priority, bulkhead } = item;
    let queues = this.#byGate.get(gate);
    if (queues === undefined) {
      queues = {};
      this.#byGate.set(gate, queues);
    }
    queues[priority] ??= new Fifo(this.#bookmarks);
    if (gate !== bulkhead) this.#gates.set(item, gate);
    item.isHeld = true;
    queues[priority].sortIn(item);
  }

  /** The gate at which a held-back task waits. */
  gateOf(item: T): Gate<T> {
    return this.#gates.get(item) ?? (item.bulkhead as Bulkhead<T>);
  }

  remove(item: T): void {
    const gate = this.gateOf(item);
    const queues = this.#byGate.get(gate) as Queues<T>;
    queues[item.priority]?.remove(item);
    this.#gates.delete(item);
    item.isHeld = false;
    if (Object.values(queues).every(({ size }) => size === 0)) this.#byGate.delete(gate);
  }

  /** The next task of a gate and priority. */
  first(gate: Gate<T>, priority: Priority): T | undefined {
    return this.#byGate.get(gate)?.[priority]?.first;
  }

  *queues(priority: Priority): Generator<Fifo<T>> {
    for (const queues of this.#byGate.values()) {
      const queue = queues[priority];
      if (queue !== undefined) yield queue;
    }
  }
}
