/**
 * Row 11: runs that are due every 10 ms. taskwarden has an interval worker, each run of which is a supervised task on the event
 * loop. Beside it are the timers of cron libraries: croner and node-cron arm a `setTimeout` for the next date each time.
 * All tick at once, 2.5 ms apart, so that the same moments of the machine meet all.
 * The worker leaves out runs that come due before the one before them has begun; timers make up for each. So the lateness of a
 * run is that against the first moment that was due since the run before it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { backgroundWorker, TaskSupervisor } from 'taskwarden';
import {
  atMost,
  type Figure,
  figure,
  formatCount,
  formatNumber,
  type Measurement,
  medianOf,
  type Pace,
  percentile,
} from '../measure.ts';

const intervalMs = 10;
const sizes = { full: { runMs: 60_000, runs: 5 }, quick: { runMs: 4_000, runs: 1 } };

/**
 * Calls `tick` each time that a run is due; `dueAt(n)` says when, on the clock of `performance.now()`. One that has a start of
 * its own tells `begin` when that was, instead of `dueAt(0)`.
 */
type Ticker = (dueAt: (n: number) => number, tick: () => void, begin: (at: number) => void) => { stop(): unknown };

const tickers: Record<string, Ticker> = {
  taskwarden: (dueAt, tick, begin) => {
    const supervisor = new TaskSupervisor({ logger: false });
    const afterStart = () => begin(performance.now()); // its runs are counted from there
    const worker = backgroundWorker(tick, { name: 'tick', type: 'loop', supervisor, intervalMs, afterStart });
    const first = setTimeout(() => worker.start(), dueAt(0) - performance.now());
    return { stop: () => [clearTimeout(first), supervisor.stop({ wait: false })] };
  },
  'setTimeout, re-armed': (dueAt, tick) => {
    let timer: NodeJS.Timeout;
    const arm = (n: number) => {
      timer = setTimeout(() => {
        if (performance.now() < dueAt(n)) return arm(n);
        tick();
        arm(n + 1);
      }, dueAt(n) - performance.now());
    };
    arm(0);
    return { stop: () => clearTimeout(timer) };
  },
  setInterval: (dueAt, tick) => {
    let interval: NodeJS.Timeout;
    const first = setTimeout(() => {
      interval = setInterval(tick, intervalMs);
      tick();
    }, dueAt(0) - performance.now());
    return { stop: () => [clearTimeout(first), clearInterval(interval)] };
  },
};

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { runMs, runs } = sizes[pace];
  const rounds: Round[] = [];
  for (let round = 0; round < runs; round += 1) rounds.push(await tickTogether(runMs));
  const figures = (of: (latenesses: readonly number[]) => number): Figure[] =>
    Object.keys(tickers).map((name) =>
      figure(
        name,
        '',
        rounds.map(({ latenesses }) => of(latenesses[name] ?? [])),
      ),
    );
  const drifts = figures(drift);
  const latenesses = figures((values) => percentile(values, 0.99));
  const driftMs = medianOf(drifts, 'taskwarden');
  const leftOut = rounds.map((round) => round.leftOut).join(', ');
  const notes = [`runs that taskwarden left out, of ${formatCount(runMs / intervalMs)}: ${leftOut}`];
  const shared = { better: 'lower', runs, notes } as const;
  return [
    {
      ...shared,
      what: `drift in ${runMs / 1_000} s: lateness of the last tenth against that of the first`,
      unit: 'ms',
      figures: drifts,
      checks: [{ target: 'no drift (below 1 ms)', measured: `${formatNumber(driftMs)} ms`, holds: driftMs < 1 }],
    },
    {
      ...shared,
      what: `lateness against start + n x ${intervalMs} ms`,
      unit: 'ms, p99',
      figures: latenesses,
      checks: [atMost(1, 'setTimeout, re-armed', latenesses)],
    },
  ];
}

interface Round {
  /** How late each run of each was. */
  readonly latenesses: Readonly<Record<string, readonly number[]>>;
  /** How many runs the worker left out. */
  readonly leftOut: number;
}

async function tickTogether(runMs: number): Promise<Round> {
  const startAt = performance.now() + 100;
  const latenesses: Record<string, number[]> = {};
  let leftOut = 0;
  const ticking = Object.entries(tickers).map(([name, ticker], index) => {
    let beganAt = startAt + index * 2.5;
    let next = 0;
    const dueAt = (n: number) => beganAt + n * intervalMs;
    const values: number[] = [];
    latenesses[name] = values;
    const begin = (at: number) => {
      beganAt = at;
    };
    const tick = () => {
      const at = performance.now();
      values.push(at - dueAt(next));
      next += 1;
      if (name !== 'taskwarden') return;
      for (; dueAt(next) <= at; next += 1) leftOut += 1;
    };
    return ticker(dueAt, tick, begin);
  });
  await sleep(100 + runMs);
  for (const each of ticking) await each.stop();
  return { latenesses, leftOut };
}

function drift(latenesses: readonly number[]): number {
  const tenth = Math.floor(latenesses.length / 10);
  return Math.abs(percentile(latenesses.slice(-tenth), 0.5) - percentile(latenesses.slice(0, tenth), 0.5));
}
