/** What holds for all() with any inputs, against a model: on threads, with failures, deaths, cancels and stops. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setEnvironmentData } from 'node:worker_threads';
import fc from 'fast-check';
import { type AllOptions, backgroundTask, TaskSupervisor } from 'taskwarden';
import { expect, it } from 'vitest';
import { randomRuns } from '../fixtures/random-runs.ts';

const quick = ['number', 'nothing', 'text', 'object', 'later'] as const;
const failing = ['throws', 'rejects', 'throwsText'] as const;
const deadly = ['exits', 'throwsLater'] as const;
type Behaviour = (typeof quick)[number] | (typeof failing)[number] | (typeof deadly)[number];

const memoryKey = 'taskwarden.test.bulk';

/** Counts its begin and its end in the memory, and does as it is told. */
const act = backgroundTask(function act(behaviour: Behaviour, index: number): unknown {
  const here = globalThis as { words?: Int32Array };
  const { words } = here;
  if (words === undefined) {
    return import('node:worker_threads').then(({ getEnvironmentData }) => {
      here.words = getEnvironmentData('taskwarden.test.bulk') as Int32Array;
      return act(behaviour, index);
    });
  }
  const half = words.length / 2;
  Atomics.add(words, index, 1);
  if (behaviour === 'exits') process.exit(3);
  if (behaviour === 'throwsLater') {
    setTimeout(() => {
      throw new TypeError(`left over by ${index}`);
    });
    return new Promise(() => {});
  }
  const ends = () => Atomics.add(words, half + index, 1);
  if (behaviour === 'later') return new Promise((resolve) => setTimeout(() => resolve([index, ends()][0]), 1));
  ends();
  switch (behaviour) {
    case 'number':
      return index;
    case 'text':
      return `input ${index}`;
    case 'object':
      return { index };
    case 'throws':
      throw new RangeError(`input ${index}`);
    case 'rejects':
      return Promise.reject(new RangeError(`input ${index}`));
    case 'throwsText':
      throw `input ${index}`;
    default:
      return undefined;
  }
});

function resultOf(behaviour: Behaviour, index: number): unknown {
  if (behaviour === 'number' || behaviour === 'later') return index;
  if (behaviour === 'text') return `input ${index}`;
  return behaviour === 'object' ? { index } : undefined;
}

const isDeadly = (behaviour: Behaviour | undefined) => (deadly as readonly unknown[]).includes(behaviour);
const isFailing = (behaviour: Behaviour | undefined) =>
  isDeadly(behaviour) || (failing as readonly unknown[]).includes(behaviour);

/** Runs of one behaviour, so that many inputs go in a chunk; and now and then one that fails. */
const behaviours: fc.Arbitrary<Behaviour[]> = fc
  .array(
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc
          .tuple(fc.constantFrom<Behaviour>(...quick), fc.integer({ min: 1, max: 120 }))
          .map(([behaviour, count]) => new Array<Behaviour>(behaviour === 'later' ? 3 : count).fill(behaviour)),
      },
      { weight: 3, arbitrary: fc.constantFrom<Behaviour>(...failing).map((behaviour) => [behaviour]) },
      { weight: 1, arbitrary: fc.constantFrom<Behaviour>(...deadly).map((behaviour) => [behaviour]) },
    ),
    { maxLength: 10, size: 'max' },
  )
  .map((runs) => runs.flat());

const options: fc.Arbitrary<AllOptions> = fc.record(
  {
    settle: fc.boolean(),
    concurrency: fc.integer({ min: 1, max: 5 }),
    chunkMs: fc.constantFrom(0.05, 1, 5),
  },
  { requiredKeys: ['settle'] },
);

const sources = {
  array: (inputs: [Behaviour, number][]) => inputs,
  iterable: (inputs: [Behaviour, number][]) => new Set(inputs),
  async: async function* (inputs: [Behaviour, number][]) {
    for (const [index, input] of inputs.entries()) {
      if (index % 50 === 49) await nextTurn();
      yield input;
    }
  },
};

