/** The tasks that workers can get: a line for each priority. A task that comes back has the place that it had. */
import { Fifo, type FifoItem } from '../../queue/fifo.ts';
import { type Priority, priorities } from '../../queue/priority.ts';

interface WaitingTask<T> extends FifoItem<T> {
  readonly priority: Priority;
  /** Its place among those that wait; these lines set it. */
  place: number;
}

export class WaitingTasks<T extends WaitingTask<T>> {
  readonly #lines: Readonly<Record<Priority, Fifo<T>>> = {
    critical: new Fifo(),
    high: new Fifo(),
    normal: new Fifo(),
    low: new Fifo(),
  };
  #places = 0;
  #size = 0;
  /** The task that was put back last, while it waits: what comes back together is put back in one go. */
  #lastBack: T | undefined;

  get size(): number {
    return this.#size;
  }

  count(priority: Priority): number {
    return this.#lines[priority].size;
  }

  /** Behind all others of its priority. */
  push(task: T): void {
    this.#places += 1;
    task.place = this.#places;
    this.#size += 1;
    this.#lines[task.priority].push(task);
  }

  /** Before those that came later. */
  putBack(task: T): void {
    const last = this.#lastBack;
    const line = this.#lines[task.priority];
    let elder = last?.priority === task.priority && last.isBefore(task) ? last : undefined;
    let next = elder === undefined ? line.first : elder.next;
    for (; next?.isBefore(task); next = next.next) elder = next;
    line.insert(task, elder);
    this.#size += 1;
    this.#lastBack = task;
  }

  remove(task: T): void {
    this.#lines[task.priority].remove(task);
    this.#size -= 1;
    if (this.#lastBack === task) this.#lastBack = undefined;
  }

  /** The next one of this priority and above. */
  shift(minPriority: Priority): T | undefined {
    for (const priority of priorities) {
      const { first } = this.#lines[priority];
      if (first !== undefined) {
        this.remove(first);
        return first;
      }
      if (priority === minPriority) return undefined;
    }
    return undefined;
  }
}
