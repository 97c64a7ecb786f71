/** Finds live tasks, and the last few that have ended, by id. A task enters the map when its id is first read. */
import type { Task } from './task.ts';
import { newIdPrefix, taskId } from './task-id.ts';

export class TaskTable {
  #idPrefix: string | undefined;
  readonly #byId = new Map<string, Task>();
  /** A ring buffer: `#oldest` is the index of the next one to drop. */
  #ended: Task[] = [];
  #oldest = 0;
  #capacity: number;
  #sequence = 0;

  constructor(keepFinished: number) {
    this.#capacity = keepFinished;
  }

  /** The prefix of all its task ids. */
  get idPrefix(): string {
    this.#idPrefix ??= newIdPrefix();
    return this.#idPrefix;
  }

  /** The sequence number of the next task. */
  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  assignId(task: Task): string {
    const id = task.options.taskId ?? taskId(this.idPrefix, task.sequence);
    if (!task.isForgotten && this.#byId.get(id)?.isSettled !== false) this.#byId.set(id, task);
    return id;
  }

  /** The live task of this id. */
  findLive(id: string): Task | undefined {
    const task = this.#byId.get(id);
    return task?.isSettled === false ? task : undefined;
  }

  /** @param started The running tasks: they may know their ids from inside though nobody has read them here. */
  find(id: string, started: Iterable<Task>): Task | undefined {
    const known = this.#byId.get(id);
    if (known !== undefined || !id.startsWith(this.idPrefix)) return known;
    for (const tasks of [started, this.#ended]) {
      for (const task of tasks) if (task.id === id) return task;
    }
    return undefined;
  }

  /** Keeps an ended task until `keepFinished` others have ended. */
  keep(task: Task): void {
    if (this.#ended.length < this.#capacity) {
      this.#ended.push(task);
      return;
    }
    const forgotten = this.#capacity === 0 ? task : (this.#ended[this.#oldest] as Task);
    if (this.#capacity > 0) {
      this.#ended[this.#oldest] = task;
      this.#oldest = (this.#oldest + 1) % this.#capacity;
    }
    this.#forget(forgotten);
  }

  #forget(task: Task): void {
    task.isForgotten = true;
    task.dropArgs();
    if (task.hasId && this.#byId.get(task.id) === task) this.#byId.delete(task.id);
  }

  /** Can't be found by its id any more. */
  drop(task: Task): void {
    if (this.#byId.get(task.id) === task) this.#byId.delete(task.id);
  }

  resize(keepFinished: number): void {
    const kept = this.ended;
    for (const task of kept.splice(0, kept.length - keepFinished)) this.#forget(task);
    this.#ended = kept;
    this.#oldest = 0;
    this.#capacity = keepFinished;
  }

  /** The kept tasks, in the order in which they ended. */
  get ended(): Task[] {
    return [...this.#ended.slice(this.#oldest), ...this.#ended.slice(0, this.#oldest)];
  }
}
