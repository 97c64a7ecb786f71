/** The tasks of a memory queue of whose key there is one at a time. */
import { Timer } from '../../../platform/clock.ts';
import type { MemoryTask } from '../memory-task.ts';

export class UniqueTasks {
  readonly #byKey = new Map<string, MemoryTask>();
  /** Of those that have completed, and are unique for a while after that. */
  readonly #timers = new Map<MemoryTask, Timer>();

  find(key: string): MemoryTask | undefined {
    return this.#byKey.get(key);
  }

  /** From now on, it is the one of its key. */
  register(task: MemoryTask): void {
    if (task.unique !== undefined) this.#byKey.set(task.key as string, task);
  }

  onEnded(task: MemoryTask): void {
    const { state, uniqueForMs } = task;
    if (state !== 'completed' || uniqueForMs === 0) this.forget(task);
    else if (this.#isOne(task)) this.#timers.set(task, new Timer(uniqueForMs, () => this.forget(task)));
  }

  forget(task: MemoryTask): void {
    if (this.#isOne(task)) this.#byKey.delete(task.key as string);
    this.#timers.get(task)?.cancel();
    this.#timers.delete(task);
  }

  #isOne(task: MemoryTask): boolean {
    return task.unique !== undefined && this.#byKey.get(task.key as string) === task;
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.cancel();
  }
}
