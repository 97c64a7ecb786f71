import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { now, Timer, thisMoment, timeOf } from '../../src/platform/clock.ts';

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

describe('now()', () => {
  it('goes forward with the clock, and not with the time of day', () => {
    const before = now();
    vi.advanceTimersByTime(250);
    expect(now() - before).toBeCloseTo(250, 6);
    vi.setSystemTime(0);
    expect(now() - before).toBeCloseTo(250, 6);
  });

  it('is the same in another thread, which began later', async () => {
    vi.useRealTimers();
    const source = `
      const { register } = require('tsx/esm/api');
      const { parentPort } = require('node:worker_threads');
      register();
      import(${JSON.stringify(new URL('../../src/platform/clock.ts', import.meta.url).href)}).then(({ now }) => {
        parentPort.on('message', (words) => { Atomics.add(words, 0, 1); parentPort.postMessage(now()); });
        parentPort.postMessage('ready');
      });`;
    const worker = new Worker(source, { eval: true });
    const said = () => new Promise<unknown>((resolve) => worker.once('message', resolve));
    expect(await said()).toBe('ready');
    const before = now();
    const there = said();
    worker.postMessage(new Int32Array(new SharedArrayBuffer(4)));
    const at = (await there) as number;
    const after = now();
    await worker.terminate();
    // What is taken for the origin is read with two clocks, one after the other.
    expect(at).toBeGreaterThanOrEqual(before - 50);
    expect(at).toBeLessThanOrEqual(after + 50);
  });
});

describe('a moment', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: 1_000_000 });
  });

  it('that is now, is now on both clocks', () => {
    expect(thisMoment()).toEqual({ at: now(), time: 1_000_000 });
  });

  it('is the same for those who ask less than 0.05 ms after each other, and then another', () => {
    const first = thisMoment();
    vi.advanceTimersByTime(0.04);
    expect(thisMoment()).toBe(first);
    vi.advanceTimersByTime(1);
    expect(thisMoment()).toEqual({ at: first.at + 1.04, time: 1_000_001 });
  });

  it('gives the time of an earlier moment, in whole milliseconds', () => {
    const at = now();
    vi.advanceTimersByTime(300);
    expect(timeOf(at, thisMoment())).toBe(1_000_000);
    expect(timeOf(at - 0.25, thisMoment())).toBe(999_999);
  });

  it('gives no time in the future', () => {
    expect(timeOf(now() + 5, thisMoment())).toBe(1_000_000);
  });
});
