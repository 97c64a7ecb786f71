/** The tasks of a memory queue that no worker has: those that wait, and those that are delayed. Together they fill the queue. */
import { Timer } from '../../platform/clock.ts';
import { timeOfDay } from '../../platform/globals.ts';
import type { Priority } from '../../queue/priority.ts';
import type { MemoryTask } from './memory-task.ts';
import { WaitingTasks } from './waiting-tasks.ts';

export class QueuedTasks {
  readonly #maxQueued: number;
  readonly #onDelayOver: () => void;
  readonly #waiting = new WaitingTasks<MemoryTask>();
  #delayed = 0;

  /** @param onDelayOver Is called when a delayed task has begun to wait. */
  constructor(maxQueued: number, onDelayOver: () => void) {
    this.#maxQueued = maxQueued;
    this.#onDelayOver = onDelayOver;
  }

  /** How many more tasks may be added; below 0 after tasks came back. */
  get room(): number {
    return this.#maxQueued - this.#waiting.size - this.#delayed;
  }

  get delayed(): number {
    return this.#delayed;
  }

  /** How many tasks wait. */
  get waiting(): Readonly<Record<Priority, number>> {
    const count = (priority: Priority) => this.#waiting.count(priority);
    return { critical: count('critical'), high: count('high'), normal: count('normal'), low: count('low') };
  }

  /** How many tasks of this priority wait. */
  count(priority: Priority): number {
    return this.#waiting.count(priority);
  }

  /** Adds a new task, with its delay. */
  add(task: MemoryTask): void {
    if (task.delayMs > 0) this.delay(task, task.delayMs);
    else this.enqueue(task);
  }

  /** Puts a task behind all others of its priority. */
  enqueue(task: MemoryTask): void {
    task.state = 'waiting';
    this.#waiting.push(task);
  }

  delay(task: MemoryTask, delayMs: number): void {
    task.state = 'delayed';
    task.timeDue = timeOfDay() + delayMs;
    this.#delayed += 1;
    task.timer = new Timer(delayMs, () => {
      this.remove(task);
      this.enqueue(task);
      this.#onDelayOver();
    });
  }

  /** Puts a task that a worker had back to where it was. */
  putBack(task: MemoryTask): void {
    task.state = 'waiting';
    this.#waiting.putBack(task);
  }

  /** Removes and returns the next waiting task of this priority or above. */
  shift(minPriority: Priority): MemoryTask | undefined {
    return this.#waiting.shift(minPriority);
  }

  /** Removes a task that waits or is delayed. */
  remove(task: MemoryTask): void {
    if (task.state === 'waiting') {
      this.#waiting.remove(task);
      return;
    }
    task.timer?.cancel();
    task.timer = undefined;
    this.#delayed -= 1;
  }
}
