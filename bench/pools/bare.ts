import { Worker } from 'node:worker_threads';
import { type Pool, threads, type Work } from '../pools.ts';

const bareThread = new URL('../work/bare-thread.mjs', import.meta.url);

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
