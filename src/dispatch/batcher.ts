/**
 * Makes batches: tasks of one definition and name that are next to each other in the queue, as many as run in about a
 * millisecond. A task that waits alone is a batch of its own, and is not delayed.
 */
import type { Batch, Lane } from '../lanes/lane.ts';
import type { Demand } from '../queue/free-capacity.ts';
import type { PriorityPool } from '../queue/priority-pool.ts';
import { RunTimeEstimate } from '../queue/run-time-estimate.ts';
import type { Task } from '../task/record/task.ts';
import type { TaskType } from '../task/record/task-type.ts';

/**
 * How many tasks at most are fetched for one slot, however short they are: if they take long after all, so many wait
 * for one another. Larger batches gain hardly anything.
 */
const maxPerSlot = 16;

/**
 * A task with a longer text runs alone, in characters: many megabytes in one message take several times as long as in many,
 * and what is saved for each task is no matter then.
 */
const longestText = 16_384;

/** For how many definitions run times are kept. Each call may be of a new definition. */
const maxEstimates = 10_000;

export class Batcher {
  /** By the index of the definition. */
  readonly #estimates = new Map<number, RunTimeEstimate>();

  /** Records how long a task has run. The event loop has no batches, and there any call may be of a new function. */
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

  /** How many tasks with this demand can share one slot. */
  perSlot({ type, definition, transfer }: Demand<TaskType>): number {
    if (type === 'loop' || definition === undefined || transfer !== undefined) return 1;
    return Math.min(this.#estimates.get(definition.index)?.maxBatch ?? 1, maxPerSlot);
  }

  /**
   * The batch of a task that has a slot: the task, and tasks that are taken from the queue to share its slot.
   * @param free How many slots are about to be used, that of the task included.
   */
  gather(task: Task, pool: PriorityPool<Task>, lane: Lane<Task>, free: number): Batch<Task> {
    const batch: [Task, ...Task[]] = [task];
    const size = hasLongText(task) ? 1 : Math.min(this.#size(task, pool, free), lane.roomFor(task));
    const fits = (other: Task) => mayShareBatch(task, other);
    while (batch.length < size) {
      const next = pool.dequeueBatch(task.priority, fits);
      if (next === undefined) break;
      next.hasSlot = true;
      batch.push(next);
    }
    return batch;
  }

  /** How long tasks of its definition run, in milliseconds; undefined if none has run. */
  averageMs({ definition }: Task): number | undefined {
    return this.#estimates.get(definition.index)?.averageMs;
  }

  #size(task: Task, pool: PriorityPool<Task>, free: number): number {
    const waiting = pool.batchCandidates(task.priority);
    const estimate = this.#estimates.get(task.definition.index);
    if (waiting === 0 || estimate === undefined) return 1;
    return estimate.batchSize(waiting, free, pool.limit(task.priority));
  }
}

/**
 * Whether a task may join the batch of another. A task with transferred data runs alone, and so does one with a context
 * of its own. A shallower task may not join: a host beyond `maxSize` is only for deeper ones.
 */
function mayShareBatch(task: Task, other: Task): boolean {
  if (other.depth < task.depth || other.isPrefetched) return false;
  if (task.options.transfer !== undefined || other.options.transfer !== undefined) return false;
  if (task.carried !== undefined || other.carried !== undefined || hasLongText(other)) return false;
  return task.spec === other.spec || (task.definition.index === other.definition.index && task.name === other.name);
}

function hasLongText({ args }: Task): boolean {
  for (const arg of args) if (typeof arg === 'string' && arg.length > longestText) return true;
  return false;
}
