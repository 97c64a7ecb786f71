/** Limits hold for several programs on one file. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteTaskCourier } from 'taskwarden/sqlite';
import { limitedMachines } from './limited-machines.ts';

limitedMachines('a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taskwarden-sqlite-'));
  const path = join(folder, 'tasks.db');
  return {
    create: (leaseMs) => new SqliteTaskCourier(path, { leaseMs }),
    args: [path, ''],
    end: async () => rmSync(folder, { recursive: true }),
  };
});
