/** Gives the tasks of a memory queue to its workers: to those that ask, and to those that wait, the longest first. */
import type { Priority } from '../../../queue/priority.ts';
import type { CourierTask, WaitOptions } from '../../courier.ts';
import { WorkerWait, WorkerWaits } from '../../wait.ts';
import type { MemoryTask } from '../memory-task.ts';
import type { LimitedTasks } from './limited-tasks.ts';

export class Deliveries {
  readonly #tasks: LimitedTasks;
  readonly #deliver: (task: MemoryTask) => CourierTask;
  readonly #waits = new WorkerWaits<CourierTask>();
  /** Whether workers get none. */
  isPaused = false;

  /** @param deliver Makes of a task what its worker gets. */
  constructor(tasks: LimitedTasks, deliver: (task: MemoryTask) => CourierTask) {
    this.#tasks = tasks;
    this.#deliver = deliver;
  }

  get areWaitedFor(): boolean {
    return !this.#waits.isEmpty;
  }

  take(max: number, minPriority: Priority): CourierTask[] {
    const taken: CourierTask[] = [];
    while (taken.length < max && !this.isPaused) {
      const task = this.#tasks.shift(minPriority);
      if (task === undefined) break;
      taken.push(this.#deliver(task));
    }
    return taken;
  }

  wait(
    max: number,
    minPriority: Priority,
    options: WaitOptions,
    parts: { readonly onGiveUp: () => void; readonly onEnd: () => void },
  ): Promise<CourierTask[]> {
    return new WorkerWait(this.#waits, max, minPriority, options, parts).promise;
  }

  /** Returns whether a worker that waits got tasks. */
  serve(): boolean {
    let isServed = false;
    while (this.areWaitedFor && !this.isPaused) {
      const next = this.#tasks.next('low');
      // Who takes a less urgent task takes this one, too.
      const worker = next && this.#waits.first(next.priority);
      if (worker === undefined) break;
      worker.resolve(this.take(worker.max, worker.minPriority));
      isServed = true;
    }
    return isServed;
  }

  rejectAll(error: unknown): void {
    this.#waits.rejectAll(error);
  }
}
