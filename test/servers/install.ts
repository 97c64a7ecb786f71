/**
 * Before the tests: the real servers that they need are there, or are installed, or the run ends with what to do. Where
 * all are there, it costs no more than looking.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { findBinary, type Lookup } from './binaries.ts';

const packages = [
  { name: 'redis-server', programs: ['redis-server'] },
  { name: 'postgresql', programs: ['initdb', 'postgres'] },
  { name: 'celery', programs: ['celery'] },
  { name: 'python3-redis', programs: ['/usr/lib/python3/dist-packages/redis'] },
];

/** Asked by Debian's packages whether they may start their service. */
const policyFile = '/usr/sbin/policy-rc.d';

interface Machine {
  readonly find: Lookup;
  readonly isRoot: boolean;
  readonly say: (line: string) => void;
  readonly apt: (args: readonly string[]) => void;
}

const thisMachine: Machine = {
  find: findBinary,
  isRoot: process.getuid?.() === 0,
  say: (line) => process.stderr.write(`${line}\n`),
  apt,
};

/** Throws where something is missing and can't be installed from here. */
export function installServers({ find, isRoot, say, apt }: Machine = thisMachine): void {
  const missing = () =>
    packages.filter(({ programs }) => programs.some((each) => find(each) === undefined)).map(({ name }) => name);
  const names = missing();
  if (names.length === 0) return;
  const command = `apt-get update && apt-get install -y --no-install-recommends ${names.join(' ')}`;
  if (!isRoot || find('apt-get') === undefined) {
    throw new Error(`the tests need ${listed(names)}; install with: ${isRoot ? '' : 'sudo '}${command}`);
  }
  say(`installing ${listed(names)}, which the tests need`);
  withoutStarting(() => {
    apt(['update']);
    apt(['install', '-y', '--no-install-recommends', ...names]);
  });
  const still = missing();
  if (still.length > 0) throw new Error(`${listed(still)} can't be found, even after: ${command}`);
}

function listed(names: readonly string[]): string {
  return new Intl.ListFormat('en').format(names);
}

function apt(args: readonly string[]): void {
  const { status, error, stderr } = spawnSync('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`apt-get ${args[0]} failed: ${error?.message ?? stderr.trim()}`);
}

/** The tests start servers of their own: no package is to start that of the system. */
function withoutStarting(install: () => void): void {
  const isOurs = !existsSync(policyFile);
  if (isOurs) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    install();
  } finally {
    if (isOurs) rmSync(policyFile, { force: true });
  }
}

/** Called by vitest, once before all test files. */
export function setup(): void {
  installServers();
}
