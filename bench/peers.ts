/** The peers of the rows on tasks, each with the settings that may suit the work; a heat finds those that do best. */
import { type Better, type Contestant, compare, type Figure, heat, heatSettings, type Pace } from './measure.ts';
import { barePool } from './pools/bare.ts';
import { jestWorkerChildren, jestWorkerPools } from './pools/jest-worker.ts';
import { piscinaPools } from './pools/piscina.ts';
import { poolifierPools } from './pools/poolifier.ts';
import { taskwardenChildren, taskwardenPool } from './pools/taskwarden.ts';
import { tinypoolChildren, tinypoolPools } from './pools/tinypool.ts';
import { workerpoolChildren, workerpoolPools } from './pools/workerpool.ts';
import type { OpenPool, Pool } from './pools.ts';

/** Who is compared: each peer with all settings that may do best, the one that usually does first. */
export interface Pools {
  readonly own: OpenPool;
  readonly peers: readonly (readonly OpenPool[])[];
  /** What no library can normally beat. */
  readonly floor?: OpenPool;
}

/** @param tasksPerThread How many a thread may hold at a time; workerpool and jest-worker always have one. */
export function threadPools(...tasksPerThread: readonly number[]): Pools {
  const peers = [
    piscinaPools(...tasksPerThread),
    tinypoolPools(...tasksPerThread),
    workerpoolPools,
    poolifierPools(...tasksPerThread),
    jestWorkerPools,
  ];
  return { own: taskwardenPool, peers, floor: barePool };
}

/** The peers that have child processes for tasks as they have threads. */
export function childPools(...tasksPerChild: readonly number[]): Pools {
  const peers = [tinypoolChildren(...tasksPerChild), workerpoolChildren, jestWorkerChildren];
  return { own: taskwardenChildren, peers };
}

export function piscinaOnly(...tasksPerThread: readonly number[]): Pools {
  return { own: taskwardenPool, peers: [piscinaPools(...tasksPerThread)] };
}

/** Heats for the peers, then all in turn: taskwarden, the peers, the floor, and whoever else. */
export async function comparePools(options: {
  readonly pace: Pace;
  readonly fn: Parameters<OpenPool>[0];
  readonly pools: Pools;
  readonly better: Better;
  readonly runs: number;
  readonly heatOf: (pool: Pool) => Contestant;
  readonly contestantOf: (pool: Pool) => Contestant;
  readonly others?: readonly Contestant[];
}): Promise<{ readonly figures: readonly Figure[]; readonly notes: readonly string[] }> {
  const { pace, fn, pools, better, runs, heatOf, contestantOf, others = [] } = options;
  const heats = [];
  for (const settings of pools.peers) {
    heats.push(await heat(heatSettings(pace, settings), (open) => heatOf(open(fn)), better));
  }
  const chosen = [pools.own, ...heats.map(({ best }) => best), ...(pools.floor === undefined ? [] : [pools.floor])];
  const contestants = chosen.map((open) => contestantOf(open(fn)));
  const figures = await compare([...contestants, ...others], { runs });
  return { figures, notes: heats.flatMap(({ notes }) => notes) };
}
