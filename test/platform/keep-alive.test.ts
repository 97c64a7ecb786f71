import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { KeepAlive } from '../../src/platform/keep-alive.ts';

let timers: NodeJS.Timeout[];

beforeEach(() => {
  timers = [];
  const original = setInterval;
  vi.spyOn(globalThis, 'setInterval').mockImplementation(((...args: Parameters<typeof setInterval>) => {
    const timer = original(...args);
    timers.push(timer);
    return timer;
  }) as typeof setInterval);
});

afterEach(() => {
  for (const timer of timers) clearInterval(timer);
  vi.restoreAllMocks();
});

/** Whether the process would stay alive. */
const isHeld = () => timers.some((timer) => timer.hasRef());

it('holds nothing before the first hold', () => {
  new KeepAlive();
  expect(timers).toEqual([]);
});

it('keeps the process alive until the last hold is released', () => {
  const keepAlive = new KeepAlive();
  keepAlive.hold();
  keepAlive.hold();
  keepAlive.release();
  expect(isHeld()).toBe(true);
  keepAlive.release();
  expect(isHeld()).toBe(false);
});

it('can be held again, with the same timer', () => {
  const keepAlive = new KeepAlive();
  for (let i = 0; i < 3; i += 1) {
    keepAlive.hold();
    expect(isHeld()).toBe(true);
    keepAlive.release();
    expect(isHeld()).toBe(false);
  }
  expect(timers).toHaveLength(1);
});

it('closed, it leaves no timer, even while it is held', () => {
  const cleared = vi.spyOn(globalThis, 'clearInterval');
  const keepAlive = new KeepAlive();
  keepAlive.hold();
  keepAlive.close();
  expect(cleared).toHaveBeenCalledWith(timers[0]);
});

it('closed, it is never held again', () => {
  const keepAlive = new KeepAlive();
  keepAlive.close();
  keepAlive.hold();
  expect(timers).toEqual([]);

  const held = new KeepAlive();
  held.hold();
  held.close();
  held.release();
  held.hold();
  expect(timers).toHaveLength(1);
});
