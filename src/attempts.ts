/** Whether a task that failed is tried again: what is left of its retries, and whether it wants them. */
import type { Task } from './task/task.ts';

export function mayRetry({ attempt, crashes, options, isToStop }: Task): boolean {
  return attempt - crashes <= (options.retries ?? 0) && !isToStop;
}

/** After its thread or child died under it. */
export function mayRetryCrash({ crashes, options, isToStop }: Task): boolean {
  return crashes < (options.crashRetries ?? 0) && !isToStop;
}

/** What `retryIf` says; `onProblem` hears what it throws, which is a no. */
export function wantsRetry({ options, attempt }: Task, error: unknown, onProblem: (problem: unknown) => void): boolean {
  try {
    return options.retryIf?.(error, attempt) !== false;
  } catch (problem) {
    onProblem(problem);
    return false;
  }
}
