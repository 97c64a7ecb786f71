/** The command line is wrong: only the message is shown, and the exit code is 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}
