/**
 * Chaos on threads and children: see test/fixtures/programs/chaos.mjs. The seed is printed; CHAOS_SEED says which to take,
 * and CHAOS_MINUTES for how long.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const program = fileURLToPath(new URL('../fixtures/programs/chaos.mjs', import.meta.url));

interface Report {
  readonly steps: number;
  readonly submitted: number;
  /** Of the heap, once all is over and collected. */
  readonly growthMb: number;
  readonly violations: readonly string[];
}

/** `minutes`: how long, if CHAOS_MINUTES does not say. */
export function supervisorChaos(defaults: { readonly minutes: number }): void {
  const minutes = Number(process.env['CHAOS_MINUTES'] ?? defaults.minutes);
  // A slow machine may need some time more, until what has begun is done.
  const timeoutMs = 220_000 + minutes * 80_000;

  it('every task settles once, for the right reason, and nothing is left', { timeout: timeoutMs }, async () => {
    const seed = process.env['CHAOS_SEED'] ?? `${Math.floor(Math.random() * 2 ** 31)}`;
    console.log(`chaos: seed ${seed}`);
    const args = ['--expose-gc', '--import', 'tsx', program, seed, `${minutes}`];
    // On stderr are the last words of children that abort and run out of memory.
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      timeout: timeoutMs - 20_000,
      maxBuffer: 2 ** 26,
    });
    const { steps, submitted, growthMb, violations } = JSON.parse(stdout) as Report;
    expect(violations, `seed ${seed}`).toEqual([]);
    expect(submitted, `seed ${seed}`).toBeGreaterThan(steps);
    expect(growthMb, `seed ${seed}`).toBeLessThan(6);
  });
}
