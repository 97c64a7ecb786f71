/**
 * The Node of the tests on SQLite: this one if it has SQLite of its own, as from 22.13 on; else Node 24, which is got from npm
 * once, into a folder of its own, while the first tests run.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const hasSqlite = isBuiltin('node:sqlite');
const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
const folder = join(import.meta.dirname, '../../node_modules/.cache/taskwarden/node-24');
/** Says why it could not be got. */
const failure = `${folder}-failed`;

/** Its program, which is there when `newerNode()` has resolved. */
export const nodeWithSqlite: string = hasSqlite ? process.execPath : join(folder, 'node_modules', name, 'bin/node');

/** Resolves when the program is there; rejects if it could not be got. */
export async function newerNode(): Promise<void> {
  while (!existsSync(nodeWithSqlite)) {
    if (existsSync(failure)) throw new Error(readFileSync(failure, 'utf8'));
    await sleep(50);
  }
}

/** Called by vitest, once before all test files, which begin meanwhile. Returns what waits for its end. */
export async function setup(): Promise<() => Promise<void>> {
  await rm(failure, { force: true });
  const getting = existsSync(nodeWithSqlite) ? Promise.resolve() : getNode();
  return () => getting;
}

/** It has its place when it is whole. */
async function getNode(): Promise<void> {
  const incomplete = `${folder}-incomplete`;
  try {
    await mkdir(incomplete, { recursive: true });
    await writeFile(join(incomplete, 'package.json'), '{ "private": true }');
    await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', `${name}@24`], { cwd: incomplete });
    await rm(folder, { recursive: true, force: true });
    await rename(incomplete, folder);
  } catch (error) {
    await writeFile(failure, `Node 24 could not be got from npm: ${error}`); // who needs it rejects
  }
}
