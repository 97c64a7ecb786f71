import { type JestWorkerFarm, Worker, type WorkerFarmOptions } from 'jest-worker';
import { type OpenPool, threads, type Work, work } from '../pools.ts';

type Farm = JestWorkerFarm<Record<keyof Work, (value: unknown) => unknown>>;

export const jestWorkerPools: readonly OpenPool[] = [jestWorkerPool('round-robin'), jestWorkerPool('in-order')];

export function jestWorkerPool(workerSchedulingPolicy: 'round-robin' | 'in-order'): OpenPool {
  return (fn) => {
    const farm = fixedJestWorker([fn], threads, { workerSchedulingPolicy });
    return {
      name: 'jest-worker',
      settings: `enableWorkerThreads, ${workerSchedulingPolicy}`,
      run: (value) => farm[fn](value),
      close: () => farm.end(),
    };
  };
}

export function fixedJestWorker(
  exposedMethods: readonly (keyof Work)[],
  numWorkers: number,
  options: WorkerFarmOptions,
): Farm {
  return new Worker(work, {
    exposedMethods,
    numWorkers,
    enableWorkerThreads: true,
    forkOptions: { execArgv: [] },
    ...options,
  }) as Farm;
}
