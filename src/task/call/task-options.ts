/** The options of a task. Its definition, `.with()` and `putTask()` take the same ones. */
import { type RetryDelay, retryDelayRule } from '../../base/backoff.ts';
import { checkUnique } from '../../base/key-options.ts';
import { arrayOf, checkDeadline, checkOptions, either, is, oneOf, type Rule, rules } from '../../base/options.ts';
import type { Bulkhead, BulkheadItem } from '../../queue/bulkhead.ts';
import type { FreeCapacity } from '../../queue/free-capacity.ts';
import { type Priority, priorities } from '../../queue/priority.ts';
import type { Definition, TaskFunction } from '../definition/definition.ts';
import type { AllOptions } from '../inputs/bulk-options.ts';
import type { BulkInputs } from '../inputs/input-source.ts';
import type { KeptWork } from '../inside/steps.ts';
import type { Transferable } from '../inside/transferred.ts';
import { type TaskType, taskTypes } from '../record/task-type.ts';
import type { BulkHandle } from './bulk-handle.ts';
import type { TaskHandle } from './handle.ts';

/** The awaited return value of a task function; of a generator, its return value. */
export type TaskResult<F extends TaskFunction> = [ReturnType<F>] extends [never]
  ? never
  : ReturnType<F> extends AsyncGenerator<unknown, infer R> | Generator<unknown, infer R>
    ? R
    : Awaited<ReturnType<F>>;

/** The type of the values that a generator task yields. */
export type TaskYield<F extends TaskFunction> = [ReturnType<F>] extends [never]
  ? unknown
  : ReturnType<F> extends AsyncGenerator<infer Y> | Generator<infer Y>
    ? Y
    : unknown;

/** Called with the result of a completed task. What it throws is logged and changes nothing. */
export type TaskCallback<R> = (result: R) => unknown;

