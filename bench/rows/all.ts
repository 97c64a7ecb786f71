/** Row 1b: many inputs in one call, against calls of Piscina, also such as take many inputs that their user has packed. */
import {
  atLeast,
  below,
  type Contestant,
  compare,
  formatCount,
  heat,
  heatSettings,
  type Measurement,
  type Pace,
} from '../measure.ts';
import { piscinaPools } from '../pools/piscina.ts';
import { taskwardenPool } from '../pools/taskwarden.ts';
import type { OpenPool, Pool, Work } from '../pools.ts';
import { allAtOnce, verify } from '../tiny-tasks.ts';
import { waitingIn } from '../waiting/growth.ts';
import { manyIn } from '../waiting/pools.ts';

const sizes = { full: { tasks: 300_000, runs: 5, memoryRuns: 5 }, quick: { tasks: 20_000, runs: 3, memoryRuns: 1 } };
const packedInputs = 500;
const memoryProgram = new URL('../waiting/all-memory.ts', import.meta.url);

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { tasks, runs, memoryRuns } = sizes[pace];
  const contestant =
    (name: string, fn: keyof Work, way: Way) =>
    (open: OpenPool, count = tasks) =>
      contestantIn(name, open(fn), count, way);
  const piscina = contestant('piscina', 'tiny', allAtOnce);
  const packed = contestant('piscina, packed', 'tinyMany', allPacked);
  const piscinaHeat = await heat(
    heatSettings(pace, piscinaPools(64, 16)),
    (open) => piscina(open, tasks / 10),
    'higher',
  );
  const packedHeat = await heat(
    heatSettings(pace, piscinaPools(2, 1, 16)),
    (open) => packed(open, tasks / 2),
    'higher',
  );
  const figures = await compare(
    [contestant('taskwarden', 'tiny', byAll)(taskwardenPool), piscina(piscinaHeat.best), packed(packedHeat.best)],
    { runs },
  );
  const memory = await compare([waitingIn(memoryProgram, 'taskwarden', manyIn('taskwarden', pace))], {
    runs: memoryRuns,
    warmups: 0,
  });
  return [
    {
      what: `${formatCount(tasks)} by all(); packed are ${packedInputs} inputs a message`,
      unit: 'tasks/s',
      better: 'higher',
      runs,
      figures,
      checks: [atLeast(30, 'piscina', figures), atLeast(0.8, 'piscina, packed', figures)],
      notes: [...piscinaHeat.notes, ...packedHeat.notes],
    },
    {
      what: 'memory of a waiting input',
      unit: 'bytes an input',
      better: 'lower',
      runs: memoryRuns,
      figures: memory,
      checks: [below(80, 'bytes', memory)],
      notes: [],
    },
  ];
}

type Way = (pool: Pool, tasks: number) => Promise<void>;

function contestantIn(name: string, pool: Pool, tasks: number, way: Way): Contestant {
  return {
    name,
    settings: pool.settings,
    run: async () => {
      const startedAt = performance.now();
      await way(pool, tasks);
      return (tasks / (performance.now() - startedAt)) * 1_000;
    },
    close: () => pool.close(),
  };
}

async function byAll(pool: Pool, tasks: number): Promise<void> {
  const results = await pool.all?.(Array.from({ length: tasks }, (_, n): [unknown] => [n]));
  if (results?.length !== tasks) throw new Error(`${tasks} inputs gave ${results?.length} results`);
  results.forEach(verify);
}

async function allPacked(pool: Pool, tasks: number): Promise<void> {
  const packs = Array.from({ length: Math.ceil(tasks / packedInputs) }, (_, pack) => {
    const first = pack * packedInputs;
    return Array.from({ length: Math.min(packedInputs, tasks - first) }, (_, n) => first + n);
  });
  const results = await Promise.all(packs.map((pack) => pool.run(pack) as Promise<number[]>));
  results.flat().forEach(verify);
}