const source = fc.constantFrom(...Object.values(sources));
const end = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ kind: 'none' as const, turns: 0 }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), turns: fc.nat({ max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort' as const), turns: fc.nat({ max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('stop' as const), turns: fc.nat({ max: 40 }) }) },
);
const cap = fc.oneof({ weight: 3, arbitrary: fc.constant(Infinity) }, { weight: 1, arbitrary: fc.constant(1) });

it('each input runs once and has its own outcome, in its place, whatever its neighbours do', async () => {
  await fc.assert(
    fc.asyncProperty(behaviours, options, source, end, cap, async (all, settings, from, ending, maxWorkers) => {
      const words = new Int32Array(new SharedArrayBuffer(8 * (all.length + 1)));
      setEnvironmentData(memoryKey, words);
      const supervisor = new TaskSupervisor({
        threads: { poolSize: 2, reserveNormal: 0, reserveHigh: 0 },
        logger: false,
      });
      const module = supervisor.module('capped', { maxWorkers });
      const inputs = all.map((behaviour, index): [Behaviour, number] => [behaviour, index]);
      const controller = new AbortController();
      const allOptions = { ...settings, signal: controller.signal } as AllOptions & { settle: true };
      const run = act.with({ module, stopGraceMs: 20 }).all(from(inputs), allOptions);
      if (ending.kind !== 'none') {
        for (let left = ending.turns; left > 0; left -= 1) await nextTurn();
        if (ending.kind === 'cancel') run.cancel('chaos');
        else if (ending.kind === 'abort') controller.abort('chaos');
        else void supervisor.stop({ cancelTasks: true });
      }
      const [outcome] = await Promise.allSettled([run]);
      const begins = words.slice(0, all.length);
      const ends = words.slice(all.length + 1, 2 * all.length + 1);

      expect(begins.every((count) => count <= 1)).toBe(true);
      const ran = all.filter((_, index) => begins[index] === 1);
      if (outcome?.status === 'fulfilled') {
        const results: unknown[] = outcome.value;
        const expected = all.map((behaviour, index) => {
          const value = resultOf(behaviour, index);
          if (!settings.settle) return value;
          if (!isFailing(behaviour)) return { status: 'fulfilled', value };
          if (isDeadly(behaviour)) return { status: 'rejected', reason: { code: 'TASK_CRASHED' } };
          const reason = behaviour === 'throwsText' ? `input ${index}` : { message: `input ${index}` };
          return { status: 'rejected', reason };
        });
        if (settings.settle) expect(results).toMatchObject(expected);
        else expect(results).toEqual(expected);
        expect(ran).toHaveLength(all.length);
        const failed = all.filter(isFailing).length;
        expect(run.progress).toEqual({ done: all.length, failed, total: all.length });
      } else {
        const reason: { code?: string; index?: number; input?: unknown } = outcome?.reason;
        const { code, index, input } = reason;
        if (index === undefined) {
          expect([code, ending.kind === 'none']).toEqual(['TASK_CANCELED', false]);
        } else {
          expect([isFailing(all[index]), settings.settle]).toEqual([true, false]);
          expect([input, begins[index]]).toEqual([inputs[index], 1]);
        }
      }
      // Nothing runs any more: what has begun has ended, unless it was stopped by its death.
      const stuck = all.filter((behaviour, index) => begins[index] !== ends[index] && !isDeadly(behaviour));
      expect(stuck.filter((behaviour) => behaviour !== 'later')).toEqual([]);
      await nextTurn();
      const { submitted, pending, ended } = supervisor.getInfo();
      expect([pending, Object.values(ended).reduce((sum, count) => sum + count)]).toEqual([0, submitted]);
      await supervisor.stop();
      expect(supervisor.getInfo().threads.running).toBe(0);
    }),
    { numRuns: randomRuns(150) },
  );
}, 120_000);
