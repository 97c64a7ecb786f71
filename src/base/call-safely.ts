/** Calls functions of the user whose failure must not stop anything. */
import { isThenable } from './foreign-value.ts';

/** What the function throws or rejects with goes to `onProblem`. */
export function callSafely<T>(call: (value: T) => unknown, value: T, onProblem: (problem: unknown) => void): void {
  try {
    const returned = call(value);
    if (isThenable(returned)) returned.then(undefined, onProblem);
  } catch (problem) {
    onProblem(problem);
  }
}
