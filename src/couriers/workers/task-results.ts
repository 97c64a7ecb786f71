/**
 * Assigns what `performTasks()` returned to the tasks: results in the order of the tasks, or pairs of a task and its result.
 * An Error in place of a result, or a promise that rejects, is the failure of that task.
 */
import { TaskwardenError } from '../../base/errors.ts';
import { fieldOf, isArray, isError, isThenable } from '../../base/foreign-value.ts';
import { show } from '../../base/options.ts';
import { Promise } from '../../platform/globals.ts';
import { nextTurnIfSpent } from '../../platform/loop-turn.ts';
import type { CourierTask } from '../courier.ts';

/** Stand-ins for thrown values that are not Errors, such as strings, with those values. */
const failures = new WeakMap<object, unknown>();

export type TaskAndResult<D = unknown, R = unknown> = readonly [task: CourierTask<D>, result: R | Error];

export function failureOf(thrown: unknown): Error {
  if (isError(thrown)) return thrown;
  const failure = {};
  failures.set(failure, thrown);
  return failure as Error;
}

/** The error of the task, if the result is a failure. */
export function errorIn(result: unknown): { readonly error: unknown } | undefined {
  if (failures.has(result as object)) return { error: failures.get(result as object) };
  return isError(result) ? { error: result } : undefined;
}

/** Awaits results that are promises, such as those of `tasks.map(async (task) => ...)`: each may fail alone. */
export async function settleResults(given: unknown): Promise<unknown> {
  if (!isArray(given) || !given.some(isThenable)) return given;
  const settled = await Promise.all(
    given.map(async (result: unknown) => {
      if (!isThenable(result)) return [result];
      try {
        return [await result];
      } catch (thrown) {
        return [failureOf(thrown)];
      }
    }),
  );
  return settled.map(([result]) => result);
}

/**
 * A result or a failure for each task, in their order. A task without a result fails with `RESULT_MISSING`; if there are more
 * results than tasks, all fail, because it is not known which results are theirs.
 * @param needsResults If false, a missing result is no failure, and every result is undefined.
 */
export function pairResults<D, R>(
  tasks: readonly CourierTask<D>[],
  given: unknown,
  needsResults: boolean,
): TaskAndResult<D, R>[] {
  if (given === undefined && !needsResults) return tasks.map((task) => [task, undefined as R]);
  if (!isArray(given)) return tasks.map((task) => [task, missing(task, `${show(given)}, and no results`)]);
  const find = resultFinder(tasks, given);
  return tasks.map((task, place) => {
    const found = find(task, place);
    if (found instanceof TaskwardenError) return [task, found];
    if (needsResults || (found !== undefined && errorIn(found.value) !== undefined)) {
      return [task, found === undefined ? missing(task, 'none for it') : (found.value as R)];
    }
    return [task, undefined as R];
  });
}

type Finder = (task: CourierTask, place: number) => { readonly value: unknown } | TaskwardenError | undefined;

function resultFinder(tasks: readonly CourierTask[], given: readonly unknown[]): Finder {
  const known = new Set<unknown>(tasks);
  const isPair = (value: unknown): value is [CourierTask, unknown] =>
    isArray(value) && fieldOf(value, 'length') === 2 && known.has(fieldOf(value, 0));
  const pairs = new Map(given.filter(isPair));
  if (pairs.size > 0) {
    const isMixed = !given.every(isPair);
    return (task) => {
      if (isMixed) return missing(task, 'pairs of a task and its result, and among them something else');
      return pairs.has(task) ? { value: pairs.get(task) } : undefined;
    };
  }
  if (given.length > tasks.length) return (task) => missing(task, `${given.length} results for ${tasks.length} tasks`);
  return (_task, place) => (place in given ? { value: given[place] } : undefined);
}

function missing({ id }: CourierTask, what: string): TaskwardenError {
  const message = `task ${id} has no result: performTasks() gave ${what}`;
  return new TaskwardenError('RESULT_MISSING', message, { taskId: id });
}

/** Performs tasks, so many at once, and gives their results in order. */
export async function performEach<D, R>(
  tasks: readonly CourierTask<D>[],
  atOnce: number,
  perform: (task: CourierTask<D>) => Promise<R>,
): Promise<R[]> {
  const [first] = tasks;
  if (first !== undefined && tasks.length === 1) {
    await nextTurnIfSpent();
    return [await perform(first)];
  }
  const results: R[] = [];
  const entries = tasks.entries();
  const performNext = async () => {
    for (const [place, task] of entries) {
      await nextTurnIfSpent();
      results[place] = await perform(task);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, tasks.length) }, performNext));
  return results;
}
