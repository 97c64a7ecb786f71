/** Whether a value can cross to a thread or child, and be read there. */
import { structuredClone } from '../platform/globals.ts';
import { isError, isInstance } from './foreign-value.ts';

/** Whether the structured clone takes the value. Costs a clone, unless it is a primitive. */
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
 * Whether a value may be nested too deeply for the stack of whoever reads it: deeper than so many levels, in the order in
 * which it is copied. What throws as it is looked at counts as that, and so does what `alsoCounts` names.
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
 * Whether it is something that can be written and may not be read: no other process knows a module of WebAssembly, and
 * V8 reads no error that is its own cause, at first or second hand.
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
