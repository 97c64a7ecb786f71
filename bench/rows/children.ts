/** Row 15: child processes, and what else than numbers goes to them and to threads. */
import { measureCpuTasks } from '../cpu-tasks.ts';
import { iterationsPerMs } from '../cpu-work.ts';
import { atLeast, atMost, type Figure, formatCount, type Measurement, type Pace } from '../measure.ts';
import { measurePayloads, objectOf, stringOf } from '../payloads.ts';
import { childPools, piscinaOnly } from '../peers.ts';
import { inFlight, measureTinyTasks } from '../tiny-tasks.ts';

const sizes = {
  full: { oneByOne: 4_000, window: 20_000, cpuTasks: 1_000, payloads: 10_000, large: 50, runs: 5 },
  quick: { oneByOne: 300, window: 1_000, cpuTasks: 100, payloads: 500, large: 10, runs: 2 },
};

const peersWithChildren = ['tinypool', 'workerpool', 'jest-worker'];

const atLeastEachPeer = (figures: readonly Figure[]) => peersWithChildren.map((name) => atLeast(1, name, figures));

export async function measure(pace: Pace): Promise<Measurement[]> {
  return [...(await measureTasks(pace)), ...(await measureAllPayloads(pace))];
}

async function measureTasks(pace: Pace): Promise<Measurement[]> {
  const { oneByOne, window, cpuTasks, runs } = sizes[pace];
  const shared = { pace, runs, checks: atLeastEachPeer };
  return [
    await measureTinyTasks({
      ...shared,
      what: `${formatCount(oneByOne)} tiny tasks in children, one by one`,
      way: inFlight(1),
      tasks: oneByOne,
      pools: childPools(1),
    }),
    await measureTinyTasks({
      ...shared,
      what: `${formatCount(window)} tiny tasks in children, 64 in flight`,
      way: inFlight(64),
      tasks: window,
      pools: childPools(32, 16),
    }),
    await measureCpuTasks({
      pace,
      runs,
      what: `${formatCount(cpuTasks)} tasks of 1 ms in children`,
      work: { tasks: cpuTasks, iterations: await iterationsPerMs() },
      pools: childPools(2, 1),
      checks: (figures) => peersWithChildren.map((name) => atMost(1, name, figures)),
    }),
  ];
}

async function measureAllPayloads(pace: Pace): Promise<Measurement[]> {
  const { payloads, large, runs } = sizes[pace];
  const floods = [
    { payload: stringOf('strings of 1 KB', 1_024), tasks: payloads, timesPiscina: 3 },
    { payload: objectOf(50), tasks: payloads, timesPiscina: 3 },
    { payload: stringOf('strings of 1 MB', 1_024 ** 2), tasks: large, timesPiscina: 1 },
  ];
  const measurements = [];
  for (const { payload, tasks, timesPiscina } of floods) {
    const shared = { pace, runs, payload, tasks };
    const checks = (figures: readonly Figure[]) => [atLeast(timesPiscina, 'piscina', figures)];
    measurements.push(await measurePayloads({ ...shared, on: 'threads', pools: piscinaOnly(64, 16), checks }));
    measurements.push(
      await measurePayloads({ ...shared, on: 'children', pools: childPools(16, 64), checks: atLeastEachPeer }),
    );
  }
  return measurements;
}
