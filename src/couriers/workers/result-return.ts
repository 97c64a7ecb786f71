/** How a worker returns the results of an iteration to the courier: completed tasks in bulk, failed ones one by one. */
import { refusesRetry } from '../../base/do-not-retry.ts';
import { isArray } from '../../base/foreign-value.ts';
import { Promise } from '../../platform/globals.ts';
import type { CourierTask, ReturnErrorOptions, WorkerTaskCourier } from '../courier.ts';
import { isNotCloneable } from '../outage.ts';
import { errorIn, type TaskAndResult } from './task-results.ts';
import { isLeaseLost } from './tasks-in-flight.ts';

interface ResultReturnSettings<D> {
  readonly courier: WorkerTaskCourier;
  readonly queueName: string;
  /** If false, all results are undefined. */
  readonly needsResultReturning: boolean;
  /** What the failure of this task means for the courier; undefined if nothing was said. */
  readonly failureOf: (task: CourierTask<D>) => ReturnErrorOptions | undefined;
  /** Repeats a call of the courier while that can't be reached. */
  readonly retry: <T>(call: () => Promise<T>) => Promise<T>;
  /** Gets `LEASE_LOST` errors; with the task, if the error is of one task. */
  readonly onLeaseLost: (error: unknown, task?: CourierTask<D>) => void;
}

/** Returns the results of an iteration, and fetches at most so many tasks in the same call. */
export type ReturnForNext<D = unknown> = (max: number) => Promise<readonly CourierTask<D>[]>;

/**
 * Rejects with what the courier fails with, other than `LEASE_LOST`.
 * @param next How many tasks to fetch as well. None are fetched if a task has failed or its lease is lost.
 */
export function returnResults<D, R>(
  results: readonly TaskAndResult<D, R>[],
  next: number,
  settings: ResultReturnSettings<D>,
): Promise<readonly CourierTask<D>[]> {
  const isCompleted = ([, result]: TaskAndResult<D, R>) => errorIn(result) === undefined;
  return results.every(isCompleted)
    ? returnCompleted(results, next, settings)
    : returnWithFailed(results.filter(isCompleted), results, settings);
}

async function returnWithFailed<D, R>(
  completed: readonly TaskAndResult<D, R>[],
  all: readonly TaskAndResult<D, R>[],
  settings: ResultReturnSettings<D>,
): Promise<readonly CourierTask<D>[]> {
  const failed = all.filter(([, result]) => errorIn(result) !== undefined);
  await Promise.all([
    returnCompleted(completed, 0, settings),
    ...failed.map(([task, result]) => returnError(task, errorIn(result)?.error, settings)),
  ]);
  return [];
}

async function returnCompleted<D, R>(
  completed: readonly TaskAndResult<D, R>[],
  next: number,
  settings: ResultReturnSettings<D>,
): Promise<readonly CourierTask<D>[]> {
  if (completed.length === 0) return [];
  const { courier, queueName, needsResultReturning } = settings;
  const results = completed.map(([task, result]) => [task, needsResultReturning ? result : undefined] as const);
  const options = next > 0 ? [{ next }] : [];
  try {
    const fetched = await settings.retry(() => courier.bulkReturnTaskResults(queueName, results, ...options));
    return isArray(fetched) ? (fetched as CourierTask<D>[]) : []; // a courier of one's own may not know the option
  } catch (error) {
    if (isLeaseLost(error)) settings.onLeaseLost(error);
    else if (isNotCloneable(error)) await returnOneByOne(results, settings);
    else throw error;
    return [];
  }
}

/** For when it is not known which result can't be copied. `LEASE_LOST` says that a result was already returned. */
async function returnOneByOne<D>(
  results: readonly (readonly [CourierTask<D>, unknown])[],
  settings: ResultReturnSettings<D>,
): Promise<void> {
  await Promise.all(
    results.map(async ([task, result]) => {
      try {
        await settings.retry(() => settings.courier.returnTaskResult(settings.queueName, task, result));
      } catch (error) {
        if (isNotCloneable(error)) await returnError(task, error, settings);
        else if (!isLeaseLost(error)) throw error;
      }
    }),
  );
}

async function returnError<D>(task: CourierTask<D>, error: unknown, settings: ResultReturnSettings<D>): Promise<void> {
  const { courier, queueName } = settings;
  try {
    const failure = refusesRetry(error) ? { isFinal: true } : settings.failureOf(task);
    const options = failure === undefined ? [] : [failure];
    await settings.retry(() => courier.returnTaskError(queueName, task, error, ...options));
  } catch (problem) {
    if (!isLeaseLost(problem)) throw problem;
    settings.onLeaseLost(problem, task);
  }
}
