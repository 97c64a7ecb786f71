/** The command was called in a way that it does not take: its message is all that is shown, and the exit code is 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}
