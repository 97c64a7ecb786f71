/**
 * Chaos on threads and children: see test/fixtures/programs/chaos.mjs. The seed is printed; CHAOS_SEED says which to take,
 * and CHAOS_MINUTES for how long.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const program = fileURLToPath(new URL('../fixtures/programs/chaos.mjs', import.meta.url));
const stepsPerMinute = 3_000;

interface Report {
  readonly submitted: number;
  /** Of the heap, once all is over and collected. */
  readonly growthMb: number;
  readonly violations: readonly string[];
}

/** `minutes`: how long, if CHAOS_MINUTES does not say. */
export function supervisorChaos({ minutes }: { readonly minutes: number }): void {
  const steps = Math.ceil(Number(process.env['CHAOS_MINUTES'] ?? minutes) * stepsPerMinute);
  // A slow machine may need some times as long.
  const timeoutMs = 220_000 + (steps / stepsPerMinute) * 80_000;

  it('every task settles once, for the right reason, and nothing is left', { timeout: timeoutMs }, async () => {
    const seed = process.env['CHAOS_SEED'] ?? `${Math.floor(Math.random() * 2 ** 31)}`;
    console.log(`chaos: seed ${seed}`);
    const args = ['--expose-gc', program, seed, `${steps}`];
    // On stderr are the last words of children that abort and run out of memory.
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      timeout: timeoutMs - 20_000,
      maxBuffer: 2 ** 26,
    });
    const { submitted, growthMb, violations } = JSON.parse(stdout) as Report;
    expect(violations, `seed ${seed}`).toEqual([]);
    expect(submitted, `seed ${seed}`).toBeGreaterThan(steps);
    expect(growthMb, `seed ${seed}`).toBeLessThan(6);
  });
}
