/** The options of courier workers, how they are checked, and what `performTasks()` may return. */
import { is, type Rule, rules } from '../../base/options.ts';
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
  onError: rules.function,
};

export const performRules: { readonly totalIterations: Rule; readonly signal: Rule } = {
  totalIterations: rules.countOrInfinity,
  signal: rules.signal,
};
