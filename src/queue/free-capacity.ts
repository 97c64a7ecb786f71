/**
 * How many tasks could start at once on a supervisor: workers that fetch tasks from a courier fetch no more than that.
 * Slots are reserved for fetched tasks until these are submitted, so that no slot is used twice. Pure data: no timers,
 * no I/O.
 */
import type { Priority } from './priority.ts';

/** The slots of a pool. */
interface PoolSlots {
  room(priority: Priority): number;
}

/** The cap of a module. */
interface ModulePlaces {
  readonly cap: number;
  readonly running: number;
}

/** What a task needs to start: a slot, or a share of one, and a place in its module. */
export interface Demand<K> {
  readonly type: K;
  /** Tasks of one definition may share a slot. */
  readonly definition?: { readonly index: number };
  readonly transfer?: unknown;
  readonly module?: { readonly bulkhead: ModulePlaces } | undefined;
}

/** Shares of slots that were reserved and released do not add up to 0 exactly. */
const rounding = 1e-6;

export class FreeCapacity<K> {
  readonly #slotsOf: (type: K) => PoolSlots;
  readonly #perSlot: (demand: Demand<K>) => number;
  readonly #reserved = new Map<PoolSlots | ModulePlaces, number>();
  readonly #listeners = new Set<() => void>();

  /** @param perSlot Gives how many tasks can share one slot, at least 1. */
  constructor(slotsOf: (type: K) => PoolSlots, perSlot: (demand: Demand<K>) => number = () => 1) {
    this.#slotsOf = slotsOf;
    this.#perSlot = perSlot;
  }

  /** How many tasks of that priority could start at once, whichever of the demands each of them has. */
  count(priority: Priority, demands: readonly Demand<K>[]): number {
    let count = Infinity;
    for (const demand of demands) {
      const { type, module } = demand;
      const slots = this.#slotsOf(type);
      const free = slots.room(priority) - this.#reservedOf(slots);
      count = Math.min(count, Math.floor(free * this.#perSlot(demand) + rounding));
      if (module === undefined) continue;
      const { bulkhead } = module;
      count = Math.min(count, bulkhead.cap - bulkhead.running - this.#reservedOf(bulkhead));
    }
    return Math.max(count, 0);
  }

  #reservedOf(what: PoolSlots | ModulePlaces): number {
    return this.#reserved.get(what) ?? 0;
  }

  /**
   * Reserves what one task needs, whichever demand it has. Call the returned function when it is submitted, or dropped.
   */
  reserve(demands: readonly Demand<K>[]): () => void {
    const reserved = new Map<PoolSlots | ModulePlaces, number>();
    for (const demand of demands) {
      const slots = this.#slotsOf(demand.type);
      reserved.set(slots, Math.max(reserved.get(slots) ?? 0, 1 / this.#perSlot(demand)));
      if (demand.module !== undefined) reserved.set(demand.module.bulkhead, 1);
    }
    const add = (sign: 1 | -1) => {
      for (const [each, share] of reserved) this.#reserved.set(each, this.#reservedOf(each) + sign * share);
      this.changed();
    };
    add(1);
    return () => {
      add(-1);
      reserved.clear();
    };
  }

  /** Calls back when the capacity may have changed, until the returned function is called. */
  subscribe(callback: () => void): () => void {
    const listener = () => callback();
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Notifies the listeners: slots or places were taken, or came free. */
  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
