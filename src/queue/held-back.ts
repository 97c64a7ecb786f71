/** The tasks of one pool that wait for a place in their module, in the order in which they start. Pure data. */
import type { Bulkhead, BulkheadItem } from './bulkhead.ts';
import type { Fifo, FifoItem } from './fifo.ts';
import type { Priority } from './priority.ts';

export interface HeldItem<T extends BulkheadItem<T>> extends FifoItem<T>, BulkheadItem<T> {
  readonly priority: Priority;
  readonly bulkhead: Bulkhead<T> | undefined;
  /** How many tasks have called one another, down to this one; 0: the program has called it. */
  readonly depth: number;
  /** Whether the task is held back, and not in the queue of its priority. */
  isHeld: boolean;
}

type Queues<T extends HeldItem<T>> = Readonly<Record<Priority, Fifo<T>>>;

export class HeldBack<T extends HeldItem<T>> {
  readonly #byModule = new Map<Bulkhead<T>, Queues<T>>();
  readonly #newQueues: () => Queues<T>;

  constructor(newQueues: () => Queues<T>) {
    this.#newQueues = newQueues;
  }

  hold(item: T): void {
    const bulkhead = item.bulkhead as Bulkhead<T>;
    const queues = this.#byModule.get(bulkhead) ?? this.#newQueues();
    this.#byModule.set(bulkhead, queues);
    item.isHeld = true;
    queues[item.priority].sortIn(item);
  }

  remove(item: T): void {
    const bulkhead = item.bulkhead as Bulkhead<T>;
    const queues = this.#byModule.get(bulkhead) as Queues<T>;
    queues[item.priority].remove(item);
    item.isHeld = false;
    if (Object.values(queues).every(({ size }) => size === 0)) this.#byModule.delete(bulkhead);
  }

  /** The next task of a module and priority. */
  first(bulkhead: Bulkhead<T>, priority: Priority): T | undefined {
    return this.#byModule.get(bulkhead)?.[priority].first;
  }

  *queues(priority: Priority): Generator<Fifo<T>> {
    for (const queues of this.#byModule.values()) yield queues[priority];
  }
}
