/** Answers with the bytes of the heap that a waiting task takes, its promise included: all callers keep that. */
import { setImmediate } from 'node:timers/promises';
import { answer } from '../apart.ts';
import { heldPool } from './pools.ts';

const [name = '', depth = ''] = process.argv.slice(2);
const calls = new Array<unknown>(Number(depth)).fill(null);
const pool = await heldPool(name);
const before = await collected();
for (let n = 0; n < calls.length; n += 1) calls[n] = pool.run(n);
const after = await collected();
answer((after - before) / calls.length);

async function collected(): Promise<number> {
  await setImmediate();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
