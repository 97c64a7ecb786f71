/** What rows 1 to 3 and 15 share: tiny tasks through every pool, many or few at a time, each result checked. */
import { type Check, type Contestant, type Figure, formatCount, type Measurement, type Pace } from './measure.ts';
import { comparePools, type Pools } from './peers.ts';
import type { Pool } from './pools.ts';

type Way = (pool: Pool, tasks: number) => Promise<void>;

export async function allAtOnce(pool: Pool, tasks: number): Promise<void> {
  const results = await Promise.all(Array.from({ length: tasks }, (_, n) => pool.run(n)));
  results.forEach(verify);
}

export function inFlight(window: number): Way {
  return async (pool, tasks) => {
    let next = 0;
    const lane = async () => {
      while (next < tasks) {
        const n = next;
        next += 1;
        verify(await pool.run(n), n);
      }
    };
    await Promise.all(Array.from({ length: window }, lane));
  };
}

export function verify(result: unknown, n: number): void {
  if (result !== n + 1) throw new Error(`task ${n} gave ${result}`);
}

/** Those that no target names get `fewerTasks`, since they would take minutes; a short queue is to their advantage. */
export async function measureTinyTasks(options: {
  readonly pace: Pace;
  readonly what: string;
  readonly chart?: string;
  readonly way: Way;
  readonly tasks: number;
  readonly fewerTasks?: number;
  readonly runs: number;
  readonly pools: Pools;
  readonly checks: (figures: readonly Figure[]) => Check[];
}): Promise<Measurement> {
  const { pace, what, chart, way, tasks, fewerTasks = tasks, runs, pools, checks } = options;
  const contestant = (pool: Pool, count: number): Contestant => ({
    name: pool.name,
    settings: count === fewerTasks && count < tasks ? `${pool.settings}; ${formatCount(count)} tasks` : pool.settings,
    run: async () => {
      const startedAt = performance.now();
      await way(pool, count);
      return (count / (performance.now() - startedAt)) * 1_000;
    },
    close: () => pool.close(),
  });
  const { figures, notes } = await comparePools({
    pace,
    fn: 'tiny',
    pools,
    better: 'higher',
    runs,
    heatOf: (pool) => contestant(pool, fewerTasks),
    contestantOf: (pool) => contestant(pool, targeted.has(pool.name) ? tasks : fewerTasks),
  });
  const shared = { what, unit: 'tasks/s', better: 'higher', runs, figures, checks: checks(figures), notes } as const;
  return chart === undefined ? shared : { ...shared, chart };
}

const targeted: ReadonlySet<string> = new Set(['taskwarden', 'piscina', 'bare postMessage']);
