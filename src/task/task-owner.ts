/** What a task asks of whoever took it in. */
import type { Task } from './task.ts';
import type { TaskSubmitter } from './task-options.ts';
import type { Talk } from './word.ts';

export interface TaskOwner {
  /** Gives a task its id, and can find it by that from then on. */
  nameTask(task: Task): string;
  cancel(task: Task, reason: unknown): boolean;
  /** Asks it to finish, now or as soon as it has begun. */
  stop(task: Task): void;
  /** Says something to a task that has begun. */
  tell(task: Task, talk: Talk): void;
  /** Somebody waits for its end. */
  awaited(task: Task): void;
  /** The nearest of those that called it that is in its module and waits for it. */
  lenderOf(task: Task): Task | undefined;
  /** Takes in the tasks that it calls, where it runs on the event loop. */
  readonly submitter?: TaskSubmitter;
}
