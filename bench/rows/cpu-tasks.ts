/**
 * Row 4. A task is a fixed amount of work, not a fixed time on the clock: else it would not show when threads are kept
 * from the cores. The ideal is measured like a contestant: each thread does its half in one loop, with no messages.
 */
import { elapsed, iterationsPerMs } from '../cpu-work.ts';
import {
  atMost,
  type Check,
  type Contestant,
  formatCount,
  formatNumber,
  type Measurement,
  type Pace,
  ratio,
} from '../measure.ts';
import { peerNames } from '../peer-names.ts';
import { comparePools, peers } from '../peers.ts';
import { BareThread } from '../pools/bare.ts';
import { type Pool, threads } from '../pools.ts';

const sizes = { full: { totalMs: 1_000, runs: 7 }, quick: { totalMs: 200, runs: 3 } };

/** Each with the share of the ideal that is to be reached. */
const lengths = [
  { taskMs: 1, target: 0.97 },
  { taskMs: 10, target: 0.99 },
];

export async function measure(pace: Pace): Promise<Measurement[]> {
  const perMs = await iterationsPerMs();
  const measurements = [];
  for (const length of lengths) measurements.push(await measureCpuTasks(pace, perMs, length));
  return measurements;
}

async function measureCpuTasks(
  pace: Pace,
  perMs: number,
  { taskMs, target }: (typeof lengths)[number],
): Promise<Measurement> {
  const { totalMs, runs } = sizes[pace];
  const tasks = totalMs / taskMs;
  const iterations = taskMs * perMs;
  const contestant = (pool: Pool, count: number): Contestant => ({
    name: pool.name,
    settings: pool.settings,
    run: () => elapsed(() => Promise.all(Array.from({ length: count }, () => pool.run(iterations)))),
    close: () => pool.close(),
  });
  const { figures, notes } = await comparePools({
    pace,
    fn: 'spin',
    peers: peers(2, 1),
    better: 'lower',
    runs,
    heatOf: (pool) => contestant(pool, tasks / 5),
    contestantOf: (pool) => contestant(pool, tasks),
    others: [ideal(tasks, iterations)],
  });
  const share = ratio(figures, 'ideal', 'taskwarden');
  const ofIdeal: Check = { target: `>= ${target} of the ideal`, measured: formatNumber(share), holds: share >= target };
  return {
    what: `${formatCount(tasks)} tasks of ${taskMs} ms`,
    unit: 'ms',
    better: 'lower',
    runs,
    figures,
    checks: [ofIdeal, atMost(1, peerNames, figures)],
    notes,
  };
}

function ideal(tasks: number, iterations: number): Contestant {
  const hosts = Array.from({ length: threads }, () => new BareThread('spinMany'));
  return {
    name: 'ideal',
    settings: 'half of the work in each thread',
    run: () => elapsed(() => Promise.all(hosts.map((host) => host.run({ iterations, times: tasks / threads })))),
    close: () => Promise.all(hosts.map((host) => host.close())),
  };
}
