/** The tasks that workers can get: a FIFO for each priority. A task that is put back gets its old position. */
import { Fifo, type FifoItem } from '../../queue/order/fifo.ts';
import { type Priority, priorities } from '../../queue/priority.ts';

interface WaitingTask<T> extends FifoItem<T> {
  readonly priority: Priority;
  /** Its position among those that wait; set here. */
  sequence: number;
}

export class WaitingTasks<T extends WaitingTask<T>> {
  readonly #fifos: Readonly<Record<Priority, Fifo<T>>> = {
    critical: new Fifo(),
    high: new Fifo(),
    normal: new Fifo(),
    low: new Fifo(),
  };
  #sequence = 0;
  #size = 0;
  /** The task that was put back last, while it waits. The search for the next one's position starts there. */
  #lastPutBack: T | undefined;

  get size(): number {
    return this.#size;
  }

  count(priority: Priority): number {
    return this.#fifos[priority].size;
  }

  /** Adds the task behind all others of its priority. */
  push(task: T): void {
    this.#sequence += 1;
    task.sequence = this.#sequence;
    this.#size += 1;
    this.#fifos[task.priority].push(task);
  }

  /** Inserts the task before those that were pushed later. */
  putBack(task: T): void {
    const last = this.#lastPutBack;
    const fifo = this.#fifos[task.priority];
    let before = last?.priority === task.priority && last.isBefore(task) ? last : undefined;
    let next = before === undefined ? fifo.first : before.next;
    for (; next?.isBefore(task); next = next.next) before = next;
    fifo.insert(task, before);
    this.#size += 1;
    this.#lastPutBack = task;
  }

  remove(task: T): void {
    this.#fifos[task.priority].remove(task);
    this.#size -= 1;
    if (this.#lastPutBack === task) this.#lastPutBack = undefined;
  }

  /** The next task of this priority or above. */
  first(minPriority: Priority): T | undefined {
    for (const priority of priorities) {
      const { first } = this.#fifos[priority];
      if (first !== undefined || priority === minPriority) return first;
    }
    return undefined;
  }
}
