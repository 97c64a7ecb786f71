import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { taskwarden, taskwardenHere } from './command.ts';

it.each(['--help', '-h', 'map --help', 'map -h', 'run --help', 'queue --help'])('prints its help: %s', async (line) => {
  const end = await taskwardenHere(line.split(' '));
  expect(end).toMatchObject({ code: 0, stderr: '' });
  expect(end.stdout).toMatch(/^taskwarden.*\n\n/);
});

it('names in its help every flag of map', async () => {
  const { stdout } = await taskwardenHere(['map', '--help']);
  const flags = ['json', 'ordered', 'concurrency', 'retries', 'timeout', 'type', 'priority', 'output'];
  flags.push('joblog', 'resume', 'resume-failed', 'retry-failed', 'halt', 'dry-run');
  expect(flags.filter((flag) => !stdout.includes(` --${flag} `))).toEqual([]);
});

it('names in its help every flag and action of queue', async () => {
  const { stdout } = await taskwardenHere(['queue', '--help']);
  const words = ['--queue', '--state', '--max', '--prefix', '--json', 'info', 'list', 'redrive', 'cancel', 'export'];
  expect(words.filter((word) => !stdout.includes(`\n  ${word} `))).toEqual([]);
});

it('prints its version', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(await taskwarden(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
});

it('prints its help on standard error without a command, with exit code 2', async () => {
  const end = await taskwarden([]);
  expect(end).toMatchObject({ code: 2, stdout: '' });
  expect(end.stderr).toContain('taskwarden map');
});

it.each(['mop', '--bogus'])('refuses an unknown command, with exit code 2: %s', async (command) => {
  const end = await taskwardenHere([command]);
  expect(end).toMatchObject({ code: 2, stdout: '' });
  expect(end.stderr).toBe(`taskwarden: there is no command '${command}'\nSee taskwarden --help\n`);
});
