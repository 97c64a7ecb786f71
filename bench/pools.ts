/**
 * The contestants of the rows on tasks: a pool that runs one function of `work/work.mjs` in threads, and gives a promise
 * for each call. The threads are two, run without the loader that the bench itself is run with, and are up before
 * anything is measured.
 */
import { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { type BackgroundTask, TaskSupervisor, tasksFrom } from 'taskwarden';

export const threads = 2;

export const work: URL = new URL('./work/work.mjs', import.meta.url);
const bareThread = new URL('./work/bare-thread.mjs', import.meta.url);

/** The functions of `work/work.mjs`. */
export interface Work {
  tiny(n: number): number;
  spin(iterations: number): number;
  spinMany(times: { iterations: number; times: number }): number;
  spinLow(work: { iterations: number }): number;
  clock(): number;
}

export interface Pool {
  readonly name: string;
  readonly settings: string;
  run(value: unknown): PromiseLike<unknown>;
  close(): Promise<unknown>;
}

/** All that is counted and watched by default is so here, too: TaskInfo, events, warnings of long waits. */
export function taskwardenPool(fn: keyof Work): Pool {
  const supervisor = new TaskSupervisor({
    threads: { poolSize: threads, reserveNormal: 0, reserveHigh: 0, minSize: threads, maxSize: threads, execArgv: [] },
    logger: false,
  });
  const task = tasksFrom<Work>(work, { supervisor })[fn] as BackgroundTask<(value: unknown) => unknown>;
  return {
    name: 'taskwarden',
    settings: `poolSize ${threads}, no reserves`,
    run: (value) => task(value),
    close: () => supervisor.stop(),
  };
}

export interface PiscinaSettings {
  readonly atomics: 'sync' | 'async' | 'disabled';
  readonly concurrentTasksPerWorker: number;
}

/** Each number of tasks a thread, with the two modes that can matter for many tasks. */
export function settingsFor(...tasksPerThread: readonly number[]): readonly PiscinaSettings[] {
  return tasksPerThread.flatMap((concurrentTasksPerWorker) =>
    (['sync', 'disabled'] as const).map((atomics) => ({ atomics, concurrentTasksPerWorker })),
  );
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

export function piscinaPool(fn: keyof Work, settings: PiscinaSettings): Pool {
  const pool = fixedPiscina(work, fn, threads, settings);
  const { atomics, concurrentTasksPerWorker } = settings;
  return {
    name: 'piscina',
    settings: `atomics ${atomics}, concurrentTasksPerWorker ${concurrentTasksPerWorker}`,
    run: (value) => pool.run(value),
    close: () => pool.destroy(),
  };
}

/** Messages to the threads in turn; each answers in order, so that a list of promises is all the bookkeeping. */
export function barePool(fn: keyof Work): Pool {
  const hosts = Array.from({ length: threads }, () => new BareThread(fn));
  let next = 0;
  return {
    name: 'bare postMessage',
    settings: 'a promise a message',
    run: (value) => {
      const host = hosts[next] as BareThread;
      next = (next + 1) % threads;
      return host.run(value);
    },
    close: () => Promise.all(hosts.map((host) => host.close())),
  };
}

export class BareThread {
  readonly #worker: Worker;
  #waiting: ((value: unknown) => void)[] = [];
  #answered = 0;

  constructor(fn: keyof Work) {
    this.#worker = new Worker(bareThread, { workerData: fn, execArgv: [] });
    this.#worker.on('message', (value) => {
      this.#waiting[this.#answered]?.(value);
      this.#answered += 1;
      if (this.#answered < this.#waiting.length) return;
      this.#waiting = [];
      this.#answered = 0;
    });
  }

  run(value: unknown): Promise<unknown> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#worker.postMessage(value);
    });
  }

  close(): Promise<unknown> {
    return this.#worker.terminate();
  }
}
