/** SqliteTaskCourier against the models of couriers and of limits. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { SqliteTaskCourier } from 'taskwarden/sqlite';
import { afterAll, it, onTestFinished } from 'vitest';
import { randomRuns } from '../fixtures/random-runs.ts';
import { openSqlite } from '../fixtures/sqlite.ts';
import { type CourierToTry, courierSteps, tryCourier } from './courier.ts';
import { limitSteps, limitsOf, tryLimits } from './courier-limits.ts';

const longMs = 600_000;
const folder = mkdtempSync(join(tmpdir(), 'taskwarden-sqlite-'));
let queues = 0;

afterAll(() => rmSync(folder, { recursive: true }));

/** Each run has its own, and shares a courier: to open a file takes longer than most runs. */
function nextQueue(): string {
  queues += 1;
  return `run ${queues}`;
}

/** Closed at the end of the test. */
function open(name: string, maxStalls = 3): SqliteTaskCourier {
  const courier = new SqliteTaskCourier(join(folder, name), { leaseMs: longMs, maxStalls });
  onTestFinished(() => courier.close());
  return courier;
}

/** A run leaves no task leased, so all that are leased are of the next. */
async function openToTry(maxStalls: number): Promise<CourierToTry> {
  const name = `tasks-${maxStalls}.db`;
  const courier = open(name, maxStalls);
  await courier.getQueueInfo('tried'); // the file is there
  const other = openSqlite(join(folder, name));
  onTestFinished(() => other.close());
  const loseLeases = async () => other.exec(`UPDATE tasks SET due = 0 WHERE state = 'leased'`);
  return { courier, maxStalls, loseLeases, letRetry: async () => {} };
}

it('loses nothing, settles nothing twice, and delivers in order', { timeout: 120_000 }, async () => {
  const [one, two, three] = [await openToTry(1), await openToTry(2), await openToTry(3)];
  await fc.assert(
    fc.asyncProperty(courierSteps, fc.integer({ min: 1, max: 3 }), async (steps, maxStalls) => {
      const tried = [one, two, three].find((each) => each.maxStalls === maxStalls) as CourierToTry;
      await tryCourier({ ...tried, queue: nextQueue() }, steps);
    }),
    { numRuns: randomRuns(150), endOnFailure: true },
  );
});

it('keeps to the limits, and starts all that they allow, in order', { timeout: 120_000 }, async () => {
  const courier = open('limited.db');
  await fc.assert(
    fc.asyncProperty(limitsOf(1e6), limitSteps(1e6), async (first, steps) => {
      await tryLimits(courier, nextQueue(), first, steps, async () => {}); // no time goes by that counts
    }),
    { numRuns: randomRuns(150), endOnFailure: true },
  );
});
