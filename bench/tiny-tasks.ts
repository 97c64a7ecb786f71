/** What rows 1 to 3 share: tiny tasks through every pool, many or few at a time, each result checked. */
import { atLeast, type Contestant, compare, heat, type Measurement } from './measure.ts';
import { barePool, type PiscinaSettings, type Pool, piscinaPool, taskwardenPool } from './pools.ts';

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

function verify(result: unknown, n: number): void {
  if (result !== n + 1) throw new Error(`task ${n} gave ${result}`);
}

export async function measureTinyTasks(options: {
  readonly what: string;
  readonly way: Way;
  readonly tasks: number;
  readonly runs?: number;
  readonly piscinaSettings: readonly PiscinaSettings[];
  readonly atLeastPiscina: number;
  readonly atLeastBare?: number;
}): Promise<Measurement> {
  const { what, way, tasks, runs = 5, piscinaSettings, atLeastPiscina, atLeastBare } = options;
  const contestant = (pool: Pool, count: number): Contestant => ({
    name: pool.name,
    settings: pool.settings,
    run: async () => {
      const startedAt = performance.now();
      await way(pool, count);
      return (count / (performance.now() - startedAt)) * 1_000;
    },
    close: () => pool.close(),
  });
  const { best, note } = await heat(
    piscinaSettings,
    (settings) => contestant(piscinaPool('tiny', settings), Math.min(tasks, 20_000)),
    'higher',
  );
  const pools = [taskwardenPool('tiny'), piscinaPool('tiny', best), barePool('tiny')];
  const figures = await compare(
    pools.map((pool) => contestant(pool, tasks)),
    { runs },
  );
  const checks = [
    atLeast(atLeastPiscina, 'piscina', figures),
    ...(atLeastBare === undefined ? [] : [atLeast(atLeastBare, 'bare postMessage', figures)]),
  ];
  return { what, unit: 'tasks/s', runs, figures, checks, notes: [note] };
}
