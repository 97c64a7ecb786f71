import { type Task, type TaskQueue, Tinypool } from 'tinypool';
import { DeepQueue } from '../deep-queue.ts';
import { cancelableBySignal, type OpenPool, threads, work } from '../pools.ts';

export interface TinypoolSettings {
  readonly useAtomics: boolean;
  readonly concurrentTasksPerWorker: number;
  readonly taskQueue: 'default' | 'custom';
  /** Of a pool of child processes. */
  readonly serialization?: 'json' | 'advanced';
}

/** Its own queue is an array that it takes the first from; as in piscina, there can be another. */
export function tinypoolPools(...tasksPerThread: readonly number[]): readonly OpenPool[] {
  return tasksPerThread.flatMap((concurrentTasksPerWorker) => [
    tinypoolPool({ useAtomics: true, concurrentTasksPerWorker, taskQueue: 'default' }),
    tinypoolPool({ useAtomics: false, concurrentTasksPerWorker, taskQueue: 'default' }),
    tinypoolPool({ useAtomics: true, concurrentTasksPerWorker, taskQueue: 'custom' }),
  ]);
}

/** As they are by default, without Atomics, and with either way to write messages. */
export function tinypoolChildren(...tasksPerChild: readonly number[]): readonly OpenPool[] {
  return tasksPerChild.flatMap((concurrentTasksPerWorker) =>
    (['json', 'advanced'] as const).map((serialization) =>
      tinypoolPool({ useAtomics: false, concurrentTasksPerWorker, taskQueue: 'default', serialization }),
    ),
  );
}

export function tinypoolPool(settings: TinypoolSettings): OpenPool {
  return (name) => {
    const pool = fixedTinypool(work, name, threads, settings);
    const { useAtomics, concurrentTasksPerWorker, taskQueue, serialization } = settings;
    const host = serialization === undefined ? `useAtomics ${useAtomics}` : `child_process, ${serialization}`;
    return {
      name: 'tinypool',
      settings: `${host}, concurrentTasksPerWorker ${concurrentTasksPerWorker}, ${taskQueue} taskQueue`,
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
  { useAtomics, concurrentTasksPerWorker, taskQueue, serialization }: TinypoolSettings,
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
    ...(serialization === undefined ? {} : { runtime: 'child_process', serialization }),
    ...(taskQueue === 'default' ? {} : { taskQueue: new TinypoolQueue() }),
  });
}

class TinypoolQueue extends DeepQueue<Task> implements TaskQueue {
  cancel(): void {
    for (let task = this.shift(); task !== null; task = this.shift()) task.cancel();
  }
}
