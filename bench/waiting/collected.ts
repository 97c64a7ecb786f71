/** The bytes that the heap and external memory hold after a collection. */
import { setImmediate } from 'node:timers/promises';

export async function collected(): Promise<number> {
  await setImmediate();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
