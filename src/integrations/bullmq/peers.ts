/** The packages that couriers over BullMQ need, which their users install: looked for at once, and loaded at the first use. */
import { createRequire } from 'node:module';
import { TaskwardenError } from '../../index.ts';

// BullMQ's ES modules can't load `pg` by themselves; its CommonJS ones can.
const require = createRequire(import.meta.url);

/** @throws TaskwardenError `PEER_MISSING`, which says what to install. */
export function checkPeers(owner: string, names: readonly string[]): void {
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  const what = missing.length === 1 ? `the package ${missing[0]}` : `the packages ${missing.join(' and ')}`;
  throw new TaskwardenError('PEER_MISSING', `${owner} needs ${what}: npm install ${missing.join(' ')}`);
}

function isInstalled(name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}

export function loadBullMq(): typeof import('bullmq') {
  return require('bullmq') as typeof import('bullmq');
}

export function loadIoRedis(): typeof import('ioredis') {
  return require('ioredis') as typeof import('ioredis');
}

export function loadPg(): typeof import('pg') {
  return require('pg') as typeof import('pg');
}
