/**
 * Gives the microseconds that it costs to cancel a waiting task, up to its rejection, by where in the queue it
 * is. Where a library cancels by a signal, only those tasks have one that will be canceled.
 */
import type { Cancelable, Pool } from '../pools.ts';
import { type Place, placesIn } from './place.ts';
import { heldPool } from './pools.ts';

/** Enough that a slice of a collection, which may fall into them, is no large part of what they cost. */
const each = 200;

export async function run(name: string, depth: string): Promise<Record<Place, number>> {
  const pool = await heldPool(name);
  const cancelable = () => cancelableIn(pool);
  const warmUp = async () => {
    for (let round = 0; round < 10; round += 1) await cancel(Array.from({ length: each }, cancelable));
  };
  await warmUp();
  const chosen: Record<Place, Cancelable[]> = { first: [], middle: [], last: [], random: [] };
  const places = placesIn(Number(depth), each);
  for (let n = 0; n < Number(depth); n += 1) {
    const place = places.get(n);
    if (place === undefined) pool.run(n).then(undefined, () => {});
    else chosen[place].push(cancelable());
  }
  globalThis.gc?.();
  await warmUp(); // again: the collection has left work behind, and has taken code that was not used meanwhile
  return {
    random: await cancel(chosen.random),
    middle: await cancel(chosen.middle),
    last: await cancel(chosen.last.reverse()),
    first: await cancel(chosen.first),
  };
}

function cancelableIn(pool: Pool): Cancelable {
  const call = pool.runCancelable?.(0);
  if (call === undefined) throw new Error(`${pool.name} can't cancel`);
  return call;
}

/** Gives what each cost. */
async function cancel(calls: readonly Cancelable[]): Promise<number> {
  const startedAt = performance.now();
  for (const call of calls) call.cancel();
  const outcomes = await Promise.allSettled(calls.map(({ ended }) => ended));
  const costUs = ((performance.now() - startedAt) / calls.length) * 1_000;
  if (outcomes.some(({ status }) => status !== 'rejected')) throw new Error('a canceled task was run');
  return costUs;
}
