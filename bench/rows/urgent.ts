/**
 * Row 5: how long a high task waits while low ones keep busy all the threads that they may. High tasks come at random
 * times, whether or not the one before has ended; a wait goes from the call to the function's first line.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PriorityQueue as JestPriorityQueue } from 'jest-worker';
import { FixedQueue, Piscina, type PiscinaTask, queueOptionsSymbol, type TaskQueue } from 'piscina';
import { TaskSupervisor, tasksFrom } from 'taskwarden';
import { iterationsPerMs } from '../cpu-work.ts';
import {
  atMost,
  type Contestant,
  compare,
  formatNumber,
  type Measurement,
  medianOf,
  percentile,
  type Row,
} from '../measure.ts';
import { fixedJestWorker } from '../pools/jest-worker.ts';
import { type Work, work } from '../pools.ts';

const lowTasks = 100_000;
const lowMs = 20;
const highTasks = 200;
const reserveHigh = 1;

export const urgent: Row = {
  number: 5,
  name: 'urgent',
  work: `a high task while 100,000 low ones of ${lowMs} ms wait, reserve 1: p99 of its wait`,
  measure: async () => {
    const iterations = lowMs * (await iterationsPerMs());
    return [await measureUrgent(1, iterations), await measureUrgent(2, iterations)];
  },
};

async function measureUrgent(poolSize: number, iterations: number): Promise<Measurement> {
  const threads = poolSize + reserveHigh;
  const runs = 5;
  const figures = await compare(
    [taskwarden(poolSize, iterations), piscina(threads, iterations), jestWorker(threads, iterations)],
    { runs, warmups: 0 },
  );
  const waitMs = medianOf(figures, 'taskwarden');
  return {
    what: `${threads} threads, ${highTasks} high tasks a run`,
    ...(poolSize === 1 ? { chart: 'Wait of a high task behind 100,000 low ones' } : {}),
    unit: 'ms, p99',
    better: 'lower',
    runs,
    figures,
    checks: [
      { target: '< 5 ms', measured: `${formatNumber(waitMs)} ms`, holds: waitMs < 5 },
      atMost(1 / 20, 'piscina', figures),
    ],
    notes: ['poolifier has priorities, too, but behind 10,000 low tasks its high one had not begun after 40 s'],
  };
}

function taskwarden(poolSize: number, iterations: number): Contestant {
  return {
    name: 'taskwarden',
    settings: `poolSize ${poolSize}, reserveHigh ${reserveHigh}`,
    run: async () => {
      const threads = poolSize + reserveHigh;
      const supervisor = new TaskSupervisor({
        threads: { poolSize, reserveNormal: 0, reserveHigh, minSize: threads, maxSize: threads, execArgv: [] },
        logger: false,
      });
      const { spinLow, clock } = tasksFrom<Work>(work, { supervisor });
      const low = spinLow.with({ priority: 'low' });
      const high = clock.with({ priority: 'high' });
      await Promise.all(Array.from({ length: 20 }, () => [low({ iterations }), high()]).flat());
      for (let n = 0; n < lowTasks; n += 1) low({ iterations });
      const p99 = await waitOfHigh(() => high());
      await supervisor.stop({ wait: false });
      return p99;
    },
  };
}

/** Its documentation's way to priorities: a task queue of one's own. */
function piscina(threads: number, iterations: number): Contestant {
  return {
    name: 'piscina',
    settings: `maxThreads ${threads}, a taskQueue with priorities, stricterFIFO`,
    run: async () => {
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
      await Promise.all(Array.from({ length: 20 }, () => [low(), high()]).flat());
      for (let n = 0; n < lowTasks; n += 1) low().catch(() => {}); // those that still wait when the run is over
      const p99 = await waitOfHigh(high);
      pool.on('error', () => {}); // it takes the last word of a thread that it ends for one
      await pool.destroy();
      return p99;
    },
  };
}

function jestWorker(threads: number, iterations: number): Contestant {
  return {
    name: 'jest-worker',
    settings: `numWorkers ${threads}, its PriorityQueue`,
    run: async () => {
      const taskQueue = new JestPriorityQueue((method) => (method === 'clock' ? 0 : 1));
      const farm = fixedJestWorker(['spinLow', 'clock'], threads, { taskQueue });
      const high = async () => Number(await farm.clock(undefined));
      await Promise.all(Array.from({ length: 20 }, () => [farm.spinLow({ iterations }), high()]).flat());
      for (let n = 0; n < lowTasks; n += 1) farm.spinLow({ iterations });
      const p99 = await waitOfHigh(high);
      await farm.end();
      return p99;
    },
  };
}

class PriorityQueue implements TaskQueue {
  readonly #high = new FixedQueue();
  readonly #low = new FixedQueue();

  #queueOf(task: PiscinaTask): FixedQueue {
    return task[queueOptionsSymbol] === null ? this.#low : this.#high;
  }

  get size(): number {
    return this.#high.size + this.#low.size;
  }

  push(task: PiscinaTask): void {
    this.#queueOf(task).push(task);
  }

  unshift(task: PiscinaTask): void {
    this.#queueOf(task).unshift(task);
  }

  remove(task: PiscinaTask): void {
    this.#queueOf(task).remove(task);
  }

  shift(): ReturnType<FixedQueue['shift']> {
    return this.#high.shift() ?? this.#low.shift();
  }
}

/** The p99 in milliseconds; `high` gives the time at which its task began. */
async function waitOfHigh(high: () => PromiseLike<number>): Promise<number> {
  const waits: Promise<number>[] = [];
  for (const pauseMs of pauses()) {
    await sleep(pauseMs);
    const calledAt = Number(process.hrtime.bigint()) / 1e6;
    waits.push(Promise.resolve(high()).then((startedAt) => startedAt - calledAt));
  }
  return percentile(await Promise.all(waits), 0.99);
}

/** From 3 to 9 ms, the same in each run, so that high tasks keep no step with low ones. */
function* pauses(): Generator<number> {
  let state = 1;
  for (let n = 0; n < highTasks; n += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield 3 + (6 * state) / 2 ** 32;
  }
}
