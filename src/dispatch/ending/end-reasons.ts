/** The reasons that end a task before or instead of its function, each with its error. */
import { TaskwardenError } from '../../base/errors.ts';
import { describeExit, type Exit } from '../../base/exit.ts';
import { isError, messageOf } from '../../base/foreign-value.ts';
import type { LaneOutcome } from '../../lanes/lane.ts';
import { now } from '../../platform/clock.ts';
import type { Deadline } from '../../platform/deadline.ts';
import { withoutStack } from '../../platform/stack-traces.ts';
import type { Task } from '../../task/record/task.ts';
import type { EndRequest } from '../../task/record/task-record.ts';

/** Canceled by its caller or its signal; the reason is the `cause` of the error. */
export function canceled(task: Task, reason: unknown): EndRequest {
  const error = new TaskwardenError('TASK_CANCELED', `task "${task.name}" was canceled`, {
    taskId: task.id,
    ...(reason !== undefined && { cause: reason }),
  });
  return { reason: 'canceled', error };
}

/** Another one of its definition and key takes its place. */
export function replaced(task: Task, by: Task): EndRequest {
  const message = `task "${task.name}" of key '${task.key}' was replaced by a later one (${by.id})`;
  return { reason: 'canceled', error: new TaskwardenError('TASK_REPLACED', message, { taskId: task.id }) };
}

export function timedOut(task: Task, timeoutMs: number): EndRequest {
  const message = `task "${task.name}" ran longer than its ${timeoutMs} ms`;
  return { reason: 'timeout', error: new TaskwardenError('TASK_TIMEOUT', message, { taskId: task.id, timeoutMs }) };
}

export function expired(task: Task, timeoutMs: number): EndRequest {
  const message = `task "${task.name}" waited longer than its ${timeoutMs} ms, and never ran`;
  return { reason: 'expired', error: new TaskwardenError('TASK_EXPIRED', message, { taskId: task.id, timeoutMs }) };
}

/** Its `deadlineMs` is over, or leaves no time for another attempt. */
export function tooLate(task: Task, hasBegun: boolean): EndRequest {
  const { ms, at, failure } = task.deadline as Deadline;
  const facts = { taskId: task.id, timeoutMs: ms, ...(failure && { cause: failure.error }) };
  const error = hasBegun
    ? new TaskwardenError('TASK_TIMEOUT', `task "${task.name}" did not end within its deadline of ${ms} ms`, facts)
    : new TaskwardenError('TASK_EXPIRED', `task "${task.name}" did not begin within its deadline of ${ms} ms`, facts);
  return { reason: hasBegun ? 'timeout' : 'expired', error, at: Math.min(at, now()), isFinal: true };
}

/** What becomes of a request to end a task that was not to begin, if it has begun all the same. */
export function afterBegin(task: Task, request: EndRequest): EndRequest | undefined {
  if (request.isTentative) return undefined;
  return request.reason === 'expired' && task.deadline !== undefined ? tooLate(task, true) : request;
}

export function crashed(task: Task, exit: Exit): EndRequest {
  const { exitCode, signal, cause } = exit;
  const host = task.type === 'process' ? 'child' : 'thread';
  const how = isError(cause) ? messageOf(cause) : describeExit(exit);
  const error = new TaskwardenError('TASK_CRASHED', `the ${host} of task "${task.name}" died under it: ${how}`, {
    taskId: task.id,
    ...(exitCode !== undefined && { exitCode }),
    ...(signal !== undefined && { signal }),
    ...(cause !== undefined && { cause }),
  });
  return { reason: 'crashed', error };
}

/** It can never start: tasks that wait for others hold all hosts that there may be. */
export function hopeless(task: Task, held: number): EndRequest {
  const hosts = task.type === 'process' ? 'children' : 'threads';
  const message =
    `task "${task.name}" can't start: ${held} tasks that wait for others fill all ${hosts} that maxSize and maxDepth ` +
    'allow, and none of them can go on';
  return { reason: 'failed', error: new TaskwardenError('TASK_TOO_DEEP', message, { taskId: task.id }) };
}

export function shutDown(task: Task): EndRequest {
  const message = `task "${task.name}" was canceled, because its supervisor stops`;
  // There may be a hundred thousand of them, and all would have the same stack.
  const error = withoutStack(() => new TaskwardenError('TASK_CANCELED', message, { taskId: task.id }));
  return { reason: 'shutdown', error };
}

/** The reason with which the children of an ended task are canceled. */
export function callerEnded(caller: Task, cause: unknown): TaskwardenError {
  const message = `task "${caller.name}", which called it, has been ended`;
  return new TaskwardenError('TASK_CANCELED', message, { taskId: caller.id, cause });
}

/** No end, but the request for one: the reason of the task's signal. */
export function stopRequested(task: Task): TaskwardenError {
  return new TaskwardenError('TASK_STOPPED', `task "${task.name}" was asked to finish`, { taskId: task.id });
}

/** The result came before the timer fired, but the task ran longer than its `timeoutMs`, or beyond its deadline. */
export function overtime(task: Task, outcome: LaneOutcome): EndRequest | undefined {
  if (outcome.kind !== 'result') return undefined;
  const { deadline, options, isShared } = task;
  if (deadline !== undefined && !isShared && outcome.endedAt > deadline.at) return tooLate(task, true);
  const { timeoutMs = Infinity } = options;
  return outcome.runMs > timeoutMs ? timedOut(task, timeoutMs) : undefined;
}

/** The function returned before it was decided to end the task, though the result arrived later. */
export function isInTime({ options }: Task, request: EndRequest, outcome: LaneOutcome): boolean {
  if (outcome.kind !== 'result' || request.at === undefined || outcome.endedAt > request.at) return false;
  return request.reason !== 'timeout' || outcome.runMs <= (options.timeoutMs ?? Infinity);
}
