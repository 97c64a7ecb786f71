/**
 * Which tasks travel together: those of one definition and name that wait one behind the other, as many as run in about
 * a millisecond. A lone task goes at once, alone.
 */
import type { Batch, Lane } from '../lanes/lane.ts';
import type { Demand } from '../queue/free-capacity.ts';
import type { PriorityPool } from '../queue/priority-pool.ts';
import { RunTimeEstimate } from '../queue/run-time-estimate.ts';
import type { Task } from '../task/record/task.ts';
import type { TaskType } from '../task/record/task-type.ts';

/**
 * For no more tasks than that is a slot counted on beforehand, though they take next to nothing: should they take long
 * after all, that many wait. More together gain hardly anything.
 */
const maxPerSlot = 16;

/** Of so many definitions it is known how long they take: there may be a new one for each call. */
const maxEstimates = 10_000;

export class Batcher {
  /** By the index of the definition. */
  readonly #estimates = new Map<number, RunTimeEstimate>();

  /** Takes note of how long a task has run. On the event loop nothing travels, and any call may be of a new function. */
  record({ definition, type }: Task, runMs: number): void {
    if (type === 'loop') return;
    let estimate = this.#estimates.get(definition.index);
    if (estimate === undefined) {
      estimate = new RunTimeEstimate();
      this.#estimates.set(definition.index, estimate);
      const [oldest] = this.#estimates.keys();
      if (this.#estimates.size > maxEstimates && oldest !== undefined) this.#estimates.delete(oldest);
    }
    estimate.record(runMs);
  }

  /** How many tasks that need this one slot can start, as they travel together. */
  perSlot({ type, definition, transfer }: Demand<TaskType>): number {
    if (type === 'loop' || definition === undefined || transfer !== undefined) return 1;
    return Math.min(this.#estimates.get(definition.index)?.maxBatch ?? 1, maxPerSlot);
  }

  /**
   * A task that has a slot, with those that are to share it, which wait no more.
   * @param free How many slots are about to be used, that of the task among them.
   */
  gather(task: Task, pool: PriorityPool<Task>, lane: Lane<Task>, free: number): Batch<Task> {
    const batch: [Task, ...Task[]] = [task];
    const size = Math.min(this.#size(task, pool, free), lane.roomFor(task));
    const fits = (other: Task) => mayShareBatch(task, other);
    while (batch.length < size) {
      const next = pool.dequeueBatch(task.priority, fits);
      if (next === undefined) break;
      next.hasSlot = true;
      batch.push(next);
    }
    return batch;
  }

  #size(task: Task, pool: PriorityPool<Task>, free: number): number {
    const waiting = pool.batchCandidates(task.priority);
    const estimate = this.#estimates.get(task.definition.index);
    if (waiting === 0 || estimate === undefined) return 1;
    return estimate.batchSize(waiting, free, pool.limit(task.priority));
  }
}

/**
 * Whether one task may go along with another. What is handed over instead of copied travels alone, and so does what has a
 * context of its own. A shallower one goes with none: a host that is beyond the ceiling is not for it.
 */
function mayShareBatch(task: Task, other: Task): boolean {
  if (other.depth < task.depth) return false;
  if (task.options.transfer !== undefined || other.options.transfer !== undefined) return false;
  if (task.carried !== undefined || other.carried !== undefined) return false;
  return task.spec === other.spec || (task.definition.index === other.definition.index && task.name === other.name);
}
