/**
 * One caller's share of a task that others may join: what its handle shows. It is the task that runs, until this caller
 * cancels: then the share has ended, and the task goes on for the others.
 */
import type { Priority } from '../../queue/priority.ts';
import type { Progress } from '../record/progress.ts';
import type { EndReason, TaskInfo } from '../record/task-info.ts';
import type { TaskStatus } from '../record/task-status.ts';
import type { TaskType } from '../record/task-type.ts';
import type { HandledTask, TaskHandle } from './handle.ts';

/** The task of this call. */
interface OwnTask extends HandledTask {
  share: TaskShare | undefined;
  /** Rejects its handle, and nothing else. */
  rejectHandle(error: unknown): void;
}

export class TaskShare implements HandledTask {
  readonly #own: OwnTask;
  /** The task that it has joined, if it is not the first. */
  #joined: HandledTask | undefined;
  /** The first caller has left a task that goes on. */
  #left: { readonly error: unknown; readonly info: TaskInfo } | undefined;

  constructor(own: OwnTask) {
    this.#own = own;
    own.share = this;
  }

  /** From now on it is a share of that task. */
  join(task: HandledTask): void {
    this.#joined = task;
  }

  /** The caller has canceled, or its time is over, and the task, which is its own, goes on. */
  leave({ reason, error }: { readonly reason: EndReason; readonly error: unknown }): void {
    const status = reason === 'canceled' ? 'canceled' : 'failed';
    const info: TaskInfo = Object.freeze({ ...this.#own.info, status, endReason: reason, error });
    this.#left = { error, info };
    this.#own.rejectHandle(error);
  }

  /** The task that runs; its own, when that has ended. */
  get #shown(): HandledTask {
    return this.#joined === undefined || this.#own.isSettled ? this.#own : this.#joined;
  }

  get id(): string {
    return this.#shown.id;
  }

  get name(): string {
    return this.#shown.name;
  }

  get priority(): Priority {
    return this.#shown.priority;
  }

  get type(): TaskType {
    return this.#shown.type;
  }

  get shownStatus(): TaskStatus {
    return this.#left === undefined ? this.#shown.shownStatus : this.#left.info.status;
  }

  get info(): TaskInfo {
    return this.#left?.info ?? this.#shown.info;
  }

  get error(): unknown {
    return this.#left === undefined ? this.#shown.error : this.#left.error;
  }

  get isSettled(): boolean {
    return this.#left !== undefined || this.#own.isSettled;
  }

  attach(handle: TaskHandle<unknown>): void {
    this.#own.attach(handle);
  }

  markAwaited(): void {
    this.#own.markAwaited();
    this.#joined?.markAwaited();
  }

  release(): void {
    this.#shown.release();
  }

  cancel(reason: unknown): boolean {
    return !this.isSettled && this.#own.cancel(reason);
  }

  stop(): void {
    if (!this.isSettled) this.#shown.stop();
  }

  /** Of the task that runs, for all who have joined it. */
  setPriority(priority: Priority): boolean {
    return !this.isSettled && this.#own.setPriority(priority);
  }

  send(data: unknown, untilTaken: boolean): Promise<boolean> {
    return this.#shown.send(data, untilTaken);
  }

  channelsForReader(): ReturnType<HandledTask['channelsForReader']> {
    return this.#shown.channelsForReader();
  }

  onProgress(listener: (progress: Progress) => void): void {
    if (!this.isSettled) this.#shown.onProgress(listener);
  }
}
