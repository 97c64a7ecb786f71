/**
 * Chaos on threads and children: see test/fixtures/programs/chaos.mjs. The seed is printed; CHAOS_SEED says which to take,
 * and CHAOS_MINUTES for how long.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
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
    const args = ['--expose-gc', program, seed, `${minutes}`];
    const { stdout, ending } = await outputOf(args, timeoutMs - 20_000);
    expect(ending, `seed ${seed}`).toBe('exit code 0');
    const { steps, submitted, growthMb, violations } = JSON.parse(stdout) as Report;
    expect(violations, `seed ${seed}`).toEqual([]);
    expect(submitted, `seed ${seed}`).toBeGreaterThan(steps);
    expect(growthMb, `seed ${seed}`).toBeLessThan(6);
  });
}

/** What a program prints, and how it ends. On its stderr are the last words of children that abort and run out of memory. */
async function outputOf(args: readonly string[], timeoutMs: number): Promise<{ stdout: string; ending: string }> {
  const program = spawn(process.execPath, args, { timeout: timeoutMs, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(program, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const stdout = await text(program.stdout);
  const [code, signal] = await ended;
  return { stdout, ending: signal ?? `exit code ${code}` };
}
