/** DoNotRetry: what a task throws if another attempt can't succeed. */
import { fieldOf, isError, messageOf } from './foreign-value.ts';

/**
 * Thrown by a task function, it ends the retries of the task, whatever `retries` and `retryIf` say, also those of a
 * courier. Any other error with the field `retry: false` does the same.
 *
 *     if (response.status === 404) throw new DoNotRetry(`no such page: ${url}`);
 *
 * Threads and children lose the classes of errors: `instanceof DoNotRetry` goes by the name and the field.
 */
export class DoNotRetry extends Error {
  static {
    Object.defineProperty(DoNotRetry.prototype, 'name', { value: 'DoNotRetry', configurable: true, writable: true });
    Object.defineProperty(DoNotRetry, Symbol.hasInstance, {
      value(this: unknown, value: unknown): boolean {
        if (this !== DoNotRetry) return Function.prototype[Symbol.hasInstance].call(this, value); // it is extended
        return isError(value) && fieldOf(value, 'name') === 'DoNotRetry' && refusesRetry(value);
      },
    });
  }
  readonly retry = false;

  /** @param cause Why: an error, whose message it takes over, or a text. */
  constructor(cause?: unknown) {
    if (cause === undefined) super("another attempt can't succeed");
    else super(messageOf(cause), { cause });
  }
}

/** Whether an error says that another attempt can't succeed: its field `retry` is false. Never throws. */
export function refusesRetry(error: unknown): boolean {
  return fieldOf(error, 'retry') === false;
}
