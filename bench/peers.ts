/** The peers of the rows on tasks, each with the settings that may suit the work; a heat finds those that do best. */
import { type Better, type Contestant, compare, type Figure, heat, heatSettings, type Pace } from './measure.ts';
import { barePool } from './pools/bare.ts';
import { jestWorkerPools } from './pools/jest-worker.ts';
import { piscinaPools } from './pools/piscina.ts';
import { poolifierPools } from './pools/poolifier.ts';
import { taskwardenPool } from './pools/taskwarden.ts';
import { tinypoolPools } from './pools/tinypool.ts';
import { workerpoolPools } from './pools/workerpool.ts';
import type { OpenPool, Pool } from './pools.ts';

/** Their numbers of tasks that a thread holds at a time, the one that usually does best first; workerpool and jest-worker always have one. */
export function peers(...tasksPerThread: readonly number[]): readonly (readonly OpenPool[])[] {
  return [
    piscinaPools(...tasksPerThread),
    tinypoolPools(...tasksPerThread),
    workerpoolPools,
    poolifierPools(...tasksPerThread),
    jestWorkerPools,
  ];
}

/** Heats for the peers, then all in turn: taskwarden, the peers, bare threads, and whoever else. */
export async function comparePools(options: {
  readonly pace: Pace;
  readonly fn: Parameters<OpenPool>[0];
  readonly peers: readonly (readonly OpenPool[])[];
  readonly better: Better;
  readonly runs: number;
  readonly heatOf: (pool: Pool) => Contestant;
  readonly contestantOf: (pool: Pool) => Contestant;
  readonly others?: readonly Contestant[];
}): Promise<{ readonly figures: readonly Figure[]; readonly notes: readonly string[] }> {
  const { pace, fn, better, runs, heatOf, contestantOf, others = [] } = options;
  const heats = [];
  for (const settings of options.peers) {
    heats.push(await heat(heatSettings(pace, settings), (open) => heatOf(open(fn)), better));
  }
  const pools = [taskwardenPool, ...heats.map(({ best }) => best), barePool].map((open) => open(fn));
  const figures = await compare([...pools.map(contestantOf), ...others], { runs });
  return { figures, notes: heats.flatMap(({ notes }) => notes) };
}
