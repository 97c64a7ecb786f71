/** How a worker returns the results of an iteration to the courier: completed tasks in bulk, failed ones one by one. */
import { Promise } from '../../platform/globals.ts';
import type { CourierTask, WorkerTaskCourier } from '../courier.ts';
import { isNotCloneable } from '../outage.ts';
import { errorIn, type TaskAndResult } from './task-results.ts';
import { isLeaseLost } from './tasks-in-flight.ts';

export interface ResultReturnSettings<D> {
  readonly courier: WorkerTaskCourier;
  readonly queueName: string;
  /** If false, all results are undefined. */
  readonly needsResultReturning: boolean;
  /** Whether the failure of this task is final. */
  readonly isFinal: (task: CourierTask<D>) => boolean;
  /** Repeats a call of the courier while that can't be reached. */
  readonly retry: <T>(call: () => Promise<T>) => Promise<T>;
  /** Gets `LEASE_LOST` errors; with the task, if the error is of one task. */
  readonly onLeaseLost: (error: unknown, task?: CourierTask<D>) => void;
}

/** Rejects with what the courier fails with, other than `LEASE_LOST`. */
export async function returnResults<D, R>(
  results: readonly TaskAndResult<D, R>[],
  settings: ResultReturnSettings<D>,
): Promise<void> {
  const completed = results.filter(([, result]) => errorIn(result) === undefined);
  const failed = results.filter(([, result]) => errorIn(result) !== undefined);
  await Promise.all([
    returnCompleted(completed, settings),
    ...failed.map(([task, result]) => returnError(task, errorIn(result)?.error, settings)),
  ]);
}

async function returnCompleted<D, R>(
  completed: readonly TaskAndResult<D, R>[],
  settings: ResultReturnSettings<D>,
): Promise<void> {
  if (completed.length === 0) return;
  const { courier, queueName, needsResultReturning } = settings;
  const results = completed.map(([task, result]) => [task, needsResultReturning ? result : undefined] as const);
  try {
    await settings.retry(() => courier.bulkReturnTaskResults(queueName, results));
  } catch (error) {
    if (isLeaseLost(error)) settings.onLeaseLost(error);
    else if (isNotCloneable(error)) await returnOneByOne(results, settings);
    else throw error;
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
    const options = settings.isFinal(task) ? [{ isFinal: true }] : [];
    await settings.retry(() => courier.returnTaskError(queueName, task, error, ...options));
  } catch (problem) {
    if (!isLeaseLost(problem)) throw problem;
    settings.onLeaseLost(problem, task);
  }
}
