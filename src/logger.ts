/** Where log lines go: something shaped like `console` or pino. Each line is one string, so that both take it. */

export interface Logger {
  warn(line: string): void;
  error(line: string): void;
}

/** An error as log lines show it: its stack, and what caused it. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = error.stack ?? `${error.name}: ${error.message}`;
  return error.cause === undefined ? text : `${text}\n  cause: ${describe(error.cause)}`;
}

export const silent: Logger = { warn() {}, error() {} };
