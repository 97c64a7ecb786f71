import { type JestWorkerFarm, Worker, type WorkerFarmOptions } from 'jest-worker';
import { type OpenPool, threads, type Work, work } from '../pools.ts';

type Farm = JestWorkerFarm<Record<keyof Work, (value: unknown) => unknown>>;

export const jestWorkerPools: readonly OpenPool[] = [jestWorkerPool('round-robin'), jestWorkerPool('in-order')];

/** Children get the same structured clones. */
export const jestWorkerChildren: readonly OpenPool[] = [
  jestWorkerPool('round-robin', false),
  jestWorkerPool('in-order', false),
];

export function jestWorkerPool(
  workerSchedulingPolicy: 'round-robin' | 'in-order',
  enableWorkerThreads = true,
): OpenPool {
  return (fn) => {
    const farm = fixedJestWorker([fn], threads, { workerSchedulingPolicy, enableWorkerThreads });
    return {
      name: 'jest-worker',
      settings: `enableWorkerThreads ${enableWorkerThreads}, ${workerSchedulingPolicy}`,
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
