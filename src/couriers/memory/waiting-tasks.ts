/** The tasks that workers can get: a line for each priority. A task that comes back has the place that it had. */
import { Fifo, type FifoItem } from '../../queue/fifo.ts';
import { type Priority, priorities } from '../../queue/priority.ts';

interface WaitingTask<T> extends FifoItem<T> {
  readonly priority: Priority;
  /** Its place among those that wait; these lines set it. */
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
  /** The task that was put back last, while it waits: what comes back together is put back in one go. */
  #lastPutBack: T | undefined;

  get size(): number {
    return this.#size;
  }

  count(priority: Priority): number {
    return this.#fifos[priority].size;
  }

  /** Behind all others of its priority. */
  push(task: T): void {
    this.#sequence += 1;
    task.sequence = this.#sequence;
    this.#size += 1;
    this.#fifos[task.priority].push(task);
  }

  /** Before those that came later. */
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

  /** The next one of this priority and above. */
  shift(minPriority: Priority): T | undefined {
    for (const priority of priorities) {
      const { first } = this.#fifos[priority];
      if (first !== undefined) {
        this.remove(first);
        return first;
      }
      if (priority === minPriority) return undefined;
    }
    return undefined;
  }
}
