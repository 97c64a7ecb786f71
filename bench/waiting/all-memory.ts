/** Gives the bytes that an input of `all()` takes while it waits, the list of its arguments included. */
import { collected } from './collected.ts';
import { heldPool } from './pools.ts';

export async function run(name: string, depth: string): Promise<number> {
  const pool = await heldPool(name);
  const before = await collected();
  const inputs = Array.from({ length: Number(depth) }, (_, n): [unknown] => [n]);
  const results = pool.all?.(inputs);
  if (results === undefined) throw new Error(`${name} has no all()`);
  const after = await collected();
  return (after - before) / inputs.length;
}
