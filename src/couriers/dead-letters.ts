/** The tasks of a memory queue that failed for good, the oldest first. */
import type { DeadLetter } from './courier.ts';
import type { MemoryTask } from './memory-task.ts';

export class DeadLetters {
  readonly #tasks = new Map<string, MemoryTask>();

  get size(): number {
    return this.#tasks.size;
  }

  has(task: MemoryTask): boolean {
    return this.#tasks.get(task.id) === task;
  }

  add(task: MemoryTask): void {
    this.#tasks.set(task.id, task);
  }

  /** Takes out those that are there; without ids, all. */
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
    for (const { id, data, priority, attempts, outcome: error, timeFailed } of this.#tasks.values()) {
      if (letters.length >= max) break;
      if (skipped < offset) skipped += 1;
      else letters.push({ id, data, priority, attempts, error, timeFailed });
    }
    return letters;
  }
}
