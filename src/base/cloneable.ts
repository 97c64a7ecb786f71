/** Whether a value can be copied to a thread or child, and be read there. */
import { structuredClone } from '../platform/globals.ts';
import { isError, isInstance } from './foreign-value.ts';

/** Whether `structuredClone` accepts the value. Clones it to find out, unless it is a primitive. */
export function isCloneable(value: unknown): boolean {
  if (typeof value === 'function' || typeof value === 'symbol') return false;
  if (typeof value !== 'object' || value === null) return true;
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether a value is nested more than `levels` deep, in the order in which it is copied: the stack of the reader may be
 * too small for it. True also for a value that throws when it is inspected, and for one with a part that `alsoCounts`
 * accepts.
 */
export function isDeeperThan(
  levels: number,
  value: unknown,
  alsoCounts: (part: object) => boolean = () => false,
): boolean {
  const seen = new Set<object>();
  const open = [[value].values() as Iterator<unknown>];
  try {
    for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
      const { done, value: next } = last.next();
      if (done) open.pop();
      else if (typeof next === 'object' && next !== null && !seen.has(next)) {
        if (open.length > levels || alsoCounts(next)) return true;
        seen.add(next);
        open.push(partsOf(next));
      }
    }
    return false;
  } catch {
    return true;
  }
}

function partsOf(value: object): Iterator<unknown> {
  if (ArrayBuffer.isView(value)) return [].values();
  if (isInstance(value, Map)) return [...value.keys(), ...value.values()].values();
  return (isInstance(value, Set) ? [...value] : Object.values(value)).values();
}

/**
 * Whether a value can be serialized but perhaps not deserialized: a WebAssembly module is unknown in other processes,
 * and V8 can't read an error that is its own cause, directly or not.
 */
export function isHardToRead(value: object): boolean {
  return Object.prototype.toString.call(value) === '[object WebAssembly.Module]' || causesItself(value);
}

function causesItself(value: object): boolean {
  const seen = new Set<unknown>();
  for (let error: unknown = value; isError(error); error = error.cause) {
    if (seen.has(error)) return true;
    seen.add(error);
  }
  return false;
}
