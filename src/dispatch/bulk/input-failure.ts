/** The errors of inputs of an `all()`. */
import { TaskwardenError } from '../../base/errors.ts';
import { isError, messageOf } from '../../base/foreign-value.ts';
import type { Task } from '../../task/record/task.ts';

/**
 * What the `all()` rejects with: the input's own error, with the fields `index` and `input`. What is no error, or takes no fields, is the cause of an
 * `INPUT_FAILED` that has them.
 */
export function failureOf({ id, name }: Task, index: number, input: unknown, error: unknown): unknown {
  const facts = { index, input };
  try {
    if (isError(error)) return Object.assign(error, facts);
  } catch {
    // it is frozen, or has such a field that can't be set
  }
  const message = `input ${index} of task "${name}" failed: ${messageOf(error)}`;
  return new TaskwardenError('INPUT_FAILED', message, { taskId: id, ...facts, cause: error });
}

export function lostResult({ id, name }: Task): TaskwardenError {
  const message = `the result of an input of task "${name}" can't be read`;
  return new TaskwardenError('RESULT_NOT_CLONEABLE', message, { taskId: id });
}
