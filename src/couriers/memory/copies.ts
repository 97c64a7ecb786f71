/** The copies that a memory courier makes of what it is given, and again of what it gives, so that no caller sees another's changes. */
import { copyOf, isPlain } from '../../base/copy.ts';
import { type ErrorCode, TaskwardenError } from '../../base/errors.ts';
import { messageOf } from '../../base/foreign-value.ts';

export class Copies {
  readonly #areMade: boolean;

  constructor(areMade: boolean) {
    this.#areMade = areMade;
  }

  /** @throws TaskwardenError with `code`. */
  first<T>(value: T, code: ErrorCode, what: string): T {
    if (!this.#areMade || isPlain(value)) return value;
    try {
      return copyOf(value);
    } catch (cause) {
      throw new TaskwardenError(code, `${what} can't be copied: ${messageOf(cause)}`, { cause });
    }
  }

  /** Copies a value that was copied before. If it is nested too deeply for the stack that is left here, it is not copied. */
  again<T>(value: T): T {
    if (!this.#areMade || isPlain(value)) return value;
    try {
      return copyOf(value);
    } catch {
      return value;
    }
  }
}
