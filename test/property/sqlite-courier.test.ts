/** SqliteTaskCourier against the models of couriers and of limits. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { SqliteTaskCourier } from 'taskwarden/sqlite';
import { afterAll, it } from 'vitest';
import { randomRuns } from '../fixtures/random-runs.ts';
import { openSqlite } from '../fixtures/sqlite.ts';
import { courierSteps, tryCourier } from './courier.ts';
import { limitSteps, limitsOf, tryLimits } from './courier-limits.ts';

const longMs = 600_000;
const folder = mkdtempSync(join(tmpdir(), 'taskwarden-sqlite-'));
let files = 0;

afterAll(() => rmSync(folder, { recursive: true }));

function nextPath(): string {
  files += 1;
  return join(folder, `tasks-${files}.db`);
}

it('loses nothing, settles nothing twice, and delivers in order', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(courierSteps, fc.integer({ min: 1, max: 3 }), async (steps, maxStalls) => {
      const path = nextPath();
      const courier = new SqliteTaskCourier(path, { leaseMs: longMs, maxStalls });
      await courier.getQueueInfo('tried'); // the file is there
      const other = openSqlite(path);
      try {
        const loseLeases = async () => other.exec(`UPDATE tasks SET due = 0 WHERE state = 'leased'`);
        await tryCourier({ courier, maxStalls, loseLeases, letRetry: async () => {} }, steps);
      } finally {
        other.close();
        await courier.close();
      }
    }),
    { numRuns: randomRuns(150), endOnFailure: true },
  );
});

it('keeps to the limits, and starts all that they allow, in order', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(limitsOf(1e6), limitSteps(1e6), async (first, steps) => {
      const courier = new SqliteTaskCourier(nextPath(), { leaseMs: longMs });
      try {
        await tryLimits(courier, first, steps, async () => {}); // no time goes by that counts
      } finally {
        await courier.close();
      }
    }),
    { numRuns: randomRuns(150), endOnFailure: true },
  );
});
