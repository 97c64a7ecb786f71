/**
 * Prefetching: the tasks that wait first lie ready at busy hosts, one at each, so that a host begins the next as soon as it
 * has ended one, and need not wait until this thread has heard of that. Such a task stays in its queue and can be taken back
 * at any time until it begins, in the slot of the one before it.
 *
 * Order: a host that ends early may begin its task before an older one at another host. Nothing more is prefetched until the
 * overtaken one has begun, and whatever slot comes free first is for it. So at most one task at each other host begins
 * before an older one, and an urgent task waits for none.
 */
import { batchMs } from '../queue/run-time-estimate.ts';
import type { Task } from '../task/record/task.ts';
import type { Batcher } from './batcher.ts';
import type { LaneWithPool } from './lane-registry.ts';

/** Shorter tasks travel in batches. In milliseconds. */
const shortestMs: number = batchMs / 2;
/** For longer tasks the time between two is no matter. In milliseconds. */
const longestMs = 50;

export class Prefetching {
  readonly #batcher: Batcher;
  /** By their pool; the oldest first. */
  readonly #tasks = new Map<LaneWithPool, Task[]>();
  /** The last task that a younger one has overtaken. */
  #overtaken: Task | undefined;

  constructor(batcher: Batcher) {
    this.#batcher = batcher;
  }

  /** Prefetches the tasks that wait first. Call it when no task can start. */
  fill(place: LaneWithPool): void {
    const { pool, lane } = place;
    const tasks = this.#tasksOf(place);
    if (this.#overtaken?.status === 'queued' && !this.#overtaken.hasSlot) return;
    this.#overtaken = undefined;
    const last = tasks.at(-1);
    for (let task = last === undefined ? pool.head : pool.after(last); task !== undefined; task = pool.after(task)) {
      if (!pool.mayFollow(task) || !this.#isEligible(task)) return;
      if (!lane.prefetch(task, (running, forMs) => this.#endsSoon(running, forMs))) return;
      task.isPrefetched = true;
      tasks.push(task);
    }
  }

  /** Only what would start in its place all the same: no sub-task, no task of a module, none whose data is handed over. */
  #isEligible(task: Task): boolean {
    const { depth, bulkhead, carried, options } = task;
    if (depth > 0 || bulkhead !== undefined || carried !== undefined || options.transfer !== undefined) return false;
    const averageMs = this.#batcher.averageMs(task) ?? 0;
    return averageMs >= shortestMs && averageMs <= longestMs;
  }

  #endsSoon(running: Task, forMs: number): boolean {
    const averageMs = this.#batcher.averageMs(running) ?? Infinity;
    return averageMs <= longestMs && forMs < 2 * averageMs + batchMs;
  }

  /** Takes them back if others come first now, or no slot is for them any more. Call it when what waits or runs has changed. */
  review(place: LaneWithPool): void {
    const tasks = this.#tasks.get(place);
    const first = tasks?.[0];
    if (tasks === undefined || first === undefined) return;
    const { pool } = place;
    if (pool.head === first && pool.mayFollow(first)) return;
    // From the youngest on: a host may begin one meanwhile, and none is to overtake an older one for that.
    for (const task of tasks.toReversed()) this.takeBack(place, task);
  }

  /** Takes one back. False if it begins, or has begun. */
  takeBack(place: LaneWithPool, task: Task): boolean {
    if (!place.lane.takeBack(task)) return false;
    this.forget(place, task);
    return true;
  }

  /** It has begun. */
  onBegan(place: LaneWithPool, task: Task): void {
    const tasks = this.#tasksOf(place);
    const older = tasks[tasks.indexOf(task) - 1];
    if (older !== undefined) this.#overtaken = older;
    this.forget(place, task);
  }

  /** It is not prefetched any more. */
  forget(place: LaneWithPool, task: Task): void {
    const tasks = this.#tasksOf(place);
    tasks.splice(tasks.indexOf(task), 1);
    task.isPrefetched = false;
  }

  #tasksOf(place: LaneWithPool): Task[] {
    const known = this.#tasks.get(place);
    if (known !== undefined) return known;
    const tasks: Task[] = [];
    this.#tasks.set(place, tasks);
    return tasks;
  }
}
