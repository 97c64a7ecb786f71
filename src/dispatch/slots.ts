/**
 * Gives slots to tasks that wait, and takes them back: in the order of their pools, as far as their modules have places.
 * What has a slot is handed to its lane a moment later: whoever submits has the handle before anything starts.
 */
import { queueMicrotask } from '../platform/globals.ts';
import type { Bulkhead } from '../queue/bulkhead.ts';
import { priorities } from '../queue/priority.ts';
import type { PriorityPool } from '../queue/priority-pool.ts';
import type { Task } from '../task/record/task.ts';
import { Batcher } from './batcher.ts';
import type { Places } from './lane-registry.ts';

export class Slots {
  readonly #places: () => Places;
  /** Hears that fewer may wait, and that slots or places were taken, or came free. */
  readonly #onLess: () => void;
  /** Ends a task that can never start. */
  readonly #onHopeless: (task: Task, held: number) => void;
  readonly batcher: Batcher = new Batcher();
  /** Those that have a slot, and are handed over in a moment. */
  readonly #taken = new Set<Task>();
  /** Those that have their place in a module back, and may lend it again. */
  readonly #lenders = new Set<Task>();
  /** Those held back that a task waits for, directly or not. */
  readonly #heldFor: (task: Task) => Iterable<Task>;
  #isPumpDue = false;

  constructor(parts: {
    readonly places: () => Places;
    readonly heldFor: (task: Task) => Iterable<Task>;
    readonly onLess: () => void;
    readonly onHopeless: (task: Task, held: number) => void;
  }) {
    this.#places = parts.places;
    this.#heldFor = parts.heldFor;
    this.#onLess = parts.onLess;
    this.#onHopeless = parts.onHopeless;
  }

  /** Those that have a slot, and no lane yet. */
  [Symbol.iterator](): Iterator<Task> {
    return this.#taken.values();
  }

  /** Gives slots to all that may start now, in the order in which they came. */
  take(pool: PriorityPool<Task>): void {
    for (let task = pool.take(); task !== undefined; task = pool.take()) this.#give(task);
  }

  #give(task: Task): void {
    task.hasSlot = true;
    this.#taken.add(task);
    this.wake();
  }

  /** Tasks that wait for others hold all hosts, and nothing runs that could free one. */
  #unlock(): void {
    const pools = [...this.#places()].map(({ pool }) => pool);
    if (pools.some(({ running }) => running > 0)) return;
    for (const pool of pools) {
      const stuck = pool.stuck();
      if (stuck === undefined) continue;
      if ('started' in stuck) this.#give(stuck.started);
      else this.#onHopeless(stuck.hopeless, pool.held);
      return;
    }
  }

  /** Soon hands over all that may start. */
  wake(): void {
    if (this.#isPumpDue) return;
    this.#isPumpDue = true;
    queueMicrotask(() => {
      try {
        for (const { pool } of this.#places()) this.take(pool);
        if (this.#taken.size === 0) this.#unlock();
      } finally {
        this.#isPumpDue = false;
      }
      for (const task of this.#taken) {
        this.#taken.delete(task);
        const { pool, lane } = this.#places().of(task.type);
        lane.run(this.batcher.gather(task, pool, lane, this.#taken.size + 1));
      }
      this.#onLess();
    });
  }

  /** Takes a task out that waits, or has a slot and no lane. False: it has one. */
  withdraw(task: Task): boolean {
    const { pool } = this.#places().of(task.type);
    if (!task.hasSlot) {
      if (task.status !== 'queued') return true;
      const lender = task.bulkhead && task.lender;
      if (lender !== undefined) this.#lenders.add(lender); // the place was to be lent to this one, perhaps
      pool.remove(task);
      return true;
    }
    if (!this.#taken.delete(task)) return false;
    pool.release();
    this.free(task);
    return true;
  }

  /** The task has no slot any more. That of its pool is released by its lane, for a whole batch. */
  free(task: Task): void {
    if (!task.hasSlot) return;
    task.hasSlot = false;
    const lender = task.bulkhead?.leave(task);
    if (lender !== undefined) this.#lenders.add(lender);
  }

  /** Lets go of those that are held back, as far as their module has places: the most urgent first, then the oldest. */
  reopen(bulkhead: Bulkhead<Task> | undefined): void {
    if (bulkhead !== undefined && bulkhead.waiting > 0) {
      const next = this.#nextOf(bulkhead).filter((task) => this.#letGo(task)); // all, before anything is taken
      for (const pool of new Set(next.map(({ type }) => this.#places().of(type).pool))) this.take(pool);
    }
    if (bulkhead !== undefined) this.#onLess();
    for (const lender of this.#lenders) {
      this.#lenders.delete(lender);
      if ((lender.bulkhead?.waiting ?? 0) > 0) this.#lendAgain(lender);
    }
  }

  #lendAgain(lender: Task): void {
    for (const task of this.#heldFor(lender)) if (task.bulkhead === lender.bulkhead && this.#admit(task)) return;
  }

  /**
   * Somebody waits for a task from now on, and may lend it a place, or those it waits for: others may be held back before
   * them, who have none.
   */
  lendTo(task: Task): void {
    for (const held of this.#heldFor(task)) this.#admit(held);
  }

  #admit(task: Task): boolean {
    if (!this.#letGo(task)) return false;
    this.take(this.#places().of(task.type).pool);
    return true;
  }

  #letGo(task: Task): boolean {
    if (!task.isHeld || !task.bulkhead?.mayEnter(task)) return false;
    this.#places().of(task.type).pool.letGo(task);
    return true;
  }

  #nextOf(bulkhead: Bulkhead<Task>): Task[] {
    const all = [...this.#places()].flatMap(({ pool }) => pool.nextOf(bulkhead));
    const rank = ({ priority }: Task) => priorities.indexOf(priority);
    return all.sort((a, b) => rank(a) - rank(b) || (a.isBefore(b) ? -1 : 1));
  }
}
