/** What a function of the user throws or rejects with is reported, and stops nothing. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { beforeEach, expect, it, vi } from 'vitest';
import { callSafely } from '../../src/base/call-safely.ts';

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

it.each([[new Error('m')], ['text'], [undefined]])('reports %o, which the function throws, at once', (problem) => {
  callSafely(
    () => {
      throw problem;
    },
    0,
    onProblem,
  );
  expect(onProblem.mock.calls).toEqual([[problem]]);
});

it('reports what the function rejects with, and is no unhandled rejection', async () => {
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

it.each([
  ['a promise of another class than the global one', () => runInNewContext('Promise.reject(7)') as unknown],
  [
    'what is only like a promise',
    () => Object.fromEntries([['then', (_: unknown, no: (why: number) => void) => no(7)]]),
  ],
])('reports what %s rejects with', async (_, call) => {
  callSafely(call, 0, onProblem);
  await nextTurn();
  expect(onProblem.mock.calls).toEqual([[7]]);
});

it('asks what is returned for a then only within its guard', () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  callSafely(() => proxy, 0, onProblem);
  expect(onProblem).not.toHaveBeenCalled();
});
