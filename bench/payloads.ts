/** What a flood of arguments costs that are more than a number: each task returns what it was given. */
import { type Check, type Contestant, type Figure, formatCount, type Measurement, type Pace } from './measure.ts';
import { comparePools, type Pools } from './peers.ts';
import type { Pool } from './pools.ts';

export interface Payload {
  readonly what: string;
  /** A new one each time. */
  make(n: number): unknown;
  /** Of what `make` gave and came back. */
  numberIn(payload: unknown): number;
}

const digits = 8;

/** Of one byte a character. */
export function stringOf(what: string, length: number): Payload {
  const filling = 'x'.repeat(length - digits);
  return {
    what,
    make: (n) => `${n}`.padStart(digits, '0') + filling,
    numberIn: (text) => ((text as string).length === length ? Number((text as string).slice(0, digits)) : Number.NaN),
  };
}

export function objectOf(fields: number): Payload {
  const values = [(n: number) => n, (n: number) => `text ${n}`, (n: number) => n % 2 === 0];
  return {
    what: `objects of ${fields} fields`,
    make: (n) =>
      Object.fromEntries(
        Array.from({ length: fields }, (_, field) => [`field${field}`, values[field % values.length]?.(n + field)]),
      ),
    numberIn: (object) => (object as { readonly field0: number }).field0,
  };
}

export async function measurePayloads(options: {
  readonly pace: Pace;
  readonly payload: Payload;
  readonly on: string;
  readonly tasks: number;
  readonly runs: number;
  readonly pools: Pools;
  readonly checks: (figures: readonly Figure[]) => Check[];
}): Promise<Measurement> {
  const { pace, payload, on, tasks, runs, pools, checks } = options;
  const inputs = Array.from({ length: tasks }, (_, n) => payload.make(n));
  const contestant = (pool: Pool, given: readonly unknown[]): Contestant => ({
    name: pool.name,
    settings: pool.settings,
    run: async () => {
      const startedAt = performance.now();
      const results = await Promise.all(given.map((input) => pool.run(input)));
      const ms = performance.now() - startedAt;
      const wrong = results.findIndex((result, n) => payload.numberIn(result) !== n);
      if (wrong !== -1) throw new Error(`task ${wrong} of ${pool.name} did not give back what it got`);
      return (given.length / ms) * 1_000;
    },
    close: () => pool.close(),
  });
  const better = 'higher';
  const { figures, notes } = await comparePools({
    pace,
    fn: 'echo',
    pools,
    better,
    runs,
    heatOf: (pool) => contestant(pool, inputs.slice(0, tasks / 5)),
    contestantOf: (pool) => contestant(pool, inputs),
  });
  const what = `${formatCount(tasks)} ${payload.what} at once, ${on}`;
  return { what, unit: 'tasks/s', better, runs, figures, checks: checks(figures), notes };
}
