/** TaskInfo: a frozen snapshot of what can be seen of a task from outside. */
import { checkOptions, oneOf, type Rule, rules } from '../../base/options.ts';
import { shownMs } from '../../platform/clock.ts';
import { type Priority, priorities } from '../../queue/priority.ts';
import type { Progress } from './progress.ts';
import type { TaskStatus } from './task-status.ts';
import { type TaskType, taskTypes } from './task-type.ts';

/** Why a task ended. The first cause counts. */
export type EndReason = 'completed' | 'failed' | 'canceled' | 'timeout' | 'expired' | 'crashed' | 'shutdown';

export interface TaskInfo {
  readonly id: string;
  readonly name: string;
  /** The id of the task that called it, if one did. */
  readonly parentId: string | undefined;
  /** The id of the ended task that it runs again, if `retryTask()` has made it. */
  readonly retryOf: string | undefined;
  readonly type: TaskType;
  readonly priority: Priority;
  /** Whose task it is, by its option `key`. */
  readonly key: string | undefined;
  /** The name of its module, if it has one. */
  readonly module: string | undefined;
  /** The name of the background worker whose run it is, if it is one. */
  readonly worker: string | undefined;
  readonly status: TaskStatus;
  /** The number of the last attempt, from 1; 0 before the first. */
  readonly attempt: number;
  /** When it was submitted, in epoch milliseconds, like all times here. */
  readonly timeQueued: number;
  /** When its last attempt started. */
  readonly timeStarted: number | undefined;
  readonly timeFinished: number | undefined;
  /** How long it waited for its last start, or has waited until now. */
  readonly waitMs: number;
  /** How long its last attempt ran, or has run until now. */
  readonly runMs: number | undefined;
  /** The thread of its last attempt. */
  readonly threadId: number | undefined;
  /** The child process of its last attempt. */
  readonly pid: number | undefined;
  readonly progress: Progress | undefined;
  /** The error with which it failed. */
  readonly error: unknown;
  readonly endReason: EndReason | undefined;
}

/** A task, of which snapshots are made. */
type Shown = Omit<TaskInfo, 'status'> & { readonly shownStatus: TaskStatus };

export function infoOf(task: Shown): TaskInfo {
  return Object.freeze({
    id: task.id,
    name: task.name,
    parentId: task.parentId,
    retryOf: task.retryOf,
    type: task.type,
    priority: task.priority,
    key: task.key,
    module: task.module,
    worker: task.worker,
    status: task.shownStatus,
    attempt: task.attempt,
    timeQueued: task.timeQueued,
    timeStarted: task.timeStarted,
    timeFinished: task.timeFinished,
    waitMs: shownMs(task.waitMs),
    runMs: task.runMs && shownMs(task.runMs),
    threadId: task.threadId,
    pid: task.pid,
    progress: task.progress,
    error: task.error,
    endReason: task.endReason,
  });
}

/** Selects tasks, as for `getTasks()`, `cancelTasks()` and `setPriority()`: those that match all given fields. */
export interface TaskFilter {
  readonly status?: TaskStatus;
  readonly type?: TaskType;
  readonly priority?: Priority;
  readonly name?: string;
  /** The name of their module. */
  readonly module?: string;
  /** The name of the background worker whose runs they are. */
  readonly worker?: string;
  readonly key?: string;
}

const filterRules: Readonly<Record<keyof TaskFilter, Rule>> = {
  status: oneOf(['delayed', 'queued', 'started', 'completed', 'failed', 'canceled']),
  type: oneOf(taskTypes),
  priority: oneOf(priorities),
  name: rules.string,
  module: rules.string,
  worker: rules.string,
  key: rules.string,
};

export function matching<
  T extends { readonly [K in keyof TaskFilter]-?: TaskFilter[K] | undefined } & { readonly shownStatus: TaskStatus },
>(tasks: readonly T[], filter: TaskFilter, call: string): T[] {
  checkOptions(filter, filterRules, call);
  const { status, ...others } = filter;
  const wanted = Object.entries({ ...others, shownStatus: status }).filter(([, value]) => value !== undefined);
  return tasks.filter((task) => wanted.every(([key, value]) => task[key as keyof TaskFilter] === value));
}
