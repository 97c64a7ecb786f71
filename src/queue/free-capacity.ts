/**
 * What could start at once on a supervisor, for those who fetch tasks from elsewhere and are to fetch no others. What is
 * fetched is promised its slots until it is submitted, so that no slot is given away twice. Pure data: no timers, no I/O.
 */
import type { Priority } from './priority.ts';

/** The slots of a pool. */
interface Slots {
  room(priority: Priority): number;
}

/** The cap of a module. */
interface Places {
  readonly cap: number;
  readonly running: number;
}

/** What a task needs to start: a slot where it runs, or a share of one, and a place in its module. */
export interface Demand<K> {
  readonly type: K;
  /** Of tasks that may share a slot. */
  readonly definition?: { readonly index: number };
  readonly transfer?: unknown;
  readonly module?: { readonly bulkhead: Places } | undefined;
}

/** Shares of slots that were promised and are not any more do not add up to 0 exactly. */
const rounding = 1e-6;

export class FreeCapacity<K> {
  readonly #slotsOf: (type: K) => Slots;
  readonly #perSlot: (need: Demand<K>) => number;
  readonly #promised = new Map<Slots | Places, number>();
  readonly #watchers = new Set<() => void>();

  /** @param perSlot How many tasks one slot is given together, at least 1. */
  constructor(slotsOf: (type: K) => Slots, perSlot: (need: Demand<K>) => number = () => 1) {
    this.#slotsOf = slotsOf;
    this.#perSlot = perSlot;
  }

  /** How many tasks of that priority could start at once, whichever of those needs each of them has. */
  count(priority: Priority, needs: readonly Demand<K>[]): number {
    let count = Infinity;
    for (const need of needs) {
      const { type, module } = need;
      const slots = this.#slotsOf(type);
      const free = slots.room(priority) - this.#promisedOf(slots);
      count = Math.min(count, Math.floor(free * this.#perSlot(need) + rounding));
      if (module === undefined) continue;
      const { bulkhead } = module;
      count = Math.min(count, bulkhead.cap - bulkhead.running - this.#promisedOf(bulkhead));
    }
    return Math.max(count, 0);
  }

  #promisedOf(what: Slots | Places): number {
    return this.#promised.get(what) ?? 0;
  }

  /** Keeps what one task needs, whichever of those it is. Gives what is to be called when it is submitted, or will not be. */
  reserve(needs: readonly Demand<K>[]): () => void {
    const kept = new Map<Slots | Places, number>();
    for (const need of needs) {
      const slots = this.#slotsOf(need.type);
      kept.set(slots, Math.max(kept.get(slots) ?? 0, 1 / this.#perSlot(need)));
      if (need.module !== undefined) kept.set(need.module.bulkhead, 1);
    }
    const add = (sign: 1 | -1) => {
      for (const [each, share] of kept) this.#promised.set(each, this.#promisedOf(each) + sign * share);
      this.changed();
    };
    add(1);
    return () => {
      add(-1);
      kept.clear();
    };
  }

  /** Calls back when something may have changed, until what it gives is called. */
  watch(callback: () => void): () => void {
    const watcher = () => callback();
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Slots or places were taken, or came free. */
  changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}
