/** What a task asks of the part that holds it: the supervisor, or in a thread or child the task that called it. */
import type { Priority } from '../../queue/priority.ts';
import type { TaskSubmitter } from '../call/task-options.ts';
import type { DataMessage } from '../inside/task-message.ts';

export interface TaskOwner<T> {
  /** Gives a task its id. From then on `getTask` can find it by that. */
  assignId(task: T): string;
  cancel(task: T, reason: unknown): boolean;
  /** Asks it to finish, now or as soon as it has begun. */
  stop(task: T): void;
  /** Changes the priority of a task that waits. False: it has begun, or ended. */
  setPriority(task: T, priority: Priority): boolean;
  /** Sends a message to a task that has started. */
  send(task: T, data: DataMessage): void;
  /** Somebody waits for its end. */
  onAwaited(task: T): void;
  /** The nearest of its callers that is in its module and waits for it; with `ofKey`, one that has its key, too. */
  lenderOf(task: T, ofKey?: boolean): T | undefined;
  /** Takes the tasks that it calls, if it runs on the event loop. */
  readonly submitter?: TaskSubmitter;
}
