/** Whether a failed task is tried again, and when: its retries, its error, and what `retryIf` and `retryDelayMs` say. */
import { askForPauseMs, backoffMs } from '../../base/backoff.ts';
import { refusesRetry } from '../../base/do-not-retry.ts';
import { hasCode } from '../../base/errors.ts';
import { isThenable } from '../../base/foreign-value.ts';
import type { FailureKind } from '../../lanes/wire/protocol.ts';
import { shownAttempt } from '../../task/call/task-options.ts';
import type { Task } from '../../task/record/task.ts';

export function mayRetry({ attempt, crashes, options, isStopRequested }: Task): boolean {
  return attempt - crashes <= (options.retries ?? 0) && !isStopRequested;
}

/** Whether it may be tried again after its thread or child has died. */
export function mayRetryCrash({ crashes, options, isStopRequested }: Task): boolean {
  return crashes < (options.crashRetries ?? 0) && !isStopRequested;
}

/**
 * The answer of `retryIf`, or a promise of it. If it throws or rejects, that goes to `onProblem`, and the answer is no.
 */
export function wantsRetry(
  task: Task,
  error: unknown,
  onProblem: (problem: unknown) => void,
): boolean | Promise<boolean> {
  const { options, attempt } = task;
  if (refusesRetry(error)) return false;
  try {
    const answer: unknown = task.runInScope(() => options.retryIf?.(error, shownAttempt(options, attempt)));
    return isThenable(answer) ? promised(answer, onProblem) : answer !== false;
  } catch (problem) {
    onProblem(problem);
    return false;
  }
}

async function promised(answer: PromiseLike<unknown>, onProblem: (problem: unknown) => void): Promise<boolean> {
  try {
    return (await answer) !== false;
  } catch (problem) {
    onProblem(problem);
    return false;
  }
}

/**
 * The pause before the next attempt, in milliseconds. If the function `retryDelayMs` throws or gives no such number, that
 * goes to `onProblem`, and the pause is the default one.
 */
export function retryPauseMs(task: Task, error: unknown, onProblem: (problem: unknown) => void): number {
  const { options, attempt, crashes } = task;
  const { retryDelayMs = {} } = options;
  if (typeof retryDelayMs !== 'function') return backoffMs(retryDelayMs, attempt - crashes);
  const ask = () => task.runInScope(() => retryDelayMs(shownAttempt(options, attempt), error));
  return askForPauseMs(ask, onProblem) ?? backoffMs({}, attempt - crashes);
}

/** Whether another attempt may succeed: the function threw, or its module could not be loaded or set up. */
export function isPassing(kind: FailureKind, error: unknown): boolean {
  if (kind !== 'unloadable') return kind === 'thrown';
  return hasCode(error, 'MODULE_LOAD_FAILED', 'LANE_SETUP_FAILED');
}
