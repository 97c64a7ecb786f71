import { fileURLToPath } from 'node:url';
import { FixedThreadPool, type WorkerChoiceStrategy } from 'poolifier';
import { cancelableBySignal, type OpenPool, threads } from '../pools.ts';

export interface PoolifierSettings {
  readonly workerChoiceStrategy: WorkerChoiceStrategy;
  /** With a queue a thread, of whose tasks so many run; without, a task goes to its thread at once. */
  readonly concurrency?: number;
}

export function poolifierPools(...tasksPerThread: readonly number[]): readonly OpenPool[] {
  return [
    poolifierPool({ workerChoiceStrategy: 'ROUND_ROBIN' }),
    poolifierPool({ workerChoiceStrategy: 'LEAST_USED' }),
    ...tasksPerThread.map((concurrency) => poolifierPool({ workerChoiceStrategy: 'ROUND_ROBIN', concurrency })),
  ];
}

export function poolifierPool(settings: PoolifierSettings): OpenPool {
  return (fn) => {
    const pool = fixedPoolifier(settings);
    const { workerChoiceStrategy, concurrency } = settings;
    return {
      name: 'poolifier',
      settings: `${workerChoiceStrategy}, ${concurrency === undefined ? 'no tasks queue' : `tasks queue, concurrency ${concurrency}`}`,
      run: (value) => pool.execute(value, fn),
      runCancelable: (value) => cancelableBySignal((signal) => pool.execute(value, fn, signal)),
      close: () => closePoolifier(pool),
    };
  };
}

function fixedPoolifier(settings: PoolifierSettings): FixedThreadPool {
  const { workerChoiceStrategy, concurrency } = settings;
  return new FixedThreadPool(threads, fileURLToPath(new URL('../work/poolifier-thread.mjs', import.meta.url)), {
    workerChoiceStrategy,
    enableEvents: false,
    workerOptions: { execArgv: [] },
    ...(concurrency === undefined ? {} : { enableTasksQueue: true, tasksQueueOptions: { concurrency } }),
  });
}

/**
 * What still waits is forgotten: `destroy()` would first run it all. It may also wait for ever for a thread that has
 * ended already, so it only sees to it that none is started again, and the threads are ended here.
 */
async function closePoolifier(pool: FixedThreadPool): Promise<void> {
  const hosts = pool.workerNodes.map(({ worker }) => worker);
  for (const node of pool.workerNodes) node.clearTasksQueue();
  pool.destroy().catch(() => {});
  await Promise.all(hosts.map((host) => host.terminate()));
}
