/** The tasks of a memory queue that have to end by a certain time: with one timer, of those whose time is over, calls back. */
import { now, Timer } from '../../../platform/clock.ts';
import { Heap } from '../../../queue/order/heap.ts';
import type { MemoryTask } from '../memory-task.ts';

export class Deadlines {
  readonly #onPassed: (task: MemoryTask) => void;
  readonly #whenChecked: () => void;
  readonly #tasks = new Heap<MemoryTask>((a, b) => a.deadlineAt < b.deadlineAt);
  #timer: Timer | undefined;
  #timerAt = Infinity;

  /**
   * @param onPassed Gets each task whose time is over, after its removal.
   * @param whenChecked Called after the last of them that a timer has found.
   */
  constructor(onPassed: (task: MemoryTask) => void, whenChecked: () => void) {
    this.#onPassed = onPassed;
    this.#whenChecked = whenChecked;
  }

  get size(): number {
    return this.#tasks.size;
  }

  /** Its time begins now, if it has a deadline. */
  start(task: MemoryTask): void {
    if (task.deadlineMs === undefined) return;
    task.deadlineAt = now() + task.deadlineMs;
    this.#tasks.add(task);
    this.#arm();
  }

  /** It has ended. */
  end(task: MemoryTask): void {
    if (task.deadlineMs !== undefined) this.#tasks.delete(task);
  }

  /** Calls back for all whose time is over by the clock, even if a busy event loop has not fired the timer yet. */
  check(): void {
    for (let task = this.#tasks.first; task !== undefined && task.deadlineAt <= now(); task = this.#tasks.first) {
      this.#tasks.delete(task);
      this.#onPassed(task);
    }
  }

  #arm(): void {
    const { deadlineAt = Infinity } = this.#tasks.first ?? {};
    if (deadlineAt >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = deadlineAt;
    if (deadlineAt === Infinity) return;
    this.#timer = new Timer(Math.ceil(Math.max(deadlineAt - now(), 0)), () => {
      this.#timerAt = Infinity;
      this.check();
      this.#arm();
      this.#whenChecked();
    });
  }

  close(): void {
    this.#timer?.cancel();
  }
}
