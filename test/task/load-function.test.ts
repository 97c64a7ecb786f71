/** How long a function is looked for; how it is found is tested on real threads. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { loadFunctionInTime } from '../../src/task/definition/load-function.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

it('gives a module a minute to load, and then fails', async () => {
  const moduleUrl = 'data:text/javascript,await new Promise(() => {})';
  const loading = vi.fn();
  const failure = loadFunctionInTime({ index: 1, name: 'never', exportName: 'never', moduleUrl }).then(
    loading,
    (error) => error,
  );
  await vi.advanceTimersByTimeAsync(59_999);
  expect(loading).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(await failure).toMatchObject({ code: 'MODULE_LOAD_FAILED' });
});

it('leaves no timer when it has found the function', async () => {
  const moduleUrl = 'data:text/javascript,export const one = () => 1';
  const { fn } = await loadFunctionInTime({ index: 2, name: 'one', exportName: 'one', moduleUrl });
  expect(fn()).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});
