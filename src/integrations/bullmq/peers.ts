/** The optional packages that couriers over BullMQ need: checked at once, and loaded at the first use. */
import { createRequire } from 'node:module';
import { TaskwardenError } from '../../index.ts';

// BullMQ's ES modules can't load `pg`; its CommonJS modules can.
const require = createRequire(import.meta.url);

/** The courier uses internal parts of `bullmq`, which this version has; version 5 has none of them. */
const bullMq = { major: 6, minor: 4 };

/** @throws TaskwardenError `PEER_MISSING`, which names what was found and what to install. */
export function checkPeers(owner: string, names: readonly string[]): void {
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length > 0) {
    const what = missing.length === 1 ? `the package ${missing[0]}` : `the packages ${missing.join(' and ')}`;
    throw new TaskwardenError('PEER_MISSING', `${owner} needs ${what}: npm install ${missing.join(' ')}`);
  }
  const problem = versionProblem((require('bullmq/package.json') as { readonly version: string }).version);
  if (problem !== undefined) throw new TaskwardenError('PEER_MISSING', `${owner} needs ${problem}`);
}

/** What is wrong with a version of `bullmq`; undefined if nothing is. */
export function versionProblem(version: string): string | undefined {
  const [major, minor] = version.split('.').map(Number) as [number, number];
  if (major === bullMq.major && minor >= bullMq.minor) return undefined;
  const wanted = `${bullMq.major}.${bullMq.minor}`;
  return `bullmq ${wanted} or later, below ${bullMq.major + 1}, and found ${version}: npm install bullmq@^${wanted}.0`;
}

function isInstalled(name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}

let bullMqModule: typeof import('bullmq') | undefined;

/** Kept here: to find a module that is loaded takes Node as long as a part of a task. */
export function loadBullMq(): typeof import('bullmq') {
  bullMqModule ??= require('bullmq') as typeof import('bullmq');
  return bullMqModule;
}

export function loadIoRedis(): typeof import('ioredis') {
  return require('ioredis') as typeof import('ioredis');
}

export function loadPg(): typeof import('pg') {
  return require('pg') as typeof import('pg');
}
