/** What a task asks of whoever took it in. */
import type { TaskSubmitter } from '../call/task-options.ts';
import type { DataMessage } from '../inside/task-message.ts';

export interface TaskOwner<T> {
  /** Gives a task its id, and can find it by that from then on. */
  assignId(task: T): string;
  cancel(task: T, reason: unknown): boolean;
  /** Asks it to finish, now or as soon as it has begun. */
  stop(task: T): void;
  /** Says something to a task that has begun. */
  send(task: T, data: DataMessage): void;
  /** Somebody waits for its end. */
  onAwaited(task: T): void;
  /** The nearest of those that called it that is in its module and waits for it. */
  lenderOf(task: T): T | undefined;
  /** Takes in the tasks that it calls, where it runs on the event loop. */
  readonly submitter?: TaskSubmitter;
}
