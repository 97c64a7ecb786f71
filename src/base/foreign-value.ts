/**
 * Values that are not ours: what user code has thrown, returned or passed, and what came over a wire. A proxy or a getter
 * may throw at every touch, so they are looked at here, where none of that gets out.
 */
import { types } from 'node:util';

/** Whether it is an error, also one of another vm context. Never throws. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || isInstance(value, Error);
}

/** `value instanceof type`; false for a proxy that does not let itself be asked. Never throws. */
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

/** Whether it is a promise, whoever made it. Never throws. */
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

/** `String(value)`, or what stands for it where that throws. */
export function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return '[no text]';
  }
}

/** What to say of something that was thrown: the message of an error, else its text. Never throws. */
export function messageOf(thrown: unknown): string {
  return textOf(isError(thrown) ? fieldOf(thrown, 'message') : thrown);
}

/** Gives an error another message, if it lets that be done. Never throws. */
export function setMessage(error: Error, message: string): void {
  try {
    error.message = message;
  } catch {
    // it is frozen
  }
}

/** What a property holds; where reading it throws, undefined. */
export function fieldOf(value: unknown, key: PropertyKey): unknown {
  try {
    return (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
  } catch {
    return undefined;
  }
}

/**
 * What a user calls by that name: a property of the object, but for those that all objects and functions have, unless
 * they are its own. Never throws.
 */
export function memberOf(owner: unknown, name: string): unknown {
  try {
    return !(name in Function.prototype) || Object.hasOwn(owner as object, name) ? fieldOf(owner, name) : undefined;
  } catch {
    return undefined;
  }
}
