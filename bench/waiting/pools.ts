/** The pools of the rows on tasks that wait: those with a queue of their own. */
import { setImmediate } from 'node:timers/promises';
import type { Pace } from '../measure.ts';
import { jestWorkerPool } from '../pools/jest-worker.ts';
import { piscinaPool } from '../pools/piscina.ts';
import { poolifierPool } from '../pools/poolifier.ts';
import { taskwardenPool } from '../pools/taskwarden.ts';
import { tinypoolPool } from '../pools/tinypool.ts';
import { workerpoolPool } from '../pools/workerpool.ts';
import { type OpenPool, type Pool, threads } from '../pools.ts';

/** By how many tasks a thread is given at a time, where that can be chosen. */
const pools: Record<string, (tasksPerThread: number) => OpenPool> = {
  taskwarden: () => taskwardenPool,
  piscina: (concurrentTasksPerWorker) => piscinaPool({ atomics: 'sync', concurrentTasksPerWorker }),
  tinypool: (concurrentTasksPerWorker) =>
    tinypoolPool({ useAtomics: true, concurrentTasksPerWorker, taskQueue: 'custom' }),
  workerpool: () => workerpoolPool('custom'),
  poolifier: (concurrency) => poolifierPool({ workerChoiceStrategy: 'ROUND_ROBIN', concurrency }),
  'jest-worker': () => jestWorkerPool('in-order'),
};

/** Filling the others with as many tasks would take very long: they get a tenth. */
const deepPools: ReadonlySet<string> = new Set(['taskwarden', 'piscina', 'tinypool']);
const depths: Record<Pace, number> = { full: 1_000_000, quick: 100_000 };

/** How many tasks wait in a pool of this name where many do. */
export function manyIn(name: string, pace: Pace): number {
  return deepPools.has(name) ? depths[pace] : depths[pace] / 10;
}

export const few = 1_000;

/** A pool whose threads are held, so that all it is given waits. */
export async function heldPool(name: string): Promise<Pool> {
  const pool = poolNamed(name, 1)('tinyOrHeld');
  const gate = new Int32Array(new SharedArrayBuffer(8));
  for (let held = 1; held <= threads; held += 1) {
    pool.run(gate).then(undefined, () => {});
    while (Atomics.load(gate, 1) < held) await setImmediate();
  }
  return pool;
}

export function busyPool(name: string): Pool {
  return poolNamed(name, 16)('tiny');
}

function poolNamed(name: string, tasksPerThread: number): OpenPool {
  const pool = pools[name];
  if (pool === undefined) throw new RangeError(`there is no pool "${name}"`);
  return pool(tasksPerThread);
}
