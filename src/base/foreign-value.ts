/**
 * Inspects values that user code has thrown, returned or passed, and values that were received. A proxy or a getter may
 * throw whenever it is touched; the functions here never do.
 */
import { types } from 'node:util';

/** Whether it is an error, of this or of another vm context. Never throws. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || isInstance(value, Error);
}

/** `value instanceof type`; false for a proxy that throws when it is asked. Never throws. */
export function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

/** By its name, which is the same in all vm contexts. Never throws. */
export function isReferenceError(value: unknown): value is Error {
  return isError(value) && fieldOf(value, 'name') === 'ReferenceError';
}

/** Whether it has a `then` method, like all promises. Never throws. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  return typeof fieldOf(value, 'then') === 'function';
}

/** Whether it is an array. Never throws, as `Array.isArray` does for a proxy that was revoked. */
export function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** `String(value)`, or a placeholder if that throws. Never throws. */
export function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return '[no text]';
  }
}

/** The message of a thrown error, or the text of any other thrown value. Never throws. */
export function messageOf(thrown: unknown): string {
  return textOf(isError(thrown) ? fieldOf(thrown, 'message') : thrown);
}

/** Replaces the message of an error, if that is possible. Never throws. */
export function setMessage(error: Error, message: string): void {
  try {
    error.message = message;
  } catch {
    // it is frozen
  }
}

/** The value of a property; undefined if reading it throws. */
export function fieldOf(value: unknown, key: PropertyKey): unknown {
  try {
    return (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
  } catch {
    return undefined;
  }
}

/**
 * The member of that name that a user means: properties that all objects and functions inherit don't count, unless the
 * object has its own. Never throws.
 */
export function memberOf(owner: unknown, name: string): unknown {
  try {
    return !(name in Function.prototype) || Object.hasOwn(owner as object, name) ? fieldOf(owner, name) : undefined;
  } catch {
    return undefined;
  }
}
