/** The command line of the bench, as a process. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const folder = fileURLToPath(new URL('../..', import.meta.url));

interface Ended {
  readonly code: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

function bench(args: readonly string[], env = process.env): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--import', 'tsx', 'bench/main.ts', ...args],
      { cwd: folder, env },
      (error, ...texts) => {
        const [stdout, stderr] = texts;
        resolve({ code: error === null ? 0 : error.code, stdout, stderr });
      },
    );
  });
}

it('says in one line why a row was not measured, and goes on', { timeout: 120_000 }, async () => {
  const { code, stdout, stderr } = await bench(['redis', 'redis'], { PATH: '/nowhere' });
  expect(stdout.match(/^ {2}not measured: redis-server is not installed$/gm)).toHaveLength(2);
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
});

it('answers arguments that it does not know on stderr, and measures nothing', { timeout: 60_000 }, async () => {
  const { code, stdout, stderr } = await bench(['1', '--fast']);
  expect(stderr).toMatch(/^Unknown option '--fast'[\s\S]*npm run bench -- --help says more\n$/);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});

it('explains itself', { timeout: 60_000 }, async () => {
  expect(await bench(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('--quick'), stderr: '' });
});
