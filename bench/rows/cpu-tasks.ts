/** Row 4. The ideal is measured like a contestant: each thread does its half in one loop, with no messages. */
import { type CpuTasks, measureCpuTasks } from '../cpu-tasks.ts';
import { elapsed, iterationsPerMs } from '../cpu-work.ts';
import {
  atMost,
  type Check,
  type Contestant,
  type Figure,
  formatCount,
  formatNumber,
  type Measurement,
  type Pace,
  ratio,
} from '../measure.ts';
import { peerNames } from '../peer-names.ts';
import { threadPools } from '../peers.ts';
import { BareThread } from '../pools/bare.ts';
import { threads } from '../pools.ts';

const sizes = { full: { totalMs: 1_000, runs: 7 }, quick: { totalMs: 100, runs: 3 } };

/** Each with the share of the ideal that is to be reached. */
const lengths = [
  { ms: 1, target: 0.97 },
  { ms: 10, target: 0.99 },
];

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { totalMs, runs } = sizes[pace];
  const perMs = await iterationsPerMs();
  const measurements = [];
  for (const { ms, target } of lengths) {
    const work = { tasks: totalMs / ms, iterations: ms * perMs };
    const what = `${formatCount(work.tasks)} tasks of ${ms} ms`;
    const checks = (figures: readonly Figure[]) => [ofIdeal(target, figures), atMost(1, peerNames, figures)];
    const others = [ideal(work)];
    measurements.push(await measureCpuTasks({ pace, what, work, runs, pools: threadPools(2, 1), others, checks }));
  }
  return measurements;
}

function ofIdeal(target: number, figures: readonly Figure[]): Check {
  const share = ratio(figures, 'ideal', 'taskwarden');
  return { target: `>= ${target} of the ideal`, measured: formatNumber(share), holds: share >= target };
}

function ideal({ tasks, iterations }: CpuTasks): Contestant {
  const hosts = Array.from({ length: threads }, () => new BareThread('spinMany'));
  return {
    name: 'ideal',
    settings: 'half of the work in each thread',
    run: () => elapsed(() => Promise.all(hosts.map((host) => host.run({ iterations, times: tasks / threads })))),
    close: () => Promise.all(hosts.map((host) => host.close())),
  };
}
