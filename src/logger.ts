/** Where log lines go: something shaped like `console` or pino. Each line is one string, so that both take it. */
import { inspect } from 'node:util';

export interface Logger {
  warn(line: string): void;
  error(line: string): void;
}

/** Whatever was thrown, as log lines show it: an error with its stack, its fields and what caused it. */
export function describe(thrown: unknown): string {
  return typeof thrown === 'string' ? thrown : inspect(thrown);
}

export const silent: Logger = { warn() {}, error() {} };
