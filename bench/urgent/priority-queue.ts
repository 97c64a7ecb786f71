/** A queue for Piscina with two priorities: tasks that have options for it are high. */
import { FixedQueue, type PiscinaTask, queueOptionsSymbol, type TaskQueue } from 'piscina';

export class PriorityQueue implements TaskQueue {
  readonly #high = new FixedQueue();
  readonly #low = new FixedQueue();

  #queueOf(task: PiscinaTask): FixedQueue {
    return task[queueOptionsSymbol] === null ? this.#low : this.#high;
  }

  get size(): number {
    return this.#high.size + this.#low.size;
  }

  push(task: PiscinaTask): void {
    this.#queueOf(task).push(task);
  }

  unshift(task: PiscinaTask): void {
    this.#queueOf(task).unshift(task);
  }

  remove(task: PiscinaTask): void {
    this.#queueOf(task).remove(task);
  }

  shift(): ReturnType<FixedQueue['shift']> {
    return this.#high.shift() ?? this.#low.shift();
  }
}
