/** Whether a value can cross to a thread or child. */

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
