/** Programs that change how errors take stacks, or freeze `Error`: tasks fail and are ended as ever. */
import { expect, it } from 'vitest';
import { runProgram } from '../fixtures/program.ts';

const lines = [
  'DUPLICATE_TASK_NAME',
  ...['thread', 'process', 'loop'].flatMap((type) => [
    `${type} true failed E_MINE`,
    `${type} TASK_CANCELED enough`,
    `${type} TASK_TIMEOUT`,
  ]),
  'TASK_CANCELED',
];

it.each([
  ['nothing', []],
  ['nothing', ['--frozen-intrinsics']],
  ['frozen', []],
  ['frozen without stacks', []],
  ['call sites', []],
  ['frozen with a formatter that fails', []],
])('changes %s of Error, started with %j', async (how, nodeArgs: string[]) => {
  const end = await runProgram('changed-errors.mjs', { nodeArgs, args: [how] });
  const seen = end.lines.filter((line, index) => line !== 'DUPLICATE_TASK_NAME' || index === 0); // the rest: from threads
  expect({ ...end, lines: seen, stderr: '' }).toEqual({ code: 0, signal: null, stderr: '', lines });
});
