/** A file on a network file system, which no test can mount: what the system says of its folder is put in its place. */
import { existsSync, mkdtempSync, rmSync, type StatsFs } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { Database } from '../../src/integrations/sqlite/store/file/database.ts';

let type = 0;

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  return { ...fs, statfsSync: (path: string): StatsFs => Object.assign(fs.statfsSync(path), type !== 0 && { type }) };
});

// The numbers of statfs(2).
it.each([
  [0x6969, 'NFS'],
  [0xff534d42, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
])('of the type %i is refused, and left as it is', (number, name) => {
  const folder = mkdtempSync(join(tmpdir(), 'taskwarden-sqlite-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'tasks.db');
  type = number;
  expect(() => new Database('node:sqlite', file, 1)).toThrow(`it is on a network file system (${name})`);
  expect(existsSync(file)).toBe(false);
  type = 0;
  new Database('node:sqlite', file, 1).close();
  expect(existsSync(file)).toBe(true);
});
