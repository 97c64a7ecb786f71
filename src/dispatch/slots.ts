/**
 * Gives slots to waiting tasks and takes them back: in the order of their pools, as far as their modules have places. A
 * task that waits for tasks which it has called lends its slot, and its place in its module.
 * A task with a slot is handed to its lane in a microtask: `submit()` returns the handle before the task can start.
 */
import { queueMicrotask } from '../platform/globals.ts';
import type { Bulkhead } from '../queue/bulkhead.ts';
import type { Capacity } from '../queue/capacity.ts';
import type { FreeCapacity } from '../queue/free-capacity.ts';
import type { Gate, StartLimits } from '../queue/gate.ts';
import { Fifo } from '../queue/order/fifo.ts';
import { priorities } from '../queue/priority.ts';
import type { Task } from '../task/record/task.ts';
import type { TaskType } from '../task/record/task-type.ts';
import type { Batcher } from './batcher.ts';
import type { LaneRegistry, LaneWithPool } from './lane-registry.ts';
import { Prefetching } from './prefetching.ts';
import type { TaskTree } from './task-tree.ts';

interface SlotsParts {
  readonly lanes: LaneRegistry;
  readonly tree: TaskTree;
  readonly batcher: Batcher;
  /** Is offered room as tasks leave the queues. */
  readonly capacity: Pick<Capacity, 'offer'>;
  /** Is notified when slots or places were taken, or came free. */
  readonly freeCapacity: Pick<FreeCapacity<TaskType>, 'changed'>;
}

export interface SlotsListener {
  /** The task can never start: tasks that wait for others hold all `held` hosts that there may be. */
  hopeless(task: Task, held: number): void;
}

export class Slots {
  readonly #lanes: LaneRegistry;
  readonly #tree: TaskTree;
  readonly #batcher: Batcher;
  readonly #prefetching: Prefetching;
  readonly #capacity: Pick<Capacity, 'offer'>;
  readonly #freeCapacity: Pick<FreeCapacity<TaskType>, 'changed'>;
  #listener!: SlotsListener;
  /** Tasks that have a slot, and are about to be handed over. No Set: that makes a new table whenever its last item goes. */
  readonly #taken = new Fifo<Task>();
  /** Tasks that have their place in a module back, and may lend it again. */
  readonly #lenders = new Set<Task>();
  /** Gates of keys that may be open for another task. */
  readonly #left = new Set<Gate<Task>>();
  #isHandOverDue = false;

  constructor({ lanes, tree, batcher, capacity, freeCapacity }: SlotsParts) {
    this.#lanes = lanes;
    this.#tree = tree;
    this.#batcher = batcher;
    this.#prefetching = new Prefetching(batcher);
    this.#capacity = capacity;
    this.#freeCapacity = freeCapacity;
  }

  /** Its one listener, from now on. Called once, before a task is queued. */
  subscribe(listener: SlotsListener): void {
    this.#listener = listener;
  }

  /** Tasks that have a slot, and no lane yet. */
  [Symbol.iterator](): Iterator<Task> {
    return this.#taken[Symbol.iterator]();
  }

  /** Gives slots to all that may start now, in the order in which they came. */
  take(place: LaneWithPool): void {
    const { pool } = place;
    for (let task = pool.next(); task !== undefined; task = pool.next()) {
      if (!task.isPrefetched || this.#prefetching.takeBack(place, task)) this.#give(pool.start(task));
    }
    this.#prefetching.review(place);
  }

  #give(task: Task): void {
    task.hasSlot = true;
    this.#taken.push(task);
    this.wake();
  }

  /** Nothing runs, and tasks that wait for others hold all hosts: lets one more start, or gives it up. */
  #unlock(): void {
    const pools = [...this.#lanes].map(({ pool }) => pool);
    if (pools.some(({ running }) => running > 0)) return;
    for (const pool of pools) {
      const stuck = pool.stuck();
      if (stuck === undefined) continue;
      if ('started' in stuck) this.#give(stuck.started);
      else this.#listener.hopeless(stuck.hopeless, pool.held);
      return;
    }
  }

