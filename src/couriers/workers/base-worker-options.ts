/** The options of courier workers, how they are checked, and what `performTasks()` may return. */
import { rateRule } from '../../base/key-options.ts';
import { is, type Rule, rules } from '../../base/options.ts';
import type { RateOptions } from '../../queue/keys/rate.ts';
import type { CourierTask, WorkerTaskCourier } from '../courier.ts';
import type { TaskAndResult } from './task-results.ts';

/** Each may also be a field of a subclass, which then takes precedence. */
export interface BaseWorkerOptions<D = unknown> {
  /** Required, here or as a field. */
  readonly queueName?: string;
  /** Required, here or as a field. */
  readonly courier?: WorkerTaskCourier;
  /** How many tasks are fetched together, at most. Default: 1. */
  readonly maxTasksPerIteration?: number;
  /**
   * How many tasks are performed at once, at most. As many iterations run side by side as fit into it. Default: 1.
   */
  readonly maxSimultaneousTasks?: number;
  /** If false, the result of every task is undefined; failures are still returned. Default: true. */
  readonly needsResultReturning?: boolean;
  /**
   * How many tasks of one key the workers of the queue may hold at a time, on all machines together. Default: what the queue
   * has. Like `rate`, it belongs to the queue: if workers differ, the one that was started last counts, and is told by
   * `onError()` with `LIMITS_REPLACED`.
   */
  readonly maxPerKey?: number | undefined;
  /** How many tasks the workers of the queue may get in a time, on all machines together. Default: what the queue has. */
  readonly rate?: RateOptions | undefined;
  /** Replaces the method of that name. */
  readonly onError?: (error: unknown, task?: CourierTask<D>) => void;
}

export interface PerformOptions {
  /** How many bulks of tasks are performed. Default: Infinity. */
  readonly totalIterations?: number;
  /** When it aborts, no more tasks are fetched; those in flight are finished and returned, and `perform()` resolves. */
  readonly signal?: AbortSignal;
}

/** What `performTasks()` may return. */
export type BulkResults<D, R> =
  | readonly (R | Error | Promise<R>)[]
  | readonly TaskAndResult<D, R>[]
  // biome-ignore lint/suspicious/noConfusingVoidType: where no result needs returning, a method that returns nothing will do.
  | void;

/** A courier is told by its methods. */
export const courierRule: Rule = is(
  'a courier',
  (value) => typeof (value as { close?: unknown } | null | undefined)?.close === 'function',
);

export const baseWorkerRules: Readonly<Record<keyof BaseWorkerOptions, Rule>> = {
  queueName: rules.string,
  courier: courierRule,
  maxTasksPerIteration: rules.positiveCount,
  maxSimultaneousTasks: rules.positiveCount,
  needsResultReturning: rules.boolean,
  maxPerKey: rules.positiveCountOrInfinity,
  rate: rateRule,
  onError: rules.function,
};

/** The fields of a worker that are options. */
type WorkerFields = Readonly<Record<Exclude<keyof BaseWorkerOptions, 'onError'>, unknown>>;

/** Checks the fields of a worker, which may be those of a subclass. */
export function checkWorkerFields(worker: WorkerFields): void {
  const { onError: _onError, ...fieldRules } = baseWorkerRules;
  for (const [name, rule] of Object.entries(fieldRules) as [keyof WorkerFields, Rule][]) {
    const isOptional = name === 'maxPerKey' || name === 'rate';
    if (!isOptional || worker[name] !== undefined) rule(worker[name], `"${name}" of ${worker.constructor.name}`);
  }
}

export const performRules: { readonly totalIterations: Rule; readonly signal: Rule } = {
  totalIterations: rules.countOrInfinity,
  signal: rules.signal,
};
