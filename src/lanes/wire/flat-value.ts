/**
 * Whether an object is a small record of primitives. Such objects of several tasks can be cloned together: that does not
 * let the tasks share anything, unless it is one and the same object, and hardly ever fails. Its getters are called here,
 * and again when it is cloned.
 */
import { types } from 'node:util';

/** A larger object is cloned alone: what is saved for each is no matter then. */
const mostFields = 100;
/** In its keys and strings, in characters. */
const mostText = 4_096;

const { getPrototypeOf } = Object;
const { isProxy } = types;

/** False if a getter throws. */
export function isFlat(value: object): boolean {
  if (isProxy(value) || getPrototypeOf(value) !== Object.prototype) return false;
  try {
    return hasFewPrimitives(value);
  } catch {
    return false;
  }
}

function hasFewPrimitives(value: object): boolean {
  const record = value as Readonly<Record<string, unknown>>;
  let [fields, text] = [0, 0];
  for (const key in record) {
    const field = record[key];
    if (!isPrimitive(field)) return false;
    fields += 1;
    text += key.length + (typeof field === 'string' ? field.length : 0);
    if (fields > mostFields || text > mostText) return false;
  }
  return true;
}

/** Whether it can be cloned, and shares nothing with another value. */
export function isPrimitive(value: unknown): boolean {
  return (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol') || value === null;
}
