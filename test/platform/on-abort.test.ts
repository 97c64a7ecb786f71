/** Many who wait for one signal share one listener, which is gone with the last of them. */
import { getEventListeners } from 'node:events';
import { beforeEach, expect, it, vi } from 'vitest';
import { onAbort } from '../../src/platform/on-abort.ts';

let controller: AbortController;
const listeners = () => getEventListeners(controller.signal, 'abort').length;

beforeEach(() => {
  controller = new AbortController();
});

it('calls all back when the signal aborts, through one listener', () => {
  const callbacks = Array.from({ length: 50 }, () => vi.fn());
  for (const callback of callbacks) onAbort(controller.signal, callback);
  expect(listeners()).toBe(1);
  controller.abort();
  expect(callbacks.map((callback) => callback.mock.calls.length)).toEqual(Array(50).fill(1));
});

it('calls nobody back who has gone, and keeps the listener until the last has', () => {
  const [gone, stays] = [vi.fn(), vi.fn()];
  const leave = onAbort(controller.signal, gone);
  const leaveLast = onAbort(controller.signal, stays);
  leave();
  leave();
  expect(listeners()).toBe(1);
  controller.abort();
  expect([gone.mock.calls.length, stays.mock.calls.length]).toEqual([0, 1]);
  leaveLast();
  expect(listeners()).toBe(0);
});

it('listens anew after all had gone, and an old leave takes nothing from those who came since', () => {
  const leave = onAbort(controller.signal, () => {});
  leave();
  expect(listeners()).toBe(0);
  const callback = vi.fn();
  onAbort(controller.signal, callback);
  leave();
  expect(listeners()).toBe(1);
  controller.abort();
  expect(callback).toHaveBeenCalledTimes(1);
});

it('keeps two signals apart', () => {
  const [one, other] = [vi.fn(), vi.fn()];
  onAbort(controller.signal, one);
  onAbort(new AbortController().signal, other);
  controller.abort();
  expect([one.mock.calls.length, other.mock.calls.length]).toEqual([1, 0]);
});

it('each may go while it is called, and the next is called still', () => {
  const next = vi.fn();
  const leave = onAbort(controller.signal, () => leave());
  const leaveNext = onAbort(controller.signal, () => {
    leaveNext();
    next();
  });
  controller.abort();
  expect([next.mock.calls.length, listeners()]).toEqual([1, 0]);
});

it('one that another takes away while it is called is not called', () => {
  const callback = vi.fn();
  onAbort(controller.signal, () => leave());
  const leave = onAbort(controller.signal, callback);
  controller.abort();
  expect(callback).not.toHaveBeenCalled();
});
