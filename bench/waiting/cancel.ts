/**
 * Gives the microseconds that it costs to cancel a waiting task, up to its rejection, by where in the queue it
 * is. Where a library cancels by a signal, only those tasks have one that will be canceled.
 */
import { setTimeout as sleep } from 'node:timers/promises';
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
  await atRest();
  await warmUp(); // again: the collection has taken code that was not used meanwhile
  return {
    random: await cancel(chosen.random),
    middle: await cancel(chosen.middle),
    last: await cancel(chosen.last.reverse()),
    first: await cancel(chosen.first),
  };
}

/** Of a million tasks, threads of V8 sweep the memory for a good while after a collection, on all cores. */
async function atRest(): Promise<void> {
  const lookMs = 100;
  for (let busyMs = Infinity; busyMs > lookMs / 20; ) {
    const before = process.cpuUsage();
    await sleep(lookMs);
    const { user, system } = process.cpuUsage(before);
    busyMs = (user + system) / 1_000;
  }
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
