/** The options of background workers, and how they are told from each other. */
import { either, is, optionsBy, type Rule, rules } from '../base/options.ts';
import type { ClientWorkerTaskCourier } from '../couriers/courier.ts';
import { type TaskOptions, taskRules } from '../task/call/task-options.ts';
import type { TaskFunction } from '../task/definition/definition.ts';
import type { TaskInfo } from '../task/record/task-info.ts';

/** A run that failed. */
export interface FailedRun {
  /** Of the run, at its end. */
  readonly task: TaskInfo;
  /** What the run was called with. */
  readonly args: readonly unknown[];
}

/** What may be done around the life of a worker, by an option or by a method of that name. */
export interface WorkerHooks {
  /** Before the first run. What it throws, or rejects with, keeps the worker from starting. */
  readonly beforeStart?: () => unknown;
  readonly afterStart?: () => unknown;
  /** When it is asked to stop, if it has started; runs may go on meanwhile. */
  readonly beforeStop?: () => unknown;
  /** When nothing of it runs any more. */
  readonly afterStop?: () => unknown;
  /** Gets what each run has given, apart from `false`. */
  readonly processResult?: (result: never) => unknown;
  /** Gets what a run failed with, what a hook failed with, and what becomes of the worker's queue. Default: a line in the log. */
  readonly onError?: (error: unknown, run?: FailedRun) => unknown;
}

/** Those of tasks hold for each run. */
export interface WorkerOptions extends Omit<TaskOptions, 'delayMs' | 'taskId' | 'signal'>, WorkerHooks {
  /** Seen by each run as `currentTask().context`; in a thread or child it is a copy. Default: undefined. */
  readonly context?: unknown;
  /** Stops the worker. */
  readonly signal?: AbortSignal;
}

export interface IntervalOptions {
  /**
   * The n-th run is due at the start + n x `intervalMs`, the first at the start. What comes due while one runs is left out.
   * 1 or more.
   */
  readonly intervalMs?: number;
  /** Instead: the pause from the end of a run to the next one. 0, or 1 or more. */
  readonly delayMs?: number;
  /** Instead: when to run, such as `0 3 * * *`. */
  readonly cron?: string;
  /** Of the cron pattern, such as `Europe/Lisbon`. Default: that of the process. */
  readonly timezone?: string;
  /** How long each run is put off after it is due. Default: 0. */
  readonly delayBeforeMs?: number;
}

export interface QueueOptions {
  /** Carries the items. Default: one of its own, in memory. */
  readonly courier?: ClientWorkerTaskCourier;
  /** The name of the queue. Default: the worker's. */
  readonly name?: string;
  /** Gives each run an array of so many items at most, without waiting for more. Default: each run gets one item, alone. */
  readonly batchSize?: number;
  /** How many runs may go on at a time. Default: 1. */
  readonly concurrency?: number;
  /** Of a queue of its own: how many items may wait; `put()` waits for room. Default: Infinity. */
  readonly maxQueued?: number;
}

export interface IntervalWorkerOptions extends WorkerOptions, IntervalOptions {}

export interface QueueWorkerOptions extends WorkerOptions {
  /** Default: true, a queue of its own. */
  readonly queue?: true | QueueOptions;
}

export interface EventWorkerOptions extends WorkerOptions {
  /** Default: true. */
  readonly event?: true;
}

export interface WorkerStopOptions {
  /**
   * `true`: waits until what runs has ended. A number: for so many milliseconds at most, then that is canceled. `false`: it is
   * canceled at once. Default: `true`.
   */
  readonly wait?: boolean | number;
}

export const stopRules: Readonly<Record<keyof WorkerStopOptions, Rule>> = {
  wait: either(rules.durationMsOrInfinity, rules.boolean),
};

const hookRules: Readonly<Record<keyof WorkerHooks, Rule>> = {
  beforeStart: rules.function,
  afterStart: rules.function,
  beforeStop: rules.function,
  afterStop: rules.function,
  processResult: rules.function,
  onError: rules.function,
};

const { delayMs: _delayMs, taskId: _taskId, ...runRules } = taskRules;

export const workerRules: Readonly<Record<keyof WorkerOptions, Rule>> = {
  ...runRules,
  ...hookRules,
  context: () => {},
};

/** Also refuses what no timer can keep. */
function timed(rule: Rule): Rule {
  return (value, option) => {
    rule(value, option);
    const ms = value as number;
    if (ms > 0 && ms < 1) throw new RangeError(`${option} must be 1 or more, as timers count milliseconds; got ${ms}`);
  };
}

export const intervalRules: Readonly<Record<keyof IntervalOptions, Rule>> = {
  intervalMs: timed(rules.positiveMs),
  delayMs: timed(rules.durationMs),
  cron: rules.string,
  timezone: rules.string,
  delayBeforeMs: rules.durationMs,
};

const queueOptionRules: Readonly<Record<keyof QueueOptions, Rule>> = {
  courier: is('a courier', (value) => typeof (value as ClientWorkerTaskCourier | null)?.waitForTask === 'function'),
  name: rules.string,
  batchSize: rules.positiveCount,
  concurrency: rules.positiveCount,
  maxQueued: rules.positiveCountOrInfinity,
};

const isTrue = is('true', (value) => value === true);

export const queueRule: { readonly queue: Rule } = {
  queue: either(optionsBy(queueOptionRules, 'queue'), isTrue),
};

export const eventRule: { readonly event: Rule } = { event: isTrue };

/** The part of a worker's options that its runs are submitted with. */
export function runOptionsOf(options: WorkerOptions): TaskOptions {
  const entries = Object.entries(options).filter(([key]) => Object.hasOwn(runRules, key) && key !== 'signal');
  return Object.fromEntries(entries) as TaskOptions<TaskFunction>;
}
