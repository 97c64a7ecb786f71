/** Timers, the microtask queue and clocks that someone replaces, as fake timers of tests do. */
import { expect, it } from 'vitest';
import { runProgram } from '../fixtures/program.ts';

it('replaced after the package was loaded, they stop nothing: not here, and not where tasks run', async () => {
  const { lines, code, stderr } = await runProgram('fakes-globals.mjs');
  const kinds = ['thread', 'process', 'loop'].flatMap((type) => [`${type} 1 2 3`, `${type} TASK_TIMEOUT`]);
  expect({ lines, code, stderr }).toEqual({
    lines: [...kinds, 'courier 42', 'schedule 3', 'stopped'],
    code: 0,
    stderr: '',
  });
});
