/** The logger of a supervisor: shaped like `console` or pino. Each line is a single string, which both accept. */
import { inspect } from 'node:util';
import { callSafely } from './call-safely.ts';

export interface Logger {
  warn(line: string): void;
  error(line: string): void;
}

/** A thrown value as log lines show it: an error with its stack, its fields and its cause. Never throws. */
export function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  for (const customInspect of [true, false]) {
    try {
      return inspect(thrown, { customInspect });
    } catch {
      // its own inspect function has failed; try without it
    }
  }
  return '(something that can not be shown)';
}

/** Wraps a logger so that it never throws: errors of the logger itself are ignored. `false`: logs nothing. */
export function safeLogger(logger: Logger | false): Logger {
  const safe = (level: keyof Logger) => (line: string) => {
    if (logger)
      callSafely(
        (text: string) => logger[level](text),
        line,
        () => {},
      );
  };
  return { warn: safe('warn'), error: safe('error') };
}
