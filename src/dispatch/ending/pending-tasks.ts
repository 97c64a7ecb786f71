/** The tasks of a supervisor that have not ended, wherever they are, and what its stop does to them. */
import type { Task } from '../../task/record/task.ts';
import { matching, type TaskFilter } from '../../task/record/task-info.ts';
import type { Backlog } from '../backlog.ts';
import type { LaneRegistry } from '../lane-registry.ts';
import type { Slots } from '../slots.ts';
import { shutDown } from './end-reasons.ts';
import type { Settlement } from './settlement.ts';

interface PendingParts {
  readonly lanes: LaneRegistry;
  readonly backlog: Backlog;
  readonly slots: Slots;
  readonly settlement: Settlement;
  /** The records of the bulks that have not ended. */
  readonly bulks: Iterable<Task>;
}

export class PendingTasks {
  readonly #lanes: LaneRegistry;
  readonly #backlog: Backlog;
  readonly #slots: Slots;
  readonly #settlement: Settlement;
  readonly #bulks: Iterable<Task>;

  constructor({ lanes, backlog, slots, settlement, bulks }: PendingParts) {
    this.#bulks = bulks;
    this.#lanes = lanes;
    this.#backlog = backlog;
    this.#slots = slots;
    this.#settlement = settlement;
  }

  /** All, from those that run to those that wait longest; a bulk, and then its parts. */
  *[Symbol.iterator](): Generator<Task> {
    yield* this.#bulks;
    for (const task of this.#handedOver()) if (!task.isSettled) yield task;
    yield* this.#slots;
    for (const { pool } of this.#lanes) yield* pool;
    yield* this.#backlog.delayed;
  }

  *#handedOver(): Generator<Task> {
    for (const { lane } of this.#lanes) yield* lane;
  }

  /** Those that match, as `getTasks()` shows them: a bulk, and not its parts. */
  matching(filter: TaskFilter, call: string): Task[] {
    const tasks = [...this].filter(({ isPart }) => !isPart);
    return matching(tasks, filter, call);
  }

  /** Tasks whose function may have run, and so may know their id. */
  get begun(): readonly Task[] {
    return [...this.#handedOver(), ...this.#backlog.delayed].filter(({ isPart }) => !isPart);
  }

  /** Whether any can be found. */
  get hasSome(): boolean {
    for (const { isSettled } of this) if (!isSettled) return true;
    return false;
  }

  /**
   * Ends delayed tasks that have never begun, and releases tasks that wait for a reader: nobody is to wait for either.
   */
  dropDelayed(): void {
    for (const task of this) task.release();
    const delayed = [...this.#bulks].filter(({ status }) => status === 'delayed');
    for (const task of [...delayed, ...this.#backlog.delayed]) if (task.attempt === 0) this.#end(task);
  }

  /** Ends what is paused: nobody is to wait until it is resumed. */
  dropPaused(): void {
    for (const { pool } of this.#lanes) for (const task of [...pool]) if (pool.isPaused(task)) this.#end(task);
  }

  /** Ends all that have not begun; from now on, nothing is tried again. */
  dropWaiting(): void {
    this.#backlog.close();
    for (const task of [...this]) if (!task.hasSlot) this.#end(task);
  }

  /** Asks all that run to stop; they have their grace. */
  stopStarted(): void {
    for (const task of [...this.#slots, ...this.#handedOver()]) this.#end(task);
  }

  /** Ends all that run, with their threads. */
  killStarted(): void {
    for (const task of [...this.#slots, ...this.#handedOver()]) {
      this.#end(task);
      if (task.hasSlot) this.#lanes.of(task.type).lane.kill(task);
    }
  }

  #end(task: Task): void {
    this.#settlement.end(task, shutDown(task));
  }

  /** Settles all that can be found, wherever they are and whatever still runs. */
  abandon(): void {
    for (const task of [...this]) {
      const { reason, error } = task.endRequest ?? shutDown(task);
      this.#settlement.settle(task, reason, error);
    }
  }
}
