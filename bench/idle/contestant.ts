/**
 * One contestant of the row on idle pools. Gives what its process does while the pool has nothing to do, just after work:
 * the processor time of all its threads, in percent of a core, and callbacks on its main event loop.
 */
import { createHook } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { TaskSupervisor, tasksFrom } from 'taskwarden';
import { jestWorkerPool } from '../pools/jest-worker.ts';
import { piscinaPool } from '../pools/piscina.ts';
import { poolifierPool } from '../pools/poolifier.ts';
import { taskwardenPool } from '../pools/taskwarden.ts';
import { tinypoolPool } from '../pools/tinypool.ts';
import { workerpoolPool } from '../pools/workerpool.ts';
import { type OpenPool, type Pool, threads, type Work, work } from '../pools.ts';
import { allAtOnce } from '../tiny-tasks.ts';

export interface Idling {
  readonly percent: number;
  readonly callbacks: number;
  /** What Node calls active then. */
  readonly resources: readonly string[];
}

const settleMs = 300;

const pools: Readonly<Record<string, OpenPool>> = {
  taskwarden: taskwardenPool,
  'taskwarden, retired': retiringPool,
  piscina: piscinaPool({ atomics: 'sync', concurrentTasksPerWorker: 1 }),
  tinypool: tinypoolPool({ useAtomics: true, concurrentTasksPerWorker: 1, taskQueue: 'default' }),
  workerpool: workerpoolPool('fifo'),
  poolifier: poolifierPool({ workerChoiceStrategy: 'ROUND_ROBIN', concurrency: 1 }),
  'jest-worker': jestWorkerPool('round-robin'),
  'no pool': noPool,
};

/** Its callbacks are counted by themselves, because to count them takes processor time. */
export async function run(name: string, watchMs: string): Promise<Idling> {
  const pool = pools[name]?.('tiny');
  if (pool === undefined) throw new RangeError(`there is no contestant "${name}"`);
  await allAtOnce(pool, 1_000);
  await sleep(settleMs);
  const watch = () => new Promise<void>((resolve) => setTimeout(resolve, Number(watchMs)));
  const before = process.cpuUsage();
  await watch();
  const { user, system } = process.cpuUsage(before);
  const callbacks = await callbacksDuring(watch);
  const resources = process.getActiveResourcesInfo();
  await pool.close();
  return { percent: ((user + system) / 1_000 / Number(watchMs)) * 100, callbacks, resources };
}

/** The timer that ends the watch does not count, and neither do promises. */
async function callbacksDuring(watch: () => Promise<void>): Promise<number> {
  let callbacks = -1;
  const promises = new Set<number>();
  const hook = createHook({
    init: (id, type) => {
      if (type === 'PROMISE') promises.add(id);
    },
    before: (id) => {
      if (!promises.has(id)) callbacks += 1;
    },
  }).enable();
  await watch();
  hook.disable();
  return callbacks;
}

/** Its threads are gone before the watch begins. */
function retiringPool(): Pool {
  const supervisor = new TaskSupervisor({
    threads: { poolSize: threads, idleTimeoutMs: settleMs / 5, execArgv: [] },
    logger: false,
  });
  const { tiny } = tasksFrom<Work>(work, { supervisor });
  return { name: '', settings: '', run: (n) => tiny(n as number), close: () => supervisor.stop() };
}

function noPool(): Pool {
  return { name: '', settings: '', run: async (n) => (n as number) + 1, close: async () => {} };
}
