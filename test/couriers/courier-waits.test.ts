/** What of a courier in memory keeps a process alive that has nothing else to do. */
import { expect, it } from 'vitest';
import { runProgram } from '../fixtures/program.ts';

it.concurrent.each([
  ['result in time', ['RESULT_TIMEOUT']],
  ['task in time', ['none']],
  ['delayed task', ['data']],
  ['lost lease', ['2']],
  ['lease lost while the event loop was busy', ['2']],
  ['result of a task whose leases are lost', ['again', 'TASK_STALLED']],
  ['retried task', ['2']],
])('a wait does, while a timer of the courier is to end it: %s', async (name, lines) => {
  expect(await runProgram('waits-at-courier.mjs', { args: [name] })).toEqual({
    code: 0,
    signal: null,
    stderr: '',
    lines,
  });
});

it.concurrent.each([
  ['nobody waits', 'added'],
  ['a wait that was given up', 'given up'],
  ['a courier that was closed', 'COURIER_CLOSED'],
  ['nothing will come', 'waits'],
])('else nothing does: %s', async (name, line) => {
  const lines = [line];
  expect(await runProgram('waits-at-courier.mjs', { args: [name] })).toEqual({
    code: 0,
    signal: null,
    stderr: '',
    lines,
  });
});