export interface TaskOptions<F extends TaskFunction = TaskFunction> {
  /** Shown in logs, events and infos, and part of the key of the task. Default: the function's name. */
  readonly name?: string;
  /** Default: `'normal'`. */
  readonly priority?: Priority;
  /** Default: `'thread'`. */
  readonly type?: TaskType;
  /** How long the task waits before it enters the queue. Default: 0. */
  readonly delayMs?: number;
  /** The longest run time of each attempt, from its start. After that the attempt ends with `TASK_TIMEOUT`. Default: none. */
  readonly timeoutMs?: number;
  /** The longest time in the queue. After that the task ends with `TASK_EXPIRED` and never runs. Default: none. */
  readonly queueTimeoutMs?: number;
  /**
   * The longest time from the call to the end of the task: its delay, all waiting, attempts and pauses together. After that it
   * ends with `TASK_EXPIRED` if it has never begun, else with `TASK_TIMEOUT`, whose `cause` is the error of the attempt before,
   * if there was one. It ends at once when a pause before a retry would last longer. Of an `all()`, it is the time of the whole.
   * Default: none.
   */
  readonly deadlineMs?: number;
  /** Cancels the task when it aborts, whether the task waits or runs. */
  readonly signal?: AbortSignal;
  /** The time between asking a running task to stop and ending its thread or child. Default: 1,000. */
  readonly stopGraceMs?: number;
  /** How often the task is run again after it threw or timed out. Default: 0. */
  readonly retries?: number;
  /**
   * The pause before a retry: `{ minMs: 1_000, maxMs: 3_600_000, factor: 2, jitter: 0.5 }` by default, which is a second to
   * a second and a half, doubled for each earlier retry, at most an hour; a number is `minMs`. Or a function that gives it
   * in milliseconds; if it throws or gives no such number, that is logged, and the default holds. `undefined` in `with()`
   * stands for the default, too.
   */
  readonly retryDelayMs?: RetryDelay | undefined;
  /**
   * Whether to retry after a failure; `attempt` counts from 1. May return a promise. If it throws or rejects, that is
   * logged, and the task is not retried. Default: always; `undefined` in `with()` stands for that, too.
   */
  readonly retryIf?: ((error: unknown, attempt: number) => boolean | PromiseLike<boolean>) | undefined;
  /** How often the task is run again after its thread or child died. Default: 0. */
  readonly crashRetries?: number;
  /** Called with the result when the task completes. */
  readonly callback?: TaskCallback<TaskResult<F>> | readonly TaskCallback<TaskResult<F>>[];
  /**
   * Returns the parts of the arguments that are transferred to the thread instead of copied; the caller can't use them after
   * that. Children always get copies, and so do tasks with `retries` or `crashRetries`, which may need their arguments
   * again.
   */
  readonly transfer?: (args: Parameters<F>) => readonly Transferable[];
  /**
   * Whose task it is, such as a tenant, a URL or a user: a string, or a function that makes it of the arguments. Modules limit
   * by it, `unique` compares it, and events, `TaskInfo` and filters show it. If the function throws or gives no string, the
   * task fails with `KEY_FAILED`. Default: none.
   */
  readonly key?: string | ((...args: Parameters<F>) => string);
  /**
   * One task of this definition and key at a time. What becomes of a second call: `'join'` returns a handle of the same task,
   * with the same result; each caller can cancel for itself, and the last one cancels the task. `'refuse'` rejects with
   * `TASK_EXISTS`. `'replace'` cancels the task if it waits (`TASK_REPLACED`) and takes its place; one that runs is left to
   * run. Default: none.
   */
  readonly unique?: 'join' | 'refuse' | 'replace';
  /** Whether the task is unique until it starts, or until it has ended. Default: `'pending'`, until it has ended. */
  readonly uniqueWhile?: 'waiting' | 'pending';
  /**
   * How long the task is unique after it has completed: `'join'` gives its result, `'refuse'` refuses. A failure is not kept:
   * the next call runs. Default: 0.
   */
  readonly uniqueForMs?: number;
  /** The module against whose cap the task counts. The task runs on the supervisor of that module. */
  readonly module?: TaskCap;
  /** The id of the task. A second live task with the same id fails with `DUPLICATE_TASK_ID`. Default: a UUID. */
  readonly taskId?: string;
  /** The value of `currentTask().idempotencyKey`. Workers of couriers set it to the id of the courier's task. Default: the task's id. */
  readonly idempotencyKey?: string;
  /** The supervisor that runs the task. Default: that of its module, or `taskSupervisor`. */
  readonly supervisor?: TaskSubmitter;
}

/** What all calls of one background task share. */
export interface TaskSpec {
  readonly definition: Definition;
  readonly options: ResolvedTaskOptions;
  /** It was submitted ahead of its turn, as by `map()`: no warning is logged if it waits for long. */
  readonly isSubmittedAhead?: boolean;
}

/** Accepts tasks: a `TaskSupervisor`. */
export interface TaskSubmitter {
  /** Called by background tasks. Use `putTask` instead. */
  submit<T, Y>(spec: TaskSpec, args: readonly unknown[]): TaskHandle<T, Y>;
  /** @internal Called by background tasks, for `all()`. */
  submitAll<T>(spec: TaskSpec, inputs: BulkInputs, options: AllOptions): BulkHandle<T>;
  /** Whether a task with these options would be accepted now. */
  hasRoom(options: ResolvedTaskOptions): boolean;
  /** Resolves when the queue has room for one more task. */
  capacity(priority?: Priority): Promise<void>;
  /** @internal How many more tasks it could start at once; undefined where that is not known. */
  readonly freeCapacity?: FreeCapacity<TaskType> | undefined;
}

interface CappedTask extends BulkheadItem<CappedTask> {}

/** Limits how many tasks run at a time: a `TaskModule`. */
export interface TaskCap {
  readonly name: string;
  /** How many may run at a time. */
  readonly maxWorkers: number;
  readonly supervisor: TaskSubmitter;
  /** It takes no more tasks. */
  readonly isClosed?: boolean;
  /** @internal Its limits as plain data. */
  readonly limits?: object;
  /** @internal */
  readonly bulkhead: Bulkhead<CappedTask>;
}

