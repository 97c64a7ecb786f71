/**
 * Row 4. A task is a fixed amount of work, not a fixed time on the clock: else it would not show when threads are kept
 * from the cores. The ideal is measured like a contestant: each thread does its half in one loop, with no messages.
 */
import { elapsed, iterationsPerMs } from '../cpu-work.ts';
import {
  type Check,
  type Contestant,
  compare,
  formatNumber,
  heat,
  type Measurement,
  type Row,
  ratio,
} from '../measure.ts';
import {
  BareThread,
  barePool,
  type PiscinaSettings,
  type Pool,
  piscinaPool,
  taskwardenPool,
  threads,
} from '../pools.ts';

const piscinaSettings: readonly PiscinaSettings[] = [
  { atomics: 'sync', concurrentTasksPerWorker: 1 },
  { atomics: 'disabled', concurrentTasksPerWorker: 1 },
  { atomics: 'sync', concurrentTasksPerWorker: 2 },
  { atomics: 'disabled', concurrentTasksPerWorker: 2 },
];

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
  const contestant = (pool: Pool): Contestant => ({
    name: pool.name,
    settings: pool.settings,
    run: () => elapsed(() => Promise.all(Array.from({ length: tasks }, () => pool.run(iterations)))),
    close: () => pool.close(),
  });
  const { best, note } = await heat(piscinaSettings, (settings) => contestant(piscinaPool('spin', settings)), 'lower');
  const runs = 9;
  const figures = await compare(
    [
      contestant(taskwardenPool('spin')),
      contestant(piscinaPool('spin', best)),
      contestant(barePool('spin')),
      ideal(tasks, iterations),
    ],
    { runs },
  );
  const share = ratio(figures, 'ideal', 'taskwarden');
  const check: Check = { target: '>= 0.98 of the ideal', measured: formatNumber(share), holds: share >= 0.98 };
  return { what, unit: 'ms', runs, figures, checks: [check], notes: [note] };
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
