import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { processContestant } from '../../bench/process-contestant.ts';
import { apart, Program } from '../../bench/program.ts';

const program = new URL('../fixtures/bench-program.mjs', import.meta.url);

it('a program keeps its process from one run to the next, and one that runs apart has a new one', async () => {
  const kept = new Program<{ runs: number }>(program, 'count');
  onTestFinished(() => kept.close());
  expect([(await kept.run()).runs, (await kept.run()).runs]).toEqual([1, 2]);
  expect((await apart<{ runs: number }>(program, 'count')).runs).toBe(1);
});

it('a contestant has a process of its own, which ends when it is closed', async () => {
  const contestant = processContestant({ name: 'a', settings: '', program, args: ['pid'] });
  onTestFinished(async () => void (await contestant.close?.()));
  const pid = await contestant.run();
  expect(await contestant.run()).toBe(pid);
  expect(pid).not.toBe(process.pid);
  await contestant.close?.();
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

it('a program that is interrupted ends by itself, and can clear away what it has made', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'taskwarden-bench-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const interrupted = new Program<void>(program, 'clear', folder);
  onTestFinished(() => interrupted.close());
  await interrupted.run();
  await access(folder);
  await interrupted.interrupt();
  await expect(access(folder)).rejects.toThrow('ENOENT');
});

it.each([
  ['what its run throws', program, 'throw', /^no such luck$/],
  [
    'what its module fails to load with',
    new URL('../fixtures/no-such-program.mjs', import.meta.url),
    '',
    /^Cannot find module '.*no-such-program\.mjs'/,
  ],
  ['how its process ended', program, 'exit', /bench-program\.mjs exit ended with 7$/],
])('a program that fails says %s', async (_, module, argument, message) => {
  await expect(apart(module, argument)).rejects.toThrow(message);
});
