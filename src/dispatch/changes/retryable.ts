/** Whether a task can be run once more by `retryTask()`, and why not. */
import { type ErrorCode, TaskwardenError } from '../../base/errors.ts';
import type { Task } from '../../task/record/task.ts';

/** @throws TaskwardenError `TASK_NOT_FOUND`, `TASK_NOT_ENDED`, or `ARGUMENTS_MISSING`. */
export function checkRetryable(id: string, task: Task | undefined): asserts task is Task {
  if (task === undefined) {
    throw refusal('TASK_NOT_FOUND', id, `there is no task '${id}' to retry, or it was forgotten: see keepFinished`);
  }
  const { name } = task;
  if (!task.isSettled) throw refusal('TASK_NOT_ENDED', id, `task "${name}" can't be retried: it is ${task.status}`);
  if (task.hasArgs) return;
  const why = task.isBulk
    ? 'it is an all(), whose inputs are not kept'
    : task.status === 'completed'
      ? 'it has completed, and only those that did not are kept'
      : task.options.transfer !== undefined
        ? 'they were transferred'
        : 'they were dropped when its supervisor stopped';
  throw refusal('ARGUMENTS_MISSING', id, `task "${name}" can't be retried, as its arguments are gone: ${why}`);
}

function refusal(code: ErrorCode, taskId: string, message: string): TaskwardenError {
  return new TaskwardenError(code, message, { taskId });
}
