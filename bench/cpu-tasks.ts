/**
 * What rows 4 and 15 share. A task is a fixed amount of work, not a fixed time on the clock: else it would not show when
 * threads are kept from the cores.
 */
import { elapsed } from './cpu-work.ts';
import type { Check, Contestant, Figure, Measurement, Pace } from './measure.ts';
import { comparePools, type Pools } from './peers.ts';
import type { Pool } from './pools.ts';

export interface CpuTasks {
  readonly tasks: number;
  /** Of one task. */
  readonly iterations: number;
}

export async function measureCpuTasks(options: {
  readonly pace: Pace;
  readonly what: string;
  readonly work: CpuTasks;
  readonly runs: number;
  readonly pools: Pools;
  readonly others?: readonly Contestant[];
  readonly checks: (figures: readonly Figure[]) => Check[];
}): Promise<Measurement> {
  const { pace, what, work, runs, pools, others = [], checks } = options;
  const { tasks, iterations } = work;
  const contestant = (pool: Pool, count: number): Contestant => ({
    name: pool.name,
    settings: pool.settings,
    run: () => elapsed(() => Promise.all(Array.from({ length: count }, () => pool.run(iterations)))),
    close: () => pool.close(),
  });
  const { figures, notes } = await comparePools({
    pace,
    fn: 'spin',
    pools,
    better: 'lower',
    runs,
    heatOf: (pool) => contestant(pool, tasks / 5),
    contestantOf: (pool) => contestant(pool, tasks),
    others,
  });
  return { what, unit: 'ms', better: 'lower', runs, figures, checks: checks(figures), notes };
}
