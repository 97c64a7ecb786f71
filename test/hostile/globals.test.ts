/** Globals that someone has changed, in the program or where tasks run: all that tasks can do goes on. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type ProgramEnd, runProgram } from '../fixtures/program.ts';

const damages = [
  'Promise is a subclass',
  'Promise is one of a library',
  'Promise lacks methods that Piscina does without',
  'all objects have one more field',
  'all arrays have one more field',
  'Math has other functions',
  'JSON throws',
  'structuredClone is gone',
  'the console throws',
  'crypto is gone',
  'performance is gone',
  'Buffer is gone',
  'AbortController is a subclass',
  'Error has no stacks',
];

const works = 'true true and back half there TASK_CANCELED 1 thrown 0';

const linesOf = (types: readonly string[]) => types.map((type) => `${type}: ${works}`);

describe('in the program', () => {
  // A program whose own arithmetic is wrong is left alone: what runs in it can't go right.
  it.each(damages.filter((damage) => damage !== 'Math has other functions'))('%s', async (damage) => {
    const { lines, code, stderr } = await runProgram('damaged-globals.mjs', { args: ['program', damage] });
    expect({ lines, code, stderr }).toEqual({ lines: linesOf(['thread', 'process', 'loop']), code: 0, stderr: '' });
  });
});

describe('in the hosts', () => {
  /** Its hosts are damaged, and it is not: it tries one damage after the other, each in hosts of its own. */
  let program: ProgramEnd;

  beforeAll(async () => {
    program = await runProgram('damaged-globals.mjs', { args: ['hosts'] });
  }, 120_000);

  it.each(damages)('%s', (damage) => {
    const own = program.lines.filter((line) => line.startsWith(`${damage}: `));
    expect(own.map((line) => line.slice(damage.length + 2))).toEqual(linesOf(['thread', 'process']));
  });

  it('and nothing else is printed, and the program ends', () => {
    expect(program.lines).toHaveLength(2 * damages.length);
    expect(program).toMatchObject({ code: 0, stderr: '' });
  });
});

it('each damage that the program knows is tried', async () => {
  const { lines } = await runProgram('damaged-globals.mjs');
  expect(lines).toEqual([JSON.stringify(damages)]);
});
