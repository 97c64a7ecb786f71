/**
 * One contestant of the row on urgent tasks. Low tasks keep busy all the threads that they may. High tasks come at random
 * times, whether or not the one before has ended. A wait goes from the call to the function's first line.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PriorityQueue as JestPriorityQueue } from 'jest-worker';
import { Piscina, queueOptionsSymbol } from 'piscina';
import { TaskSupervisor, tasksFrom } from 'taskwarden';
import { percentile } from '../measure.ts';
import { fixedJestWorker } from '../pools/jest-worker.ts';
import { type Work, work } from '../pools.ts';
import { PriorityQueue } from './priority-queue.ts';

export interface UrgentWork {
  /** Of all priorities together. */
  readonly threads: number;
  readonly reserveHigh: number;
  readonly lowTasks: number;
  /** Of a low task. */
  readonly iterations: number;
  readonly highTasks: number;
  /** How much lower than that of the program the system priority of threads for low tasks is, where a library knows that. */
  readonly nice: number;
}

type Contestant = (work: UrgentWork) => Promise<number>;

/** Gives the p99 in milliseconds. Each run has a new pool. */
export function run(library: string, urgentWork: string): Promise<number> {
  const contestant = contestants[library];
  if (contestant === undefined) throw new RangeError(`there is no contestant "${library}"`);
  return contestant(JSON.parse(urgentWork) as UrgentWork);
}

const contestants: Readonly<Record<string, Contestant>> = { taskwarden, piscina, 'jest-worker': jestWorker };

async function taskwarden({
  threads,
  reserveHigh,
  lowTasks,
  iterations,
  highTasks,
  nice,
}: UrgentWork): Promise<number> {
  const poolSize = threads - reserveHigh;
  const supervisor = new TaskSupervisor({
    threads: { poolSize, reserveNormal: 0, reserveHigh, minSize: threads, maxSize: threads, nice, execArgv: [] },
    logger: false,
  });
  const { spinLow, clock } = tasksFrom<Work>(work, { supervisor });
  const low = spinLow.with({ priority: 'low' });
  const high = clock.with({ priority: 'high' });
  await warmUp(() => low({ iterations }), high);
  for (let n = 0; n < lowTasks; n += 1) low({ iterations });
  const p99 = await waitOfHigh(highTasks, () => high());
  await supervisor.stop({ wait: false });
  return p99;
}

/** Its documentation's way to priorities: a task queue of one's own. */
async function piscina({ threads, lowTasks, iterations, highTasks }: UrgentWork): Promise<number> {
  const pool = new Piscina({
    filename: work.href,
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Infinity,
    recordTiming: false,
    execArgv: [],
    taskQueue: new PriorityQueue(),
    stricterFIFO: true,
  });
  const low = () => pool.run({ iterations }, { name: 'spinLow' });
  const high = (): Promise<number> => pool.run({ [queueOptionsSymbol]: { isHigh: true } }, { name: 'clock' });
  await warmUp(low, high);
  for (let n = 0; n < lowTasks; n += 1) low().catch(() => {}); // those that still wait when the run is over
  const p99 = await waitOfHigh(highTasks, high);
  pool.on('error', () => {}); // it takes the last word of a thread that it ends for one
  await pool.destroy();
  return p99;
}

async function jestWorker({ threads, lowTasks, iterations, highTasks }: UrgentWork): Promise<number> {
  const taskQueue = new JestPriorityQueue((method) => (method === 'clock' ? 0 : 1));
  const farm = fixedJestWorker(['spinLow', 'clock'], threads, { taskQueue });
  const low = () => farm.spinLow({ iterations });
  const high = async () => Number(await farm.clock(undefined));
  await warmUp(low, high);
  for (let n = 0; n < lowTasks; n += 1) low();
  const p99 = await waitOfHigh(highTasks, high);
  await farm.end();
  return p99;
}

async function warmUp(low: () => PromiseLike<unknown>, high: () => PromiseLike<unknown>): Promise<void> {
  await Promise.all(Array.from({ length: 20 }, () => [low(), high()]).flat());
}

/** @param high Gives the time at which its task began. */
async function waitOfHigh(highTasks: number, high: () => PromiseLike<number>): Promise<number> {
  const waits: Promise<number>[] = [];
  for (const pauseMs of pauses(highTasks)) {
    await sleep(pauseMs);
    const calledAt = Number(process.hrtime.bigint()) / 1e6;
    waits.push(Promise.resolve(high()).then((startedAt) => startedAt - calledAt));
  }
  return percentile(await Promise.all(waits), 0.99);
}

/** From 3 to 9 ms, the same in each run, so that high tasks keep no step with low ones. */
function* pauses(count: number): Generator<number> {
  let state = 1;
  for (let n = 0; n < count; n += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield 3 + (6 * state) / 2 ** 32;
  }
}
