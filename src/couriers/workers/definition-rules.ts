/**
 * What the options of a function's definition mean for a task that came by a courier: one rule for all workers.
 *
 * - `retries`, `retryDelayMs`: the courier delivers the task again, to any worker. An add that gives `retries` counts with its
 *   own pauses, and those of the definition do not.
 * - `retryIf`, and errors that refuse retries: asked at each failure, and end the retries of either.
 * - `timeoutMs`: for each attempt; the call can shorten it.
 * - `queueTimeoutMs`: from when the task could first be delivered to the start of its first attempt; that of the call counts.
 * - `deadlineMs`: from when the task was queued to the end of its last attempt, by the clocks of the machines; that of the add
 *   counts instead, and is kept by the courier.
 * - `crashRetries`: the supervisor makes them, inside an attempt.
 */
import { askForPauseMs, type Backoff } from '../../base/backoff.ts';
import { refusesRetry } from '../../base/do-not-retry.ts';
import { hasCode, TaskwardenError } from '../../base/errors.ts';
import { timeOfDay } from '../../platform/globals.ts';
import type { ResolvedTaskOptions } from '../../task/call/task-options.ts';
import type { EndReason } from '../../task/record/task-info.ts';
import type { CourierTask, ReturnErrorOptions } from '../courier.ts';
import { deadlinePassed } from '../courier-error.ts';

/** How long a task that has not begun may still wait here, in milliseconds; undefined if its definition does not say. */
export function waitLeftMs(
  { id, attempt, timeQueued, delayMs = 0 }: CourierTask,
  { queueTimeoutMs }: ResolvedTaskOptions,
  expiresAt: number = timeQueued + delayMs + (queueTimeoutMs ?? Infinity),
): number | undefined {
  if (attempt > 1 || expiresAt === Infinity) return undefined;
  const leftMs = expiresAt - timeOfDay();
  if (leftMs >= 0) return leftMs;
  const message = `task ${id} came to its worker ${Math.ceil(-leftMs)} ms after the time in which it was to begin`;
  throw new TaskwardenError('TASK_EXPIRED', message, { taskId: id });
}

/** For so long an attempt goes on when the courier, which should have ended it, is away. In milliseconds. */
const courierAwayMs = 1_000;

/** How long a task may still take, in milliseconds; Infinity if neither its add nor its definition says. */
export function deadlineLeftMs(
  { deadline, timeQueued }: CourierTask,
  { deadlineMs = Infinity }: ResolvedTaskOptions,
): number {
  if (deadline === undefined) return timeQueued + deadlineMs - timeOfDay();
  return Math.max(deadline - timeOfDay(), 0) + courierAwayMs;
}

/** Whether a task has no time left by its definition. A clock of whole milliseconds may be behind a timer. */
export function isLate(task: CourierTask, defined: ResolvedTaskOptions): boolean {
  return task.deadline === undefined && deadlineLeftMs(task, defined) < 1;
}

/** The error of a task that is too late by its definition. */
export function deadlineError(
  { queue, id }: CourierTask,
  { deadlineMs = 0 }: ResolvedTaskOptions,
  hasBegun: boolean,
): TaskwardenError {
  return deadlinePassed(queue, { id, deadlineMs, hasBegun });
}

/** The same, if that is why the run has failed; else what it has failed with. */
export function orDeadlineError(task: CourierTask, defined: ResolvedTaskOptions, error: unknown): unknown {
  if (!isLate(task, defined) || !hasCode(error, 'TASK_TIMEOUT', 'TASK_EXPIRED')) return error;
  return deadlineError(task, defined, task.attempt > 1 || error.code === 'TASK_TIMEOUT');
}

/** What the failure of an attempt means for the courier. @param onProblem Gets what functions of the definition throw. */
export async function failureOptions(
  task: Pick<CourierTask, 'id' | 'attempt' | 'retries'>,
  { retries, retryDelayMs, retryIf }: ResolvedTaskOptions,
  { error, endReason }: { readonly error: unknown; readonly endReason: EndReason | undefined },
  onProblem: (problem: unknown) => void,
): Promise<ReturnErrorOptions> {
  if (hasCode(error, 'TASK_EXPIRED') && error.taskId === task.id) return { isFinal: true };
  if (refusesRetry(error)) return { isFinal: true };
  const mayRetry = task.retries !== undefined || (isPassing(error, endReason) && (retries ?? 0) > 0);
  if (!mayRetry) return {};
  try {
    const answer: unknown = await retryIf?.(error, task.attempt);
    if (answer === false) return { isFinal: true };
  } catch (problem) {
    onProblem(problem);
    return { isFinal: true };
  }
  if (task.retries !== undefined) return {};
  const pause =
    typeof retryDelayMs === 'function'
      ? fixed(askForPauseMs(() => retryDelayMs(task.attempt, error), onProblem))
      : retryDelayMs;
  return { retries, retryDelayMs: pause };
}

/** As in a supervisor: the function threw or took too long, or its file could not be loaded. */
function isPassing(error: unknown, endReason: EndReason | undefined): boolean {
  if (endReason !== 'failed') return endReason === 'timeout';
  return !hasCode(error, 'RESULT_NOT_CLONEABLE', 'ARGUMENT_NOT_CLONEABLE', 'TASK_NOT_DEFINED', 'KEY_FAILED');
}

function fixed(pauseMs: number | undefined): Backoff | undefined {
  return pauseMs === undefined ? undefined : { minMs: pauseMs, maxMs: pauseMs, factor: 1, jitter: 0 };
}
