/** Globals that someone has changed, in the program or where tasks run: all that tasks can do goes on. */
import { describe, expect, it } from 'vitest';
import { runProgram } from '../fixtures/program.ts';

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

const places = [
  ['program', ['thread', 'process', 'loop']],
  ['hosts', ['thread', 'process']],
] as const;

/** A program whose own arithmetic is wrong is left alone: what runs in it can't go right. */
const isHopeless = (damage: string, place: string) => damage === 'Math has other functions' && place === 'program';

describe.each(damages)('%s', (damage) => {
  it.each(places.filter(([place]) => !isHopeless(damage, place)))('in the %s', async (place, types) => {
    const { lines, code, stderr } = await runProgram('damaged-globals.mjs', { args: [place, damage] });
    expect({ lines, code, stderr }).toEqual({ lines: types.map((type) => `${type}: ${works}`), code: 0, stderr: '' });
  });
});

it('each damage that the program knows is tried', async () => {
  const { lines } = await runProgram('damaged-globals.mjs');
  expect(lines).toEqual([JSON.stringify(damages)]);
});
