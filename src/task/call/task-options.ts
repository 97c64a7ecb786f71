/** The options of a task: for its definition, for `.with()` and for `putTask()` alike. */
import { arrayOf, checkOptions, either, is, oneOf, type Rule, rules } from '../../base/options.ts';
import type { Bulkhead, BulkheadItem } from '../../queue/bulkhead.ts';
import type { Openings } from '../../queue/free-capacity.ts';
import { type Priority, priorities } from '../../queue/priority.ts';
import type { Definition, TaskFunction } from '../definition/definition.ts';
import type { Transferable } from '../inside/transferred.ts';
import { type TaskType, taskTypes } from '../record/task-type.ts';
import type { TaskHandle } from './handle.ts';

/** What a task function's promise gives, or what it returns; of a generator, what that returns. */
export type TaskResult<F extends TaskFunction> = [ReturnType<F>] extends [never]
  ? never
  : ReturnType<F> extends AsyncGenerator<unknown, infer R> | Generator<unknown, infer R>
    ? R
    : Awaited<ReturnType<F>>;

/** What a generator task yields. */
export type TaskYield<F extends TaskFunction> = [ReturnType<F>] extends [never]
  ? unknown
  : ReturnType<F> extends AsyncGenerator<infer Y> | Generator<infer Y>
    ? Y
    : unknown;

/** A function called with the result of a task that completed. What it throws is logged and changes nothing. */
export type TaskCallback<R> = (result: R) => unknown;

export interface TaskOptions<F extends TaskFunction = TaskFunction> {
  /** Shown everywhere, and part of the key of the task. Default: the function's name. */
  readonly name?: string;
  /** Default: `'normal'`. */
  readonly priority?: Priority;
  /** Default: `'thread'`. */
  readonly type?: TaskType;
  /** How long the task is held back before it enters the queue. Default: 0. */
  readonly delayMs?: number;
  /** The run time allowed to each attempt, from its start; past it, the attempt ends with `TASK_TIMEOUT`. */
  readonly timeoutMs?: number;
  /** The time that the task may wait in the queue; past it, it ends with `TASK_EXPIRED` and never runs. */
  readonly queueTimeoutMs?: number;
  /** Cancels the task, whether it waits or runs. */
  readonly signal?: AbortSignal;
  /** The time between asking a running task to stop and ending its thread or child. Default: 1,000. */
  readonly stopGraceMs?: number;
  /** How often a task that threw or ran out of time is run again. Default: 0. */
  readonly retries?: number;
  /**
   * The pause before a retry: a random time of up to `retryDelayMs` times 2 for each attempt before, never above 30 s
   * (full jitter, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Default: 100.
   */
  readonly retryDelayMs?: number;
  /**
   * Whether a failure deserves a retry; `attempt` counts from 1. The task waits for a promise; what it throws, or rejects
   * with, is logged, and is a no. Default: all do.
   */
  readonly retryIf?: (error: unknown, attempt: number) => boolean | PromiseLike<boolean>;
  /** How often a task is run again when the thread or child died under it. Default: 0. */
  readonly crashRetries?: number;
  /** Called with the result when the task completes. */
  readonly callback?: TaskCallback<TaskResult<F>> | readonly TaskCallback<TaskResult<F>>[];
  /**
   * What of the arguments is handed over to the thread instead of copied; the caller can't use it after that. To a child all is copied. A task
   * with `retries` or `crashRetries` is given copies, since it may need its arguments again.
   */
  readonly transfer?: (args: Parameters<F>) => readonly Transferable[];
  /** The module whose cap the task counts against. It runs on the supervisor of that. */
  readonly module?: TaskCap;
  /** The task's own id; a second live task with it fails with `DUPLICATE_TASK_ID`. Default: a UUID. */
  readonly taskId?: string;
  /** What `currentTask().idempotencyKey` gives. Workers of couriers set it to the id of the courier's task. Default: the task's id. */
  readonly idempotencyKey?: string;
  /** Which supervisor runs the task. Default: that of its module, or `taskSupervisor`. */
  readonly supervisor?: TaskSubmitter;
}

