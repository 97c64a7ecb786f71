/**
 * Gives the microseconds that a task costs, from its call to its end, while so many wait: each that ends makes
 * place for another at the end of the queue.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '../pools.ts';
import { busyPool } from './pools.ts';

const warmUpMs = 300;
const watchMs = 700;

export async function run(name: string, depth: string): Promise<number> {
  const pool = busyPool(name);
  await pool.run(1);
  const load = new SteadyLoad(pool, Number(depth));
  await sleep(warmUpMs);
  const endedBefore = load.ended;
  const startedAt = performance.now();
  await sleep(watchMs);
  return ((performance.now() - startedAt) / (load.ended - endedBefore)) * 1_000;
}

class SteadyLoad {
  ended = 0;
  readonly #pool: Pool;

  constructor(pool: Pool, depth: number) {
    this.#pool = pool;
    for (let n = 0; n < depth; n += 1) this.#submit();
  }

  #submit(): void {
    this.#pool.run(1).then(this.#submitNext);
  }

  readonly #submitNext = (result: unknown): void => {
    if (result !== 2) throw new Error(`a task gave ${result}`);
    this.ended += 1;
    this.#submit();
  };
}
