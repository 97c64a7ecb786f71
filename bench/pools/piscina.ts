import { Piscina } from 'piscina';
import { cancelableBySignal, type OpenPool, threads, work } from '../pools.ts';

export interface PiscinaSettings {
  readonly atomics: 'sync' | 'async' | 'disabled';
  readonly concurrentTasksPerWorker: number;
}

/** Each number of tasks a thread, with each way of waiting for them. */
export function piscinaPools(...tasksPerThread: readonly number[]): readonly OpenPool[] {
  return tasksPerThread.flatMap((concurrentTasksPerWorker) =>
    (['sync', 'async', 'disabled'] as const).map((atomics) => piscinaPool({ atomics, concurrentTasksPerWorker })),
  );
}

export function piscinaPool(settings: PiscinaSettings): OpenPool {
  return (fn) => {
    const pool = fixedPiscina(work, fn, threads, settings);
    const { atomics, concurrentTasksPerWorker } = settings;
    return {
      name: 'piscina',
      settings: `atomics ${atomics}, concurrentTasksPerWorker ${concurrentTasksPerWorker}`,
      run: (value) => pool.run(value),
      runCancelable: (value) => cancelableBySignal((signal) => pool.run(value, { signal })),
      close: () => pool.destroy(),
    };
  };
}

/** Piscina with so many threads, from start to end, and nothing on that costs time. */
export function fixedPiscina(filename: URL, name: string, count: number, settings: PiscinaSettings): Piscina {
  return new Piscina({
    filename: filename.href,
    name,
    minThreads: count,
    maxThreads: count,
    idleTimeout: Infinity,
    recordTiming: false,
    execArgv: [],
    ...settings,
  });
}
