/**
 * Before the tests on a Node without SQLite of its own: the package better-sqlite3, which couriers over SQLite use there. It
 * has to be compiled, and so it is no dependency of this package: it is installed once, into a folder of its own, where
 * `require` finds it by NODE_PATH.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';

const folder = join(
  import.meta.dirname,
  `../../node_modules/.cache/taskwarden/better-sqlite3-${process.versions.modules}`,
);
const installed = join(folder, 'installed');

/** The headers of this Node, where they came with it: else they are downloaded. */
function headers(): object {
  const root = dirname(dirname(process.execPath));
  return existsSync(join(root, 'include/node/node.h')) ? { npm_config_nodedir: root } : {};
}

/** Returns the folder of packages in which it is. */
export function installBetterSqlite(): string {
  const packages = join(folder, 'node_modules');
  if (existsSync(installed)) return packages;
  process.stderr.write('installing better-sqlite3, which the tests need on this Node: that takes a minute\n');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const { status, stderr, error } = spawnSync('npm', ['install', '--no-audit', '--no-fund', 'better-sqlite3@12'], {
    cwd: folder,
    env: { ...process.env, ...headers() },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`better-sqlite3 could not be installed: ${error?.message ?? stderr.trim()}`);
  writeFileSync(installed, '');
  return packages;
}

/** Called by vitest, once before all test files: processes that are started later inherit it. */
export function setup(): void {
  if (!isBuiltin('node:sqlite')) process.env['NODE_PATH'] = installBetterSqlite();
}
