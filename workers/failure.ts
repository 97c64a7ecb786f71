/** The failure of an item, in place of a result. */
import type { Failed } from '../src/lanes/wire/protocol.ts';

export class Failure {
  /** A result may be a proxy that throws when its prototype is read, so `instanceof` must not read it. */
  static [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && #mark in value;
  }
  readonly #mark = true;
  readonly kind: Failed['kind'];
  readonly error: unknown;

  constructor(kind: Failed['kind'], error: unknown) {
    this.kind = kind;
    this.error = error;
  }
}
