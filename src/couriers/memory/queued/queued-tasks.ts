/** The tasks of a memory queue that no worker has: those that wait, and those that are delayed. Together they fill the queue. */
import { Timer } from '../../../platform/clock.ts';
import { timeOfDay } from '../../../platform/globals.ts';
import type { Priority } from '../../../queue/priority.ts';
import type { MemoryTask } from '../memory-task.ts';
import { LimitedTasks } from './limited-tasks.ts';

export class QueuedTasks {
  readonly #maxQueued: number;
  readonly #onReady: () => void;
  /** Those that wait for a worker. */
  readonly limited: LimitedTasks;
  #delayed = 0;

  /** @param onReady Is called when a delay is over, or a rate lets a task start. */
  constructor(maxQueued: number, onReady: () => void) {
    this.#maxQueued = maxQueued;
    this.#onReady = onReady;
    this.limited = new LimitedTasks(onReady);
  }

  /** How many more tasks may be added; below 0 after tasks came back. */
  get room(): number {
    return this.#maxQueued - this.limited.size - this.#delayed;
  }

  get delayed(): number {
    return this.#delayed;
  }

  /** How many timers may bring a task to a worker. */
  get timed(): number {
    return this.#delayed + (this.limited.isTimed ? 1 : 0);
  }

  /** How many tasks wait. */
  get waiting(): Readonly<Record<Priority, number>> {
    const count = (priority: Priority) => this.limited.count(priority);
    return { critical: count('critical'), high: count('high'), normal: count('normal'), low: count('low') };
  }

  /**
   * Adds a new task, with its delay.
   * @param place That of another one, which has left it. Default: behind all others of its priority.
   */
  add(task: MemoryTask, place?: number): void {
    if (task.delayMs > 0) this.delay(task, task.delayMs);
    else if (place === undefined) this.enqueue(task);
    else this.#putInPlace(task, place);
  }

  #putInPlace(task: MemoryTask, place: number): void {
    task.sequence = place;
    this.putBack(task);
  }

  /** Puts a task behind all others of its priority. */
  enqueue(task: MemoryTask): void {
    task.state = 'waiting';
    this.limited.push(task);
  }

  delay(task: MemoryTask, delayMs: number): void {
    task.state = 'delayed';
    task.timeDue = timeOfDay() + delayMs;
    this.#delayed += 1;
    task.timer = new Timer(delayMs, () => {
      this.remove(task);
      this.enqueue(task);
      this.#onReady();
    });
  }

  /** Puts a task that a worker had back to where it was. */
  putBack(task: MemoryTask): void {
    task.state = 'waiting';
    this.limited.putBack(task);
  }

  /** Removes a task that waits or is delayed. */
  remove(task: MemoryTask): void {
    if (task.state === 'waiting') {
      this.limited.remove(task);
      return;
    }
    task.timer?.cancel();
    task.timer = undefined;
    this.#delayed -= 1;
  }
}
