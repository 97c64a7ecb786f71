/** What a function of the user's throws, or rejects with, is told and harms nobody. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, expect, it, vi } from 'vitest';
import { callSafely } from '../../src/call-safely.ts';

const onProblem = vi.fn();

beforeEach(() => {
  onProblem.mockReset();
});

it('calls the function with the value, at once', async () => {
  const call = vi.fn(() => 'returned');
  expect(callSafely(call, 'value', onProblem)).toBeUndefined();
  expect(call.mock.calls).toEqual([['value']]);
  await nextTurn();
  expect(onProblem).not.toHaveBeenCalled();
});

it.each([[new Error('m')], ['text'], [undefined]])('tells of %o, which the function throws, at once', (problem) => {
  callSafely(
    () => {
      throw problem;
    },
    0,
    onProblem,
  );
  expect(onProblem.mock.calls).toEqual([[problem]]);
});

it('tells of what the function rejects with, and is no unhandled rejection', async () => {
  const unhandled = vi.fn();
  process.on('unhandledRejection', unhandled);
  const problem = new Error('m');
  callSafely(() => Promise.reject(problem), 0, onProblem);
  await nextTurn();
  await nextTurn();
  process.off('unhandledRejection', unhandled);
  expect(onProblem.mock.calls).toEqual([[problem]]);
  expect(unhandled).not.toHaveBeenCalled();
});

it('a promise that resolves is no problem', async () => {
  callSafely(async () => 'value', 0, onProblem);
  await nextTurn();
  expect(onProblem).not.toHaveBeenCalled();
});
