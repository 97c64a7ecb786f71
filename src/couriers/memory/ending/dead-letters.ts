/** The tasks of a memory queue that failed for good, the oldest first. */
import type { DeadLetter } from '../../courier.ts';
import type { MemoryTask } from '../memory-task.ts';

export class DeadLetters {
  readonly #max: number;
  readonly #tasks = new Map<string, MemoryTask>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#tasks.size;
  }

  has(task: MemoryTask): boolean {
    return this.#tasks.get(task.id) === task;
  }

  /** Returns the oldest, which was dropped, if there were too many. */
  add(task: MemoryTask): MemoryTask | undefined {
    this.#tasks.set(task.id, task);
    if (this.size <= this.#max) return undefined;
    const [oldest] = this.#tasks.values() as Iterable<MemoryTask> as [MemoryTask];
    this.#tasks.delete(oldest.id);
    return oldest;
  }

  /** Removes and returns those that are there; without ids, all. */
  take(ids: readonly string[] = [...this.#tasks.keys()]): MemoryTask[] {
    const taken: MemoryTask[] = [];
    for (const id of ids) {
      const task = this.#tasks.get(id);
      if (task !== undefined && this.#tasks.delete(id)) taken.push(task);
    }
    return taken;
  }

  list(offset: number, max: number): DeadLetter[] {
    const letters: DeadLetter[] = [];
    let skipped = 0;
    for (const { id, data, priority, attempts, outcome: error, timeEnded } of this.#tasks.values()) {
      if (letters.length >= max) break;
      if (skipped < offset) skipped += 1;
      else letters.push({ id, data, priority, attempts, error, timeFailed: timeEnded as number });
    }
    return letters;
  }
}
