/** Whether a task that failed is tried again: what is left of its retries, and whether it wants them. */
import { hasCode } from '../../base/errors.ts';
import { isThenable } from '../../base/foreign-value.ts';
import type { FailureKind } from '../../lanes/wire/protocol.ts';
import { shownAttempt } from '../../task/call/task-options.ts';
import type { Task } from '../../task/record/task.ts';

export function mayRetry({ attempt, crashes, options, isStopRequested }: Task): boolean {
  return attempt - crashes <= (options.retries ?? 0) && !isStopRequested;
}

/** After its thread or child died under it. */
export function mayRetryCrash({ crashes, options, isStopRequested }: Task): boolean {
  return crashes < (options.crashRetries ?? 0) && !isStopRequested;
}

/** What `retryIf` says, or promises; `onProblem` hears what it throws, or rejects with, which is a no. */
export function wantsRetry(
  task: Task,
  error: unknown,
  onProblem: (problem: unknown) => void,
): boolean | Promise<boolean> {
  const { options, attempt } = task;
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

/** Whether a failure may be none the next time: what was thrown, and a module that could not be loaded or set up. */
export function isPassing(kind: FailureKind, error: unknown): boolean {
  if (kind !== 'unloadable') return kind === 'thrown';
  return hasCode(error, 'MODULE_LOAD_FAILED', 'LANE_SETUP_FAILED');
}
