/** SqliteTaskCourier keeps the contract of couriers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteTaskCourier } from 'taskwarden/sqlite';
import { afterAll } from 'vitest';
import { type CourierUnderTest, courierConformance } from './courier.ts';
import { courierDeadlines } from './courier-deadlines.ts';
import { courierKeys } from './courier-keys.ts';
import { courierValues } from './courier-values.ts';
import { courierWork } from './courier-work.ts';

const folder = mkdtempSync(join(tmpdir(), 'taskwarden-sqlite-'));
let couriers = 0;

afterAll(() => rmSync(folder, { recursive: true }));

function nextPath(): string {
  couriers += 1;
  return join(folder, `tasks-${couriers}.db`);
}

const tested: CourierUnderTest = {
  name: 'SqliteTaskCourier',
  create: async (options) => new SqliteTaskCourier(nextPath(), options),
};

courierConformance(tested);
courierKeys(tested);
courierDeadlines(tested);
courierWork(tested);

courierValues({ name: 'SqliteTaskCourier', create: async () => new SqliteTaskCourier(nextPath()) });
