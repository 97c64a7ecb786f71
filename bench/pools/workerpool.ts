import { fileURLToPath } from 'node:url';
import workerpool, { type WorkerPoolOptions } from 'workerpool';
import { DeepQueue } from '../deep-queue.ts';
import { type OpenPool, threads } from '../pools.ts';

type Queue = Exclude<WorkerPoolOptions['queueStrategy'], string | undefined>;
type QueuedTask = NonNullable<ReturnType<Queue['pop']>>;

/** Its own queue is an array that it takes the first from; it accepts another, which pays off where many tasks wait. */
export const workerpoolPools: readonly OpenPool[] = [workerpoolPool('fifo'), workerpoolPool('custom')];

/** Children are sent JSON by default. */
export const workerpoolChildren: readonly OpenPool[] = [
  workerpoolPool('fifo', 'json'),
  workerpoolPool('fifo', 'advanced'),
  workerpoolPool('custom', 'json'),
];

/** @param serialization Of a pool of child processes. */
export function workerpoolPool(queue: 'fifo' | 'custom', serialization?: 'json' | 'advanced'): OpenPool {
  return (fn) => {
    const queueStrategy = queue === 'custom' ? deepQueue() : queue;
    const pool = fixedWorkerpool('workerpool-thread.mjs', threads, queueStrategy, serialization);
    const workerType = serialization === undefined ? 'thread' : `process, ${serialization}`;
    return {
      name: 'workerpool',
      settings: `workerType ${workerType}, queueStrategy ${queue}`,
      run: (value) => pool.exec(fn, [value]),
      runCancelable: (value) => {
        const ended = pool.exec(fn, [value]);
        return { ended, cancel: () => ended.cancel() };
      },
      close: async () => {
        await pool.terminate(true);
      },
    };
  };
}

export function fixedWorkerpool(
  file: string,
  count: number,
  queueStrategy: NonNullable<WorkerPoolOptions['queueStrategy']>,
  serialization?: 'json' | 'advanced',
): ReturnType<typeof workerpool.pool> {
  return workerpool.pool(fileURLToPath(new URL(`../work/${file}`, import.meta.url)), {
    workerType: serialization === undefined ? 'thread' : 'process',
    minWorkers: count,
    maxWorkers: count,
    workerThreadOpts: { execArgv: [] },
    forkOpts: { execArgv: [], ...(serialization === undefined ? {} : { serialization }) },
    queueStrategy,
  });
}

function deepQueue(): Queue {
  const queue = new DeepQueue<QueuedTask>();
  return {
    push: (task) => queue.push(task),
    pop: () => queue.shift() ?? undefined,
    size: () => queue.size,
    contains: (task) => queue.includes(task),
    clear: () => queue.clear(),
  };
}