/** Options with their defaults filled in. */
export interface ResolvedTaskOptions extends TaskOptions {
  readonly priority: Priority;
  readonly type: TaskType;
  readonly stopGraceMs: number;
  /** The name of the background worker whose run it is. */
  readonly worker?: string;
  /** The courier's task that it runs, if any. */
  readonly delivery?: Delivery;
}

/** The courier's task, as `currentTask()` shows it. */
export interface Delivery {
  readonly id: string;
  /** The attempt number of the first attempt in this supervisor. */
  readonly attempt: number;
  /** What attempts before have kept; as long as another may need it. */
  kept?: KeptWork | undefined;
  /** Keeps work where the task came from, too. Resolves when it is kept. */
  readonly keepWork?: (name: string, work: Uint8Array) => Promise<void>;
}

/** The attempt number that a task sees after `begun` starts in this supervisor. */
export function shownAttempt({ delivery }: ResolvedTaskOptions, begun: number): number {
  return delivery === undefined ? begun : delivery.attempt + begun - 1;
}

const defaults: ResolvedTaskOptions = Object.freeze({ priority: 'normal', type: 'thread', stopGraceMs: 1_000 });

/** Of these, `undefined` takes away what the options before say: their functions can't go to threads and couriers. */
const removable: ReadonlySet<string> = new Set(['retryIf', 'retryDelayMs']);

export const taskRules: Readonly<Record<keyof TaskOptions, Rule>> = {
  name: rules.string,
  priority: oneOf(priorities),
  type: oneOf(taskTypes),
  delayMs: rules.durationMs,
  timeoutMs: rules.positiveMs,
  queueTimeoutMs: rules.durationMs,
  deadlineMs: rules.positiveMs,
  signal: rules.signal,
  stopGraceMs: rules.durationMs,
  retries: rules.countOrInfinity,
  retryDelayMs: retryDelayRule,
  retryIf: rules.function,
  crashRetries: rules.countOrInfinity,
  callback: either(
    rules.function,
    arrayOf('a function or an array of functions', (value) => typeof value === 'function'),
  ),
  transfer: rules.function,
  unique: oneOf(['join', 'refuse', 'replace']),
  uniqueWhile: oneOf(['waiting', 'pending']),
  uniqueForMs: rules.durationMs,
  key: either(rules.string, rules.function),
  module: is('a TaskModule', (value) => typeof (value as TaskCap | null)?.bulkhead?.mayEnter === 'function'),
  taskId: rules.string,
  idempotencyKey: rules.string,
  supervisor: is('a TaskSupervisor', (value) => typeof (value as TaskSubmitter | null)?.submit === 'function'),
};

/** The same specs for the same ones, so that tasks whose priority was changed together can share a batch. */
const changed = new WeakMap<TaskSpec, Map<Priority, TaskSpec>>();

export function withPriority(spec: TaskSpec, priority: Priority): TaskSpec {
  const known = changed.get(spec) ?? new Map<Priority, TaskSpec>();
  changed.set(spec, known);
  const found =
    known.get(priority) ?? Object.freeze({ ...spec, options: Object.freeze({ ...spec.options, priority }) });
  known.set(priority, found);
  return found;
}

/** Checks options, completes them from `base`, and freezes the result. Does not change its arguments. */
export function resolveTaskOptions(
  options: TaskOptions<never>,
  owner: string,
  base: ResolvedTaskOptions = defaults,
): ResolvedTaskOptions {
  checkOptions(options, taskRules, owner);
  const given = Object.fromEntries(
    Object.entries(options).filter(([name, value]) => value !== undefined || removable.has(name)),
  );
  const all = { ...base, ...given } as TaskOptions;
  const { module, supervisor } = all;
  checkUnique(all, owner);
  checkDeadline(all, owner);
  if (module !== undefined && supervisor !== undefined && module.supervisor !== supervisor) {
    throw new TypeError(
      `option "module" of ${owner} is of another supervisor than option "supervisor": leave that out`,
    );
  }
  const { retryDelayMs } = given as TaskOptions;
  const delay = typeof retryDelayMs === 'object' && { retryDelayMs: Object.freeze({ ...retryDelayMs }) };
  return Object.freeze({ ...base, ...given, ...delay });
}
