/** The invariants of steps: each is done, and none that is kept is done again, wherever attempts throw or their host dies. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { TaskSupervisor } from 'taskwarden';
import { afterAll, expect, it } from 'vitest';
import { randomRuns } from '../fixtures/random-runs.ts';
import { doneIn, type PlannedEnding, worksAsPlanned } from '../fixtures/tasks/steps.ts';

const folder = mkdtempSync(join(tmpdir(), 'taskwarden-steps-'));
let files = 0;

afterAll(() => rmSync(folder, { recursive: true }));

const mostSteps = 5;

function workWith(hows: readonly PlannedEnding['how'][]) {
  return fc.record({
    steps: fc.integer({ min: 1, max: mostSteps }),
    plan: fc.array(
      fc.record({
        step: fc.integer({ min: 0, max: mostSteps - 1 }),
        when: fc.constantFrom<PlannedEnding['when'][]>('before', 'inside', 'after'),
        how: fc.constantFrom(...hows),
      }),
      { maxLength: 3 },
    ),
  });
}

it.each([
  ['thread', ['throws', 'exits']],
  ['process', ['throws', 'exits', 'isKilled']],
  ['loop', ['throws']],
] as const)('every step is done, and what is kept is not done again, on the %s lane', async (type, hows) => {
  await using supervisor = new TaskSupervisor({
    threads: { poolSize: 2 },
    processes: { poolSize: 2 },
    logger: false,
  });
  const task = worksAsPlanned.with({ type, supervisor });
  const works = fc.array(workWith(hows), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(works, async (all) => {
      await Promise.all(
        all.map(async ({ steps, plan }) => {
          files += 1;
          const file = join(folder, `${files}`);
          expect(await task(file, steps, plan)).toEqual(Array.from({ length: steps }, (_, n) => n));
          const lines = doneIn(file);
          for (let step = 0; step < steps; step += 1) {
            const [lastDone, firstKept] = [lines.lastIndexOf(`did ${step}`), lines.indexOf(`kept ${step}`)];
            expect(lastDone).toBeGreaterThanOrEqual(0);
            expect(firstKept).toBeGreaterThan(lastDone);
            const lost = plan.filter((each) => each.step === step && each.when === 'inside').length;
            expect(lines.filter((line) => line === `did ${step}`).length).toBeLessThanOrEqual(1 + lost);
          }
        }),
      );
    }),
    { numRuns: randomRuns(50) },
  );
});
