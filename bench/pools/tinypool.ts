import { type Task, type TaskQueue, Tinypool } from 'tinypool';
import { DeepQueue } from '../deep-queue.ts';
import { cancelableBySignal, type OpenPool, threads, work } from '../pools.ts';

export interface TinypoolSettings {
  readonly useAtomics: boolean;
  readonly concurrentTasksPerWorker: number;
  readonly taskQueue: 'default' | 'custom';
}

/** Its own queue is an array that it takes the first from; as in piscina, there can be another. */
export function tinypoolPools(...tasksPerThread: readonly number[]): readonly OpenPool[] {
  return tasksPerThread.flatMap((concurrentTasksPerWorker) => [
    tinypoolPool({ useAtomics: true, concurrentTasksPerWorker, taskQueue: 'default' }),
    tinypoolPool({ useAtomics: false, concurrentTasksPerWorker, taskQueue: 'default' }),
    tinypoolPool({ useAtomics: true, concurrentTasksPerWorker, taskQueue: 'custom' }),
  ]);
}

export function tinypoolPool(settings: TinypoolSettings): OpenPool {
  return (name) => {
    const pool = fixedTinypool(work, name, threads, settings);
    const { useAtomics, concurrentTasksPerWorker, taskQueue } = settings;
    return {
      name: 'tinypool',
      settings: `useAtomics ${useAtomics}, concurrentTasksPerWorker ${concurrentTasksPerWorker}, ${taskQueue} taskQueue`,
      run: (value) => pool.run(value),
      runCancelable: (value) => cancelableBySignal((signal) => pool.run(value, { signal })),
      close: () => pool.destroy(),
    };
  };
}

export function fixedTinypool(
  filename: URL,
  name: string,
  count: number,
  { useAtomics, concurrentTasksPerWorker, taskQueue }: TinypoolSettings,
): Tinypool {
  return new Tinypool({
    filename: filename.href,
    name,
    minThreads: count,
    maxThreads: count,
    idleTimeout: Infinity,
    execArgv: [],
    useAtomics,
    concurrentTasksPerWorker,
    ...(taskQueue === 'default' ? {} : { taskQueue: new TinypoolQueue() }),
  });
}

class TinypoolQueue extends DeepQueue<Task> implements TaskQueue {
  cancel(): void {
    for (let task = this.shift(); task !== null; task = this.shift()) task.cancel();
  }
}
