/** A function of the user's that nothing may depend on. */
import { isThenable } from './foreign-value.ts';

/** Calls it: what it throws, or rejects with, goes to `onProblem`. */
export function callSafely<T>(call: (value: T) => unknown, value: T, onProblem: (problem: unknown) => void): void {
  try {
    const returned = call(value);
    if (isThenable(returned)) returned.then(undefined, onProblem);
  } catch (problem) {
    onProblem(problem);
  }
}
