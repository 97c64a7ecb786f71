/** Gives the bytes of the heap that a waiting task takes, its promise included: all callers keep that. */
import { collected } from './collected.ts';
import { heldPool } from './pools.ts';

export async function run(name: string, depth: string): Promise<number> {
  const calls = new Array<unknown>(Number(depth)).fill(null);
  const pool = await heldPool(name);
  const before = await collected();
  for (let n = 0; n < calls.length; n += 1) calls[n] = pool.run(n);
  const after = await collected();
  return (after - before) / calls.length;
}
