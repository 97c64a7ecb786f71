/**
 * Pauses of the supervisor, of priorities and of modules: what has begun goes on, with the tasks that it calls, and nothing
 * else starts. What waits keeps its order.
 */
import { type Priority, priorities } from '../../queue/priority.ts';
import type { Backlog } from '../backlog.ts';
import type { PendingTasks } from '../ending/pending-tasks.ts';
import type { LateTasks } from '../events/late-tasks.ts';
import type { LaneRegistry } from '../lane-registry.ts';
import type { Slots } from '../slots.ts';

interface PausesParts {
  readonly lanes: LaneRegistry;
  readonly backlog: Backlog;
  readonly late: LateTasks;
  readonly slots: Slots;
  readonly pending: PendingTasks;
}

export class Pauses {
  readonly #parts: PausesParts;
  #isPaused = false;
  readonly #priorities = new Set<Priority>();

  constructor(parts: PausesParts) {
    this.#parts = parts;
  }

  /** Whether all priorities are paused, by a pause of the supervisor. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** The priorities that are paused by themselves, from the most to the least urgent. */
  get priorities(): readonly Priority[] {
    return priorities.filter((priority) => this.#priorities.has(priority));
  }

  /** @returns False if that is paused already. */
  pause(priority?: Priority): boolean {
    if (priority === undefined ? this.#isPaused : this.#priorities.has(priority)) return false;
    if (priority === undefined) this.#isPaused = true;
    else this.#priorities.add(priority);
    this.#apply();
    this.onPaused();
    return true;
  }

  /** @returns False if that is not paused. */
  resume(priority?: Priority): boolean {
    if (priority === undefined ? !this.#isPaused : !this.#priorities.delete(priority)) return false;
    if (priority === undefined) this.#isPaused = false;
    this.#apply();
    this.onResumed();
    return true;
  }

  #apply(): void {
    const paused = this.#isPaused ? priorities : this.priorities;
    for (const { pool } of this.#parts.lanes) pool.pause(paused);
  }

  /** Takes back what has a slot or a host, and has not begun. A supervisor that stops has nobody who would resume it. */
  onPaused(): void {
    const { slots, backlog, pending } = this.#parts;
    slots.recall();
    if (backlog.isStopping) pending.dropPaused();
  }

  onResumed(): void {
    this.#parts.slots.takeAll();
    this.#parts.late.rearm();
  }
}
