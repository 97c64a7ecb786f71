/**
 * What could start at once on a supervisor, for those who fetch tasks from elsewhere and are to fetch no others. What is
 * fetched is promised its slots until it is submitted, so that no slot is given away twice. Pure data: no timers, no I/O.
 */
import type { Priority } from './priority-pool.ts';

/** The slots of a pool. */
interface Slots {
  room(priority: Priority): number;
}

/** The cap of a module. */
interface Places {
  readonly cap: number;
  readonly running: number;
}

/** What a task needs to start: a slot where it runs, and a place in its module. */
export interface Need<K> {
  readonly type: K;
  readonly module?: { readonly bulkhead: Places } | undefined;
}

export class Openings<K> {
  readonly #slotsOf: (type: K) => Slots;
  readonly #promised = new Map<Slots | Places, number>();
  readonly #watchers = new Set<() => void>();

  constructor(slotsOf: (type: K) => Slots) {
    this.#slotsOf = slotsOf;
  }

  /** How many tasks of that priority could start at once, whichever of those needs each of them has. */
  count(priority: Priority, needs: readonly Need<K>[]): number {
    let count = Infinity;
    for (const { type, module } of needs) {
      const slots = this.#slotsOf(type);
      count = Math.min(count, slots.room(priority) - this.#promisedOf(slots));
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
  promise(needs: readonly Need<K>[]): () => void {
    const kept = new Set<Slots | Places>();
    for (const { type, module } of needs) {
      kept.add(this.#slotsOf(type));
      if (module !== undefined) kept.add(module.bulkhead);
    }
    const add = (by: 1 | -1) => {
      for (const each of kept) this.#promised.set(each, this.#promisedOf(each) + by);
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
