/**
 * Row 10: what a process does while its supervisor has nothing to do, just after work: processor time of all its
 * threads, and callbacks on its main event loop. The same with no pool at all says what the process itself takes.
 */
import { createHook } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { TaskSupervisor, tasksFrom } from 'taskwarden';
import {
  type Check,
  type Contestant,
  compare,
  type Figure,
  figure,
  formatNumber,
  type Measurement,
  medianOf,
  type Row,
} from '../measure.ts';
import { jestWorkerPool } from '../pools/jest-worker.ts';
import { piscinaPool } from '../pools/piscina.ts';
import { poolifierPool } from '../pools/poolifier.ts';
import { taskwardenPool } from '../pools/taskwarden.ts';
import { tinypoolPool } from '../pools/tinypool.ts';
import { workerpoolPool } from '../pools/workerpool.ts';
import { type OpenPool, type Pool, threads, type Work, work } from '../pools.ts';
import { allAtOnce } from '../tiny-tasks.ts';

const runs = 5;
const settleMs = 300;
const watchMs = 1_500;
const peers: Record<string, OpenPool> = {
  piscina: piscinaPool({ atomics: 'sync', concurrentTasksPerWorker: 1 }),
  tinypool: tinypoolPool({ useAtomics: true, concurrentTasksPerWorker: 1, taskQueue: 'default' }),
  workerpool: workerpoolPool('fifo'),
  poolifier: poolifierPool({ workerChoiceStrategy: 'ROUND_ROBIN', concurrency: 1 }),
  'jest-worker': jestWorkerPool('round-robin'),
};

export const idle: Row = {
  number: 10,
  name: 'idle',
  work: `an idle supervisor, after 1,000 tasks: ${watchMs} ms of doing nothing`,
  measure: async () => {
    const watches = [
      new Watch('taskwarden', 'its two threads kept', () => taskwardenPool('tiny')),
      new Watch('taskwarden, retired', 'its threads ended by idleTimeoutMs', retiringPool),
      ...Object.entries(peers).map(([name, open]) => new Watch(name, 'its two threads kept', () => open('tiny'))),
      new Watch('no pool', '', noPool),
    ];
    const cpu = await compare(watches, { runs, warmups: 0 });
    const callbacks = watches.map((watch) => figure(watch.name, watch.settings, watch.callbacks.slice(-runs)));
    return [
      measurement('processor time of all threads', '% of a core', cpu, (value) => ({
        target: '0 % CPU (below 0.05)',
        measured: `${formatNumber(value)} %`,
        holds: value < 0.05,
      })),
      {
        ...measurement('callbacks on the main event loop', 'calls', callbacks, (value) => ({
          target: 'no timer ticking',
          measured: `${formatNumber(value)} calls`,
          holds: value === 0,
        })),
        notes: [
          `active resources: ${watches.map(({ name, resources }) => `${name} ${[...resources].join(', ') || 'none'}`).join('; ')}`,
        ],
      },
    ];
  },
};

function measurement(
  what: string,
  unit: string,
  figures: readonly Figure[],
  check: (value: number) => Check,
): Measurement {
  const value = Math.max(medianOf(figures, 'taskwarden'), medianOf(figures, 'taskwarden, retired'));
  return { what, unit, better: 'lower', runs, figures, checks: [check(value)], notes: [] };
}

class Watch implements Contestant {
  readonly name: string;
  readonly settings: string;
  readonly callbacks: number[] = [];
  readonly resources: Set<string> = new Set();
  readonly #open: () => Pool;

  constructor(name: string, settings: string, open: () => Pool) {
    this.name = name;
    this.settings = settings;
    this.#open = open;
  }

  /** Gives the share of a core, in percent. */
  async run(): Promise<number> {
    const pool = this.#open();
    await allAtOnce(pool, 1_000);
    await sleep(settleMs);
    let callbacks = -1; // the timer that ends the watch does not count
    const promises = new Set<number>();
    const hook = createHook({
      init: (id, type) => {
        if (type === 'PROMISE') promises.add(id);
      },
      before: (id) => {
        if (!promises.has(id)) callbacks += 1;
      },
    }).enable();
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, watchMs));
    const { user, system } = process.cpuUsage(before);
    hook.disable();
    this.callbacks.push(callbacks);
    for (const resource of process.getActiveResourcesInfo()) this.resources.add(resource);
    await pool.close();
    return ((user + system) / 1_000 / watchMs) * 100;
  }
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
