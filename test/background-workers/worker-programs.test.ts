/** Programs with background workers: what keeps them alive, and how they end. */
import { expect, it } from 'vitest';
import { Program, runProgram } from '../fixtures/program.ts';

const clean = { code: 0, signal: null, stderr: '' };

it('a worker that was never started does not keep the process alive', async () => {
  expect(await runProgram('worker-ends.mjs', { args: ['never started'] })).toEqual({ ...clean, lines: ['idle'] });
});

it('a started worker does, until it has stopped', async () => {
  const lines = ['3 runs, stopped'];
  expect(await runProgram('worker-ends.mjs', { args: ['stops later'] })).toEqual({ ...clean, lines });
});

it('SIGTERM lets a queue worker do all that was put in', async () => {
  const program = new Program('worker-ends.mjs', { args: ['drains'] });
  await program.printed('running');
  program.kill('SIGTERM');
  const lines = ['running', '100 done, 0 canceled, 0 terminated, stopped'];
  expect(await program.ended).toEqual({ ...clean, lines });
});

it('a second signal ends workers at once', async () => {
  const program = new Program('worker-ends.mjs', { args: ['hangs'] });
  await program.printed('running');
  program.kill('SIGTERM');
  await program.printed('stopping');
  program.kill('SIGTERM');
  expect(await program.ended).toEqual({ ...clean, lines: ['running', 'stopping', 'stopped'] });
});

it.each(['stops', 'restarts', 'stops twice'])('one file defines workers and starts them, once: %s', async (how) => {
  const { lines, ...end } = await runProgram('workers.mjs', { args: [how] });
  expect(end).toEqual(clean);
  const count = (line: string) => lines.filter((each) => each === line).length;
  expect(lines[0]).toBe('queue true, bell true');
  expect(count('result 2')).toBe(1);
  expect(count('defined late')).toBe(1);
  expect(count('stopped')).toBe(1);
  expect(count('loaded in a thread')).toBeGreaterThanOrEqual(1);
  expect(count('queue false, bell false')).toBe(count('loaded in a thread')); // in each thread
  expect(lines.at(-1)).toBe('stopped');
});
