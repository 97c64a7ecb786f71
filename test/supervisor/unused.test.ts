/** What is kept of keys that nobody uses, and of modules that are closed: nothing. */
import { expect, it } from 'vitest';
import { runProgram } from '../fixtures/program.ts';

it('nothing is kept of 25,000 keys that were used once, here and at a courier, nor of as many modules that are closed', {
  timeout: 120_000,
}, async () => {
  const { code, lines, stderr } = await runProgram('unused-keys.mjs', { nodeArgs: ['--expose-gc'], args: ['25000'] });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { grown, ...left } = JSON.parse(lines[0] as string);
  // A key alone is text of 10 bytes and more, and a place in a map takes 30.
  for (const bytes of Object.values(grown)) expect(bytes).toBeLessThan(20);
  expect(left).toEqual({
    pending: 0,
    modules: ['keyed'],
    waiting: { critical: 0, high: 0, normal: 0, low: 0 },
    leased: 0,
  });
});
