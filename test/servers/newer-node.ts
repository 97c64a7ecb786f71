/**
 * The Node of the tests on SQLite: this one if it has SQLite of its own, as from 22.13 on; else Node 24, which is got from npm
 * before the tests, once, into a folder of its own.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';

const hasSqlite = isBuiltin('node:sqlite');
const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
const folder = join(import.meta.dirname, '../../node_modules/.cache/taskwarden/node-24');

/** Its program. */
export const nodeWithSqlite: string = hasSqlite ? process.execPath : join(folder, 'node_modules', name, 'bin/node');

/** Called by vitest, once before all test files. */
export function setup(): void {
  if (existsSync(nodeWithSqlite)) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const { status, stderr, error } = spawnSync('npm', ['install', '--no-audit', '--no-fund', `${name}@24`], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`Node 24 could not be got from npm: ${error?.message ?? stderr.trim()}`);
}