/** What all calls of a background task share. */
export interface TaskSpec {
  readonly definition: Definition;
  readonly options: ResolvedTaskOptions;
  /** It is submitted ahead of its turn: that it waits for long says nothing. */
  readonly isSubmittedAhead?: boolean;
}

/** What takes tasks: a `TaskSupervisor`. */
export interface TaskSubmitter {
  /** What background tasks call. Use `putTask` instead. */
  submit<T, Y>(spec: TaskSpec, args: readonly unknown[]): TaskHandle<T, Y>;
  /** Whether a task with these options can be taken in now. */
  hasRoom(options: ResolvedTaskOptions): boolean;
  /** Resolves when one more task can wait. */
  capacity(priority?: Priority): Promise<void>;
  /** @internal What it could start at once; undefined where that is not known. */
  readonly freeCapacity?: Openings<TaskType> | undefined;
}

interface CappedTask extends BulkheadItem<CappedTask> {}

/** What caps how many tasks run at a time: a `TaskModule`. */
export interface TaskCap {
  readonly name: string;
  /** How many may run at a time. */
  readonly maxWorkers: number;
  readonly supervisor: TaskSubmitter;
  /** @internal */
  readonly bulkhead: Bulkhead<CappedTask>;
}

/** Complete options: what has a default has its value. */
export interface ResolvedTaskOptions extends TaskOptions {
  readonly priority: Priority;
  readonly type: TaskType;
  readonly stopGraceMs: number;
  /** The name of the background worker whose run it is. */
  readonly worker?: string;
  /** The courier's task that it performs. */
  readonly delivery?: Delivery;
}

/** A task of a courier, as `currentTask()` shows it to who performs it. */
export interface Delivery {
  readonly id: string;
  /** The attempt that is the first here. */
  readonly attempt: number;
}

/** The attempt that a task shows when it has begun so often here. */
export function shownAttempt({ delivery }: ResolvedTaskOptions, begun: number): number {
  return delivery === undefined ? begun : delivery.attempt + begun - 1;
}

const defaults: ResolvedTaskOptions = Object.freeze({ priority: 'normal', type: 'thread', stopGraceMs: 1_000 });

export const taskRules: Readonly<Record<keyof TaskOptions, Rule>> = {
  name: rules.string,
  priority: oneOf(priorities),
  type: oneOf(taskTypes),
  delayMs: rules.durationMs,
  timeoutMs: rules.positiveMs,
  queueTimeoutMs: rules.durationMs,
  signal: rules.signal,
  stopGraceMs: rules.durationMs,
  retries: rules.countOrInfinity,
  retryDelayMs: rules.durationMs,
  retryIf: rules.function,
  crashRetries: rules.countOrInfinity,
  callback: either(
    rules.function,
    arrayOf('a function or an array of functions', (value) => typeof value === 'function'),
  ),
  transfer: rules.function,
  module: is('a TaskModule', (value) => typeof (value as TaskCap | null)?.bulkhead?.mayEnter === 'function'),
  taskId: rules.string,
  idempotencyKey: rules.string,
  supervisor: is('a TaskSupervisor', (value) => typeof (value as TaskSubmitter | null)?.submit === 'function'),
};

/** Checked, completed and frozen; what `base` says holds where `options` says nothing. Never changes what it is given. */
export function resolveTaskOptions(
  options: TaskOptions<never>,
  owner: string,
  base: ResolvedTaskOptions = defaults,
): ResolvedTaskOptions {
  checkOptions(options, taskRules, owner);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const { module, supervisor } = { ...base, ...given } as TaskOptions;
  if (module !== undefined && supervisor !== undefined && module.supervisor !== supervisor) {
    throw new TypeError(
      `option "module" of ${owner} is of another supervisor than option "supervisor": leave that out`,
    );
  }
  return Object.freeze({ ...base, ...given });
}
