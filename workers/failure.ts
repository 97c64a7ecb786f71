/** The failure of an item: what it came to instead of a result. */
import type { Failed } from '../src/lanes/wire/protocol.ts';

export class Failure {
  /** A result may be a proxy that throws when it is asked for its prototype; this asks for nothing of it. */
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
