/**
 * What could start at once on a supervisor, for those who fetch tasks from elsewhere and are to fetch no others. What is
 * fetched is promised its slots until it is submitted, so that no slot is given away twice. Pure data: no timers, no I/O.
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

/** What a task needs to start: a slot where it runs, or a share of one, and a place in its module. */
export interface Demand<K> {
  readonly type: K;
  /** Of tasks that may share a slot. */
  readonly definition?: { readonly index: number };
  readonly transfer?: unknown;
  readonly module?: { readonly bulkhead: ModulePlaces } | undefined;
}

/** Shares of slots that were promised and are not any more do not add up to 0 exactly. */
const rounding = 1e-6;

export class FreeCapacity<K> {
  readonly #slotsOf: (type: K) => PoolSlots;
  readonly #perSlot: (demand: Demand<K>) => number;
  readonly #reserved = new Map<PoolSlots | ModulePlaces, number>();
  readonly #listeners = new Set<() => void>();

  /** @param perSlot How many tasks one slot is given together, at least 1. */
  constructor(slotsOf: (type: K) => PoolSlots, perSlot: (demand: Demand<K>) => number = () => 1) {
    this.#slotsOf = slotsOf;
    this.#perSlot = perSlot;
  }

  /** How many tasks of that priority could start at once, whichever of those needs each of them has. */
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

  /** Keeps what one task needs, whichever of those it is. Gives what is to be called when it is submitted, or will not be. */
  reserve(demands: readonly Demand<K>[]): () => void {
    const kept = new Map<PoolSlots | ModulePlaces, number>();
    for (const demand of demands) {
      const slots = this.#slotsOf(demand.type);
      kept.set(slots, Math.max(kept.get(slots) ?? 0, 1 / this.#perSlot(demand)));
      if (demand.module !== undefined) kept.set(demand.module.bulkhead, 1);
    }
    const add = (sign: 1 | -1) => {
      for (const [each, share] of kept) this.#reserved.set(each, this.#reservedOf(each) + sign * share);
      this.changed();
    };
    add(1);
    return () => {
      add(-1);
      kept.clear();
    };
  }

  /** Calls back when something may have changed, until what it gives is called. */
  subscribe(callback: () => void): () => void {
    const listener = () => callback();
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Slots or places were taken, or came free. */
  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