  /** Hands over all that may start, in a microtask. */
  wake(): void {
    if (this.#isHandOverDue) return;
    this.#isHandOverDue = true;
    queueMicrotask(() => {
      try {
        for (const place of this.#lanes) this.take(place);
        if (this.#taken.size === 0) this.#unlock();
      } finally {
        this.#isHandOverDue = false;
      }
      for (let task = this.#taken.shift(); task !== undefined; task = this.#taken.shift()) {
        const { pool, lane } = this.#lanes.of(task.type);
        lane.run(this.#batcher.gather(task, pool, lane, this.#taken.size + 1));
      }
      for (const place of this.#lanes) this.#prefetching.fill(place);
      this.#changed();
    });
  }

  /** A prefetched task begins, in the slot of the one before it. */
  onPrefetchedBegan(task: Task): void {
    const place = this.#lanes.of(task.type);
    this.#prefetching.onBegan(place, task);
    place.pool.takeOver(task);
    task.hasSlot = true;
    this.wake();
  }

  /** A prefetched task can be handed over, or prefetched again. */
  onPrefetchedReturned(task: Task): void {
    this.#prefetching.forget(this.#lanes.of(task.type), task);
    this.wake();
  }

  /** Fewer tasks may wait, and slots or places were taken, or came free. */
  #changed(): void {
    this.#capacity.offer();
    this.#freeCapacity.changed();
  }

  /** Takes out a task that waits, or that has a slot and no lane. False: it has a lane. */
  withdraw(task: Task): boolean {
    const place = this.#lanes.of(task.type);
    const { pool } = place;
    if (!task.hasSlot) {
      if (task.status !== 'queued') return true;
      if (task.isPrefetched && !this.#prefetching.takeBack(place, task)) return false;
      const lender = task.bulkhead && task.lender;
      if (lender !== undefined) this.#lenders.add(lender); // the place was to be lent to this one, perhaps
      const keyLender = task.bulkhead?.limits && task.keyLender;
      if (keyLender !== undefined) this.#lenders.add(keyLender);
      pool.remove(task);
      return true;
    }
    if (!this.#taken.has(task)) return false;
    pool.release();
    this.free(task);
    return true;
  }

  /**
   * Takes back from lanes and hosts what has not begun, as far as that is possible: it waits where it was. Call it when
   * something was paused.
   */
  recall(): void {
    const recalled = [...this.#taken].toReversed();
    for (const task of recalled) {
      const { pool } = this.#lanes.of(task.type);
      pool.release();
      this.free(task);
      pool.putBack(task);
    }
    for (const { bulkhead } of recalled) this.reopen(bulkhead);
    for (const { lane } of this.#lanes) lane.recall();
    this.takeAll();
  }

  /** As `take()`, for all. Call it when others may start first now. */
  takeAll(): void {
    for (const place of this.#lanes) this.take(place);
    this.wake();
  }

  /** The task has no slot any more. Its lane releases the slot of the pool, for a whole batch. */
  free(task: Task): void {
    if (!task.hasSlot) return;
    if (this.#taken.has(task)) this.#taken.remove(task);
    task.hasSlot = false;
    const { bulkhead } = task;
    if (bulkhead === undefined) return;
    const lender = bulkhead.leave(task);
    if (lender !== undefined) this.#lenders.add(lender);
    if (bulkhead.limits !== undefined) this.#freeKey(task, bulkhead.limits);
  }

  #freeKey(task: Task, limits: StartLimits<Task>): void {
    const gate = limits.leave(task);
    if (gate !== undefined) this.#left.add(gate);
    for (const lender of limits.takeLenders()) this.#lenders.add(lender);
  }

  // Places in modules.

  /** Admits tasks that are held back, as far as their module has places: the most urgent first, then the oldest. */
  reopen(bulkhead: Bulkhead<Task> | undefined): void {
    if (bulkhead !== undefined && bulkhead.waiting > 0) this.reopenGates([bulkhead, ...this.#left]);
    if (this.#left.size > 0) this.#left.clear(); // which makes a new table each time
    if (bulkhead !== undefined) this.#changed();
    for (const lender of this.#lenders) {
      this.#lenders.delete(lender);
      if ((lender.bulkhead?.waiting ?? 0) > 0) this.#lendAgain(lender);
    }
  }

  /** The same, for gates that may be open now. */
  reopenGates(gates: readonly Gate<Task>[]): void {
    // All, before anything is taken.
    const next = gates.flatMap((gate) => this.#nextOf(gate).filter((task) => this.#admit(task)));
    for (const place of new Set(next.map(({ type }) => this.#lanes.of(type)))) this.take(place);
  }

  #nextOf(gate: Gate<Task>): Task[] {
    const all = [...this.#lanes].flatMap(({ pool }) => pool.nextOf(gate));
    const rank = ({ priority }: Task) => priorities.indexOf(priority);
    return all.sort((a, b) => rank(a) - rank(b) || (a.isBefore(b) ? -1 : 1));
  }

  #lendAgain(lender: Task): void {
    for (const task of this.#tree.heldFor(lender)) {
      if (task.bulkhead === lender.bulkhead && this.#admitAndTake(task)) return;
    }
  }

  #admitAndTake(task: Task): boolean {
    if (!this.#admit(task)) return false;
    this.take(this.#lanes.of(task.type));
    return true;
  }

  #admit(task: Task): boolean {
    return task.isHeld && this.#lanes.of(task.type).pool.admit(task);
  }

  // Tasks that wait for tasks which they have called.

  /** The parent waits for the child from now on: others get its slot, and the child may get its place in its module. */
  lendTo(child: Task, parent: Task): void {
    if (child.isSettled || parent.isSettled) return;
    child.isAwaited = true;
    if (this.#tree.wait(parent, child)) this.#lendSlot(parent);
    // Other tasks that are held back may come before the child, and have nobody who lends them a place.
    for (const held of this.#tree.heldFor(child)) this.#admitAndTake(held);
  }

  #lendSlot(parent: Task): void {
    const { pool, lane } = this.#lanes.of(parent.type);
    if (lane.lend(parent)) pool.lend();
    this.wake();
  }

  /**
   * The child has ended: if its parent waits for no other, it has its slot back, if need be above the limit for a
   * while.
   */
  endLoan(child: Task): void {
    const parent = this.#tree.endWait(child);
    if (parent !== undefined) this.resume(parent);
  }

  /** A task that waited for others goes on. */
  resume(parent: Task): void {
    const place = this.#lanes.of(parent.type);
    if (!place.lane.resume(parent)) return;
    place.pool.reclaim();
    this.#prefetching.review(place);
    this.#changed();
  }
}
