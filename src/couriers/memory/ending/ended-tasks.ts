/** The tasks of a memory queue that have ended: their outcomes, which are kept for a while, and dead letters, which stay. */
import type { MemoryQueueSettings } from '../memory-queue-parts.ts';
import type { MemoryTask } from '../memory-task.ts';
import { DeadLetters } from './dead-letters.ts';
import { ExpiryQueue } from './expiry-queue.ts';

interface EndedTasksParts extends Pick<MemoryQueueSettings, 'resultTtlMs' | 'maxDeadLetters'> {
  /** All tasks of the queue, by id. */
  readonly tasks: Map<string, MemoryTask>;
  /** Called with each task whose outcome is forgotten. */
  readonly onForgotten: (task: MemoryTask) => void;
  /** Called after the last of them. */
  readonly whenChecked: () => void;
}

export class EndedTasks {
  readonly #parts: EndedTasksParts;
  readonly #kept: ExpiryQueue<MemoryTask>;
  readonly dead: DeadLetters;

  constructor(parts: EndedTasksParts) {
    this.#parts = parts;
    this.dead = new DeadLetters(parts.maxDeadLetters);
    this.#kept = new ExpiryQueue(parts.resultTtlMs, (task) => this.#forget(task), parts.whenChecked);
  }

  /** It has just ended. */
  add(task: MemoryTask): void {
    task.isKept = true;
    if (task.state === 'failed') {
      const dropped = this.dead.add(task);
      if (dropped?.isKept === false) this.#parts.tasks.delete(dropped.id);
    } else {
      task.data = undefined;
      task.kept = undefined;
    }
    this.#kept.push(task);
  }

  /** Forgets the outcome; a dead letter stays. */
  #forget(task: MemoryTask): void {
    task.isKept = false;
    this.#parts.onForgotten(task);
    if (!this.dead.has(task)) this.#parts.tasks.delete(task.id);
  }

  /** Removes and returns dead letters, and forgets their errors; without ids, all. They stay among the tasks of the queue. */
  takeDead(ids: readonly string[] | undefined): MemoryTask[] {
    const tasks = this.dead.take(ids);
    for (const task of tasks) {
      if (task.isKept) this.#kept.remove(task);
      task.isKept = false;
    }
    return tasks;
  }

  /** Forgets outcomes that are too old by the clock, even if a busy event loop has not fired the timer yet. */
  check(): void {
    this.#kept.check();
  }

  clear(): void {
    this.#kept.clear();
  }
}
