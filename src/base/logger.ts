/** Where log lines go: something shaped like `console` or pino. Each line is one string, so that both take it. */
import { inspect } from 'node:util';
import { callSafely } from './call-safely.ts';

export interface Logger {
  warn(line: string): void;
  error(line: string): void;
}

/** Whatever was thrown, as log lines show it: an error with its stack, its fields and what caused it. Never throws. */
export function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  for (const customInspect of [true, false]) {
    try {
      return inspect(thrown, { customInspect });
    } catch {
      // it fails to show itself; then it is shown without its help
    }
  }
  return '(something that can not be shown)';
}

/** The logger as it may be called anywhere: what it throws is lost, and harms nobody. */
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
