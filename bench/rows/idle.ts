/**
 * Row 10: what a process does while its supervisor has nothing to do, just after work: processor time of all its
 * threads, and callbacks on its main event loop. The same with no pool at all says what the process itself takes.
 */
import { createHook } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { TaskSupervisor, tasksFrom } from 'taskwarden';
import {
  type Contestant,
  compare,
  type Figure,
  figure,
  formatCount,
  formatNumber,
  type Measurement,
  medianOf,
  type Pace,
} from '../measure.ts';
import { jestWorkerPool } from '../pools/jest-worker.ts';
import { piscinaPool } from '../pools/piscina.ts';
import { poolifierPool } from '../pools/poolifier.ts';
import { taskwardenPool } from '../pools/taskwarden.ts';
import { tinypoolPool } from '../pools/tinypool.ts';
import { workerpoolPool } from '../pools/workerpool.ts';
import { type OpenPool, type Pool, threads, type Work, work } from '../pools.ts';
import { allAtOnce } from '../tiny-tasks.ts';

const sizes = { full: { watchMs: 1_500, runs: 5 }, quick: { watchMs: 500, runs: 1 } };
const settleMs = 300;
const peers: Record<string, OpenPool> = {
  piscina: piscinaPool({ atomics: 'sync', concurrentTasksPerWorker: 1 }),
  tinypool: tinypoolPool({ useAtomics: true, concurrentTasksPerWorker: 1, taskQueue: 'default' }),
  workerpool: workerpoolPool('fifo'),
  poolifier: poolifierPool({ workerChoiceStrategy: 'ROUND_ROBIN', concurrency: 1 }),
  'jest-worker': jestWorkerPool('round-robin'),
};

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { watchMs, runs } = sizes[pace];
  const watch = (name: string, settings: string, open: () => Pool) => new Watch(name, settings, watchMs, open);
  const watches = [
    watch('taskwarden', 'its two threads kept', () => taskwardenPool('tiny')),
    watch('taskwarden, retired', 'its threads ended by idleTimeoutMs', retiringPool),
    ...Object.entries(peers).map(([name, open]) => watch(name, 'its two threads kept', () => open('tiny'))),
    watch('no pool', '', noPool),
  ];
  const shared = { better: 'lower', runs } as const;
  const cpu = await compare(watches, { runs, warmups: 0 });
  const percent = worst(cpu);
  const callbacks = watches.map((each) => figure(each.name, each.settings, each.callbacks));
  const calls = worst(callbacks);
  const resources = watches.map(({ name, resources }) => `${name} ${[...resources].join(', ') || 'none'}`);
  return [
    {
      ...shared,
      what: `processor time of all threads in ${formatCount(watchMs)} ms`,
      unit: '% of a core',
      figures: cpu,
      checks: [{ target: '0 % CPU (below 0.05)', measured: `${formatNumber(percent)} %`, holds: percent < 0.05 }],
      notes: [],
    },
    {
      ...shared,
      what: 'callbacks on the main event loop',
      unit: 'calls',
      figures: callbacks,
      checks: [{ target: 'no timer ticking', measured: `${formatNumber(calls)} calls`, holds: calls === 0 }],
      notes: [`active resources: ${resources.join('; ')}`],
    },
  ];
}

function worst(figures: readonly Figure[]): number {
  return Math.max(medianOf(figures, 'taskwarden'), medianOf(figures, 'taskwarden, retired'));
}

class Watch implements Contestant {
  readonly name: string;
  readonly settings: string;
  readonly callbacks: number[] = [];
  readonly resources: Set<string> = new Set();
  readonly #watchMs: number;
  readonly #open: () => Pool;

  constructor(name: string, settings: string, watchMs: number, open: () => Pool) {
    this.name = name;
    this.settings = settings;
    this.#watchMs = watchMs;
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
    await new Promise((resolve) => setTimeout(resolve, this.#watchMs));
    const { user, system } = process.cpuUsage(before);
    hook.disable();
    this.callbacks.push(callbacks);
    for (const resource of process.getActiveResourcesInfo()) this.resources.add(resource);
    await pool.close();
    return ((user + system) / 1_000 / this.#watchMs) * 100;
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
