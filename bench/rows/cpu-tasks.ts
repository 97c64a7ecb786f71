/**
 * Row 4. A task is a fixed amount of work, not a fixed time on the clock: else it would not show when threads are kept
 * from the cores. The ideal is measured like a contestant: each thread does its half in one loop, with no messages.
 */
import { elapsed, iterationsPerMs } from '../cpu-work.ts';
import { type Check, type Contestant, formatNumber, type Measurement, type Row, ratio } from '../measure.ts';
import { comparePools, peers } from '../peers.ts';
import { BareThread } from '../pools/bare.ts';
import { type Pool, threads } from '../pools.ts';

export const cpuTasks: Row = {
  number: 4,
  name: 'cpu-tasks',
  work: 'CPU tasks of 1 ms and of 10 ms on both cores',
  measure: async () => {
    const perMs = await iterationsPerMs();
    return [
      await measureCpuTasks({ what: '1,000 tasks of 1 ms', tasks: 1_000, iterations: perMs }),
      await measureCpuTasks({ what: '100 tasks of 10 ms', tasks: 100, iterations: 10 * perMs }),
    ];
  },
};

async function measureCpuTasks(work: { what: string; tasks: number; iterations: number }): Promise<Measurement> {
  const { what, tasks, iterations } = work;
  const contestant = (pool: Pool, count: number): Contestant => ({
    name: pool.name,
    settings: pool.settings,
    run: () => elapsed(() => Promise.all(Array.from({ length: count }, () => pool.run(iterations)))),
    close: () => pool.close(),
  });
  const runs = 7;
  const { figures, notes } = await comparePools({
    fn: 'spin',
    peers: peers(1, 2),
    better: 'lower',
    runs,
    heatOf: (pool) => contestant(pool, tasks / 5),
    contestantOf: (pool) => contestant(pool, tasks),
    others: [ideal(tasks, iterations)],
  });
  const share = ratio(figures, 'ideal', 'taskwarden');
  const check: Check = { target: '>= 0.98 of the ideal', measured: formatNumber(share), holds: share >= 0.98 };
  return { what, unit: 'ms', better: 'lower', runs, figures, checks: [check], notes };
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
