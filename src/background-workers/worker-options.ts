/** The options of background workers, and how they are checked. */
import { rateRule } from '../base/key-options.ts';
import { either, is, optionsBy, type Rule, rules } from '../base/options.ts';
import type { ClientWorkerTaskCourier } from '../couriers/courier.ts';
import type { RateOptions } from '../queue/keys/rate.ts';
import { type TaskOptions, taskRules } from '../task/call/task-options.ts';
import type { TaskFunction } from '../task/definition/definition.ts';
import type { TaskInfo } from '../task/record/task-info.ts';

/** A run that failed. */
export interface FailedRun {
  /** The task of the run, at its end. */
  readonly task: TaskInfo;
  /** The arguments of the run. */
  readonly args: readonly unknown[];
}

/** Hooks into the life cycle of a worker, as options or as methods of the same names. */
export interface WorkerHooks {
  /** Called before the first run. If it throws or rejects, the worker does not start. */
  readonly beforeStart?: () => unknown;
  readonly afterStart?: () => unknown;
  /** Called when the worker is asked to stop, if it has started; runs may still be going on. */
  readonly beforeStop?: () => unknown;
  /** Called when nothing of the worker runs any more. */
  readonly afterStop?: () => unknown;
  /** Gets the result of each run, except `false`. */
  readonly processResult?: (result: never) => unknown;
  /** Gets the errors of runs, hooks and the worker's queue. Default: a line in the log. */
  readonly onError?: (error: unknown, run?: FailedRun) => unknown;
}

/** The options of tasks apply to each run. */
export interface WorkerOptions extends Omit<TaskOptions, 'delayMs' | 'taskId' | 'signal'>, WorkerHooks {
  /** `currentTask().context` of each run; a copy in a thread or child. Default: undefined. */
  readonly context?: unknown;
  /** Stops the worker. */
  readonly signal?: AbortSignal;
}

export interface IntervalOptions {
  /**
   * The n-th run is due at start + n x `intervalMs`, the first at the start. Runs that come due during a run are left out. In
   * milliseconds, 1 or more.
   */
  readonly intervalMs?: number;
  /** Instead: the pause from the end of a run to the next one, in milliseconds. 0, or 1 or more. */
  readonly delayMs?: number;
  /** Instead: a cron pattern, such as `0 3 * * *`. */
  readonly cron?: string;
  /** The time zone of the cron pattern, such as `Europe/Lisbon`. Default: that of the process. */
  readonly timezone?: string;
  /** How long each run is delayed after it is due, in milliseconds. Default: 0. */
  readonly delayBeforeMs?: number;
}

export interface QueueOptions {
  /** The courier that holds the queue. Default: an own one, in memory. */
  readonly courier?: ClientWorkerTaskCourier;
  /** The name of the queue. Default: the name of the worker. */
  readonly name?: string;
  /** Gives each run an array of at most so many items, without waiting for more. Default: each run gets a single item. */
  readonly batchSize?: number;
  /** How many runs may go on at once. Default: 1. */
  readonly concurrency?: number;
  /** For an own queue: how many items may wait; `put()` waits for room. Default: Infinity. */
  readonly maxQueued?: number;
  /** How many items of one key may run at a time, on all machines that serve the queue. Default: what the queue has. */
  readonly maxPerKey?: number;
  /** How many items may be fetched in a time, on all machines that serve the queue. Default: what the queue has. */
  readonly rate?: RateOptions;
}

export interface IntervalWorkerOptions extends WorkerOptions, IntervalOptions {}

export interface QueueWorkerOptions extends WorkerOptions {
  /** Default: true, an own queue. */
  readonly queue?: true | QueueOptions;
}

export interface EventWorkerOptions extends WorkerOptions {
  /** Default: true. */
  readonly event?: true;
}

export interface WorkerStopOptions {
  /**
   * `true`: waits until the runs have ended. A number: waits for so many milliseconds at most, then cancels them. `false`:
   * cancels them at once. Default: `true`.
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

/** Also refuses durations that no timer can keep. */
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
  maxPerKey: rules.positiveCountOrInfinity,
  rate: rateRule,
};

const isTrue = is('true', (value) => value === true);

export const queueRule: { readonly queue: Rule } = {
  queue: either(optionsBy(queueOptionRules, 'queue'), isTrue),
};

export const eventRule: { readonly event: Rule } = { event: isTrue };

/** The task options among a worker's options. */
export function runOptionsOf(options: WorkerOptions): TaskOptions {
  const entries = Object.entries(options).filter(([key]) => Object.hasOwn(runRules, key) && key !== 'signal');
  return Object.fromEntries(entries) as TaskOptions<TaskFunction>;
}
