/**
 * A minute of chaos on threads and children: see test/fixtures/programs/chaos.mjs. The seed is printed; to do the same
 * again: CHAOS_SEED=<seed> npx vitest run test/chaos
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const program = fileURLToPath(new URL('../fixtures/programs/chaos.mjs', import.meta.url));
/** Of 20 ms each. */
const steps = 3_000;

interface Report {
  readonly submitted: number;
  /** Of the heap, once all is over and collected. */
  readonly growthMb: number;
  readonly violations: readonly string[];
}

it('every task settles once, for the right reason, and nothing is left', { timeout: 300_000 }, async () => {
  const seed = process.env['CHAOS_SEED'] ?? `${Math.floor(Math.random() * 2 ** 31)}`;
  console.log(`chaos: seed ${seed}`);
  const args = ['--expose-gc', program, seed, `${steps}`];
  // On stderr are the last words of children that abort and run out of memory.
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 280_000, maxBuffer: 2 ** 26 });
  const { submitted, growthMb, violations } = JSON.parse(stdout) as Report;
  expect(violations, `seed ${seed}`).toEqual([]);
  expect(submitted, `seed ${seed}`).toBeGreaterThan(steps);
  expect(growthMb, `seed ${seed}`).toBeLessThan(6);
});
