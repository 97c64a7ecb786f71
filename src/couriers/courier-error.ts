/** The errors of couriers; all couriers use the same texts. */
import { TaskwardenError } from '../base/errors.ts';
import { serverError } from './server-error.ts';

export function courierClosed(): TaskwardenError {
  return new TaskwardenError('COURIER_CLOSED', 'the courier was closed');
}

/**
 * @param what Says what may or may not have been done.
 * @param cause Passed through `serverError()`.
 */
export function courierUnreachable(what: string, cause: unknown, taskId?: string): TaskwardenError {
  const message = `the courier's server can't be reached, or can't do it: ${what}`;
  return new TaskwardenError('COURIER_UNREACHABLE', message, {
    cause: serverError(cause),
    ...(taskId !== undefined && { taskId }),
  });
}

/** For the first connection, where waiting does not help. */
export function serverRefused(error: unknown): TaskwardenError {
  const cause = serverError(error);
  const message = `the courier's server refuses the connection: ${cause.message}; check the user, password, database and rights`;
  return new TaskwardenError('SERVER_REFUSED', message, { cause });
}

export function queueFull(queue: string, maxQueued: number): TaskwardenError {
  return new TaskwardenError(
    'QUEUE_FULL',
    `queue "${queue}" is full: maxQueued is ${maxQueued}; add with { wait: true }`,
  );
}

export function duplicateId(queue: string, taskId: string): TaskwardenError {
  return new TaskwardenError('DUPLICATE_TASK_ID', `queue "${queue}" already has a task '${taskId}'`, { taskId });
}

/** @param taskId That of the one that is there. */
export function taskExists(queue: string, key: string, taskId: string): TaskwardenError {
  const message = `queue "${queue}" has a task of key '${key}' already: '${taskId}'`;
  return new TaskwardenError('TASK_EXISTS', message, { taskId });
}

export function taskReplaced(queue: string, taskId: string, by: string): TaskwardenError {
  const message = `task '${taskId}' of queue "${queue}" was replaced by a later one of its key ('${by}')`;
  return new TaskwardenError('TASK_REPLACED', message, { taskId });
}

export function taskNotFound(queue: string, taskId: string): TaskwardenError {
  const message = `queue "${queue}" has no task '${taskId}': it was never added, or its result has expired`;
  return new TaskwardenError('TASK_NOT_FOUND', message, { taskId });
}

export function resultNotReady(queue: string, taskId: string): TaskwardenError {
  return new TaskwardenError('RESULT_NOT_READY', `task '${taskId}' of queue "${queue}" has not ended`, { taskId });
}

export function resultTimeout(queue: string, taskId: string, timeoutMs: number): TaskwardenError {
  const message = `the result of task '${taskId}' of queue "${queue}" did not come within ${timeoutMs} ms`;
  return new TaskwardenError('RESULT_TIMEOUT', message, { taskId, timeoutMs });
}

/** @param taskIds One id, or more. */
export function leaseLost(queue: string, taskIds: readonly string[]): TaskwardenError {
  const [taskId] = taskIds;
  const which = taskIds.map((id) => `'${id}'`).join(', ');
  const message =
    taskIds.length === 1
      ? `the lease of task ${which} of queue "${queue}" is lost: it ran out, or the task was returned or canceled`
      : `the leases of tasks ${which} of queue "${queue}" are lost: they ran out, or the tasks were returned or canceled`;
  return new TaskwardenError('LEASE_LOST', message, taskId !== undefined && taskIds.length === 1 ? { taskId } : {});
}

export function taskStalled(queue: string, taskId: string, stalls: number): TaskwardenError {
  const message = `task '${taskId}' of queue "${queue}" has lost ${stalls} leases: its workers died, or hung`;
  return new TaskwardenError('TASK_STALLED', message, { taskId });
}

export function taskCanceled(queue: string, taskId: string, cause: unknown): TaskwardenError {
  return new TaskwardenError('TASK_CANCELED', `task '${taskId}' of queue "${queue}" was canceled`, { taskId, cause });
}

/** The `deadlineMs` of a task is over, or leaves no time for another attempt. @param cause What its last attempt failed with. */
export function deadlinePassed(
  queue: string,
  {
    id: taskId,
    deadlineMs: timeoutMs,
    hasBegun,
  }: { readonly id: string; readonly deadlineMs: number; readonly hasBegun: boolean },
  cause?: unknown,
): TaskwardenError {
  const facts = { taskId, timeoutMs, ...(cause !== undefined && { cause }) };
  const what = (done: string) =>
    `task '${taskId}' of queue "${queue}" did not ${done} within its deadline of ${timeoutMs} ms`;
  return hasBegun
    ? new TaskwardenError('TASK_TIMEOUT', what('end'), facts)
    : new TaskwardenError('TASK_EXPIRED', what('begin'), facts);
}
