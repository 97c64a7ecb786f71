/** Copies of values, as a courier in memory makes them. */
import { Buffer, structuredClone } from '../platform/globals.ts';
import { isInstance } from './foreign-value.ts';

/** `structuredClone()` would make a Uint8Array of a Buffer. */
export function copyOf<T>(value: T): T {
  return isInstance(value, Buffer) ? (Buffer.from(value) as T) : structuredClone(value);
}

/** Whether a copy would be the same value. */
export function isPlain(value: unknown): boolean {
  return value === null || (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol');
}
