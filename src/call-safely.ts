/** Calls a function of the user's that nothing may depend on: what it throws, or rejects with, goes to `onProblem`. */
export function callSafely<T>(call: (value: T) => unknown, value: T, onProblem: (problem: unknown) => void): void {
  try {
    const returned = call(value);
    if (returned instanceof Promise) returned.catch(onProblem);
  } catch (problem) {
    onProblem(problem);
  }
}
