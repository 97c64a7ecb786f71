/** Adds tasks to a memory queue: now, or when there is room; and one of a key at a time, where that is wanted. */
import { Promise } from '../../../platform/globals.ts';
import { Fifo } from '../../../queue/order/fifo.ts';
import type { AddOptions } from '../../courier.ts';
import * as courierError from '../../courier-error.ts';
import { AddWait, rejectAll, type Wait } from '../../wait.ts';
import type { MemoryTask } from '../memory-task.ts';
import type { QueuedTasks } from './queued-tasks.ts';
import type { UniqueTasks } from './unique-tasks.ts';

interface AdditionParts {
  readonly queue: string;
  readonly maxQueued: number;
  readonly unique: UniqueTasks;
  readonly queued: QueuedTasks;
  /** All tasks of the queue, by id. */
  readonly tasks: Map<string, MemoryTask>;
  /** Ends a task that waits. */
  readonly cancel: (task: MemoryTask, error: unknown) => void;
  /** Called with each task that is added. */
  readonly added: (task: MemoryTask) => void;
}

export class Additions {
  readonly #parts: AdditionParts;
  readonly #waits = new Fifo<Wait<string>>();

  constructor(parts: AdditionParts) {
    this.#parts = parts;
  }

  get areWaiting(): boolean {
    return this.#waits.size > 0;
  }

  /**
   * Adds all, or rejects and adds none; with `wait`, each when there is room, in the order of these calls. Resolves with their
   * ids; in place of one that has joined another, with the id of that.
   * @param onGiveUp Is called when a wait for room is given up.
   */
  async add(
    tasks: readonly MemoryTask[],
    { wait = false, signal }: AddOptions,
    onGiveUp: () => void,
  ): Promise<string[]> {
    const hasRoom = this.#parts.queued.room >= tasks.length && !this.areWaiting; // those that wait come first
    if (!wait || hasRoom) return this.#addNow(tasks);
    const options = signal === undefined ? {} : { signal };
    return Promise.all(
      tasks.map((task) => {
        if (task.unique === undefined) this.#refuseKnown(task.id);
        return new AddWait(this.#waits, task, options, onGiveUp).promise;
      }),
    );
  }

  #addNow(tasks: readonly MemoryTask[]): string[] {
    const [first] = tasks;
    if (first?.unique !== undefined) return [this.#addUnique(first, first.unique)];
    for (const { id } of tasks) this.#refuseKnown(id);
    this.#refuseIfFull(tasks.length);
    for (const task of tasks) this.#insert(task);
    return tasks.map(({ id }) => id);
  }

  /** Adds those for which there is room now. */
  admit(): void {
    const { queued } = this.#parts;
    for (let wait = this.#waits.first; wait !== undefined && queued.room > 0; wait = this.#waits.first) {
      try {
        const [id] = this.#addNow([(wait as AddWait<MemoryTask>).task]);
        wait.resolve(id as string);
      } catch (error) {
        wait.reject(error);
      }
    }
  }

  #addUnique(task: MemoryTask, unique: 'join' | 'refuse' | 'replace'): string {
    const { queue, cancel } = this.#parts;
    const key = task.key as string;
    const other = this.#parts.unique.find(key);
    if (other !== undefined && unique === 'join') return other.id;
    if (other !== undefined && unique === 'refuse') throw courierError.taskExists(queue, key, other.id);
    this.#refuseKnown(task.id);
    if (other?.state === 'waiting' || other?.state === 'delayed') {
      const takesPlace = other.state === 'waiting' && other.priority === task.priority;
      cancel(other, courierError.taskReplaced(queue, other.id, task.id));
      this.#insert(task, takesPlace ? other.sequence : undefined);
    } else {
      this.#refuseIfFull(1);
      this.#insert(task);
    }
    return task.id;
  }

  #refuseKnown(id: string): void {
    if (this.#parts.tasks.has(id)) throw courierError.duplicateId(this.#parts.queue, id);
  }

  #refuseIfFull(tasks: number): void {
    const { queued, queue, maxQueued } = this.#parts;
    if (tasks > queued.room) throw courierError.queueFull(queue, maxQueued);
  }

  /** @param place That of the task which it replaces. */
  #insert(task: MemoryTask, place?: number): void {
    const { tasks, unique, queued, added } = this.#parts;
    tasks.set(task.id, task);
    added(task);
    unique.register(task);
    queued.add(task, place);
  }

  rejectAll(error: unknown): void {
    rejectAll(this.#waits, error);
  }
}
