/** How a thread or child ended. */

export interface Exit {
  readonly exitCode: number | undefined;
  /** The signal that ended a child, if one did. */
  readonly signal: NodeJS.Signals | undefined;
  /** The error that ended it, if one did. */
  readonly cause: unknown;
}

/** Says in words how it ended. */
export function describeExit({ exitCode, signal }: Exit): string {
  return signal === undefined ? `it exited with code ${exitCode}` : `it was ended by ${signal}`;
}
