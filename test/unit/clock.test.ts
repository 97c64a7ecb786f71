import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Timer } from '../../src/clock.ts';

const day = 24 * 60 * 60 * 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it('fires once, when its time has come and not before', () => {
  const fire = vi.fn();
  new Timer(1_000, fire);
  vi.advanceTimersByTime(999);
  expect(fire).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fire).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(100_000);
  expect(fire).toHaveBeenCalledTimes(1);
});

it.each([2 ** 31 - 1, 2 ** 31, 30 * day, 365 * day])('waits for %d ms in full', (delayMs) => {
  const fire = vi.fn();
  new Timer(delayMs, fire);
  vi.advanceTimersByTime(delayMs - 1);
  expect(fire).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fire).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});

it('does not fire at once when it is made, even with 0', () => {
  const fire = vi.fn();
  new Timer(0, fire);
  expect(fire).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fire).toHaveBeenCalledTimes(1);
});

it('with Infinity there is no timer at all', () => {
  const timer = new Timer(Infinity, () => {});
  expect(vi.getTimerCount()).toBe(0);
  timer.cancel();
});

it.each([1_000, 60 * day])('canceled, a timer of %d ms never fires and leaves nothing', (delayMs) => {
  const fire = vi.fn();
  const timer = new Timer(delayMs, fire);
  vi.advanceTimersByTime(delayMs - 1);
  timer.cancel();
  timer.cancel();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(60 * day);
  expect(fire).not.toHaveBeenCalled();
});

it('does not keep the process alive, also not after its first step', () => {
  const refs: boolean[] = [];
  const original = setTimeout;
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(((fire: () => void, ms: number) => {
    const timeout = original(fire, ms);
    queueMicrotask(() => refs.push(timeout.hasRef()));
    return timeout;
  }) as typeof setTimeout);
  new Timer(30 * day, () => {});
  vi.advanceTimersByTime(25 * day);
  return Promise.resolve().then(() => {
    expect(refs).toEqual([false, false]);
  });
});
