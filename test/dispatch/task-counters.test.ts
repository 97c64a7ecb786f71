/** The counters of tasks, and what follows from them: the process stays alive, and whenDrained() resolves. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, expect, it, vi } from 'vitest';
import { TaskCounters } from '../../src/dispatch/task-counters.ts';
import { KeepAlive } from '../../src/platform/keep-alive.ts';

let hold: ReturnType<typeof vi.fn>;
let release: ReturnType<typeof vi.fn>;
let counters: TaskCounters;

beforeEach(() => {
  const keepAlive = new KeepAlive();
  hold = vi.spyOn(keepAlive, 'hold').mockReturnValue(undefined);
  release = vi.spyOn(keepAlive, 'release').mockReturnValue(undefined);
  counters = new TaskCounters(keepAlive);
});

const balance = () => [hold.mock.calls.length, release.mock.calls.length];
const none = { completed: 0, failed: 0, canceled: 0, timeout: 0, expired: 0, crashed: 0, shutdown: 0 };

it('begins with nothing', () => {
  expect(counters.counts).toEqual({ submitted: 0, retried: 0, ended: none });
  expect([counters.pending, counters.settled, counters.terminated]).toEqual([0, 0, 0]);
  counters.checkDrained();
  expect(balance()).toEqual([0, 0]);
});

it('counts what was submitted, tried again and ended, by how it ended', () => {
  for (let i = 0; i < 5; i += 1) counters.countSubmitted();
  counters.countRetried();
  for (const reason of ['completed', 'completed', 'timeout', 'shutdown'] as const) counters.countEnded(reason);
  counters.countTerminated();
  expect(counters.counts).toEqual({
    submitted: 5,
    retried: 1,
    ended: { ...none, completed: 2, timeout: 1, shutdown: 1 },
  });
  expect([counters.pending, counters.settled, counters.terminated]).toEqual([1, 4, 1]);
});

it('gives counts that stay as they were', () => {
  counters.countSubmitted();
  const { counts } = counters;
  counters.countEnded('failed');
  expect(counts).toEqual({ submitted: 1, retried: 0, ended: none });
});

it('keeps the process alive from the first pending task to the balance after the last', () => {
  counters.countSubmitted();
  counters.countSubmitted();
  expect(balance()).toEqual([1, 0]);
  counters.countEnded('completed');
  counters.checkDrained();
  expect(balance()).toEqual([1, 0]);
  counters.countEnded('completed');
  expect(balance()).toEqual([1, 0]);
  counters.checkDrained();
  counters.checkDrained();
  expect(balance()).toEqual([1, 1]);
  counters.countSubmitted();
  expect(balance()).toEqual([2, 1]);
});

it('does not let go if another was submitted before the balance', () => {
  counters.countSubmitted();
  counters.countEnded('completed');
  counters.countSubmitted();
  counters.checkDrained();
  expect(balance()).toEqual([1, 0]);
});

it('is drained at once while nothing is pending', async () => {
  await expect(counters.whenDrained()).resolves.toBeUndefined();
});

it('resolves for all who wait once nothing is pending, and not before checkDrained()', async () => {
  const [one, two] = [vi.fn(), vi.fn()];
  counters.countSubmitted();
  void counters.whenDrained().then(one);
  void counters.whenDrained().then(two);
  counters.checkDrained();
  await nextTurn();
  counters.countEnded('completed');
  await nextTurn();
  expect([one.mock.calls.length, two.mock.calls.length]).toEqual([0, 0]);
  counters.checkDrained();
  await nextTurn();
  expect([one.mock.calls.length, two.mock.calls.length]).toEqual([1, 1]);
});

it('waits for a task that a listener of the last one submitted', async () => {
  const drained = vi.fn();
  counters.countSubmitted();
  void counters.whenDrained().then(drained);
  counters.countEnded('completed');
  counters.countSubmitted();
  counters.checkDrained();
  await nextTurn();
  expect(drained).not.toHaveBeenCalled();
  counters.countEnded('failed');
  counters.checkDrained();
  await nextTurn();
  expect(drained).toHaveBeenCalledTimes(1);
});

it('is drained anew for tasks that come after it was', async () => {
  counters.countSubmitted();
  const first = counters.whenDrained();
  counters.countEnded('completed');
  counters.checkDrained();
  await first;
  counters.countSubmitted();
  const second = vi.fn();
  void counters.whenDrained().then(second);
  await nextTurn();
  expect(second).not.toHaveBeenCalled();
  counters.countEnded('completed');
  counters.checkDrained();
  await nextTurn();
  expect(second).toHaveBeenCalledTimes(1);
});
