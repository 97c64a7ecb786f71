/** The counts of tasks, and what follows from them: the process stays alive, and those who wait for the end hear of it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, expect, it, vi } from 'vitest';
import { TaskCounters } from '../../src/dispatch/task-counters.ts';
import { KeepAlive } from '../../src/platform/keep-alive.ts';

let hold: ReturnType<typeof vi.fn>;
let release: ReturnType<typeof vi.fn>;
let ledger: TaskCounters;

beforeEach(() => {
  const keepAlive = new KeepAlive();
  hold = vi.spyOn(keepAlive, 'hold').mockReturnValue(undefined);
  release = vi.spyOn(keepAlive, 'release').mockReturnValue(undefined);
  ledger = new TaskCounters(keepAlive);
});

const balance = () => [hold.mock.calls.length, release.mock.calls.length];
const none = { completed: 0, failed: 0, canceled: 0, timeout: 0, expired: 0, crashed: 0, shutdown: 0 };

it('begins with nothing', () => {
  expect(ledger.counts).toEqual({ submitted: 0, retried: 0, ended: none });
  expect([ledger.pending, ledger.settled, ledger.terminated]).toEqual([0, 0, 0]);
  ledger.balance();
  expect(balance()).toEqual([0, 0]);
});

it('counts what was submitted, tried again and ended, by how it ended', () => {
  for (let i = 0; i < 5; i += 1) ledger.submit();
  ledger.retry();
  for (const reason of ['completed', 'completed', 'timeout', 'shutdown'] as const) ledger.settle(reason);
  ledger.terminate();
  expect(ledger.counts).toEqual({
    submitted: 5,
    retried: 1,
    ended: { ...none, completed: 2, timeout: 1, shutdown: 1 },
  });
  expect([ledger.pending, ledger.settled, ledger.terminated]).toEqual([1, 4, 1]);
});

it('gives counts that stay as they were', () => {
  ledger.submit();
  const { counts } = ledger;
  ledger.settle('failed');
  expect(counts).toEqual({ submitted: 1, retried: 0, ended: none });
});

it('keeps the process alive from the first pending task to the balance after the last', () => {
  ledger.submit();
  ledger.submit();
  expect(balance()).toEqual([1, 0]);
  ledger.settle('completed');
  ledger.balance();
  expect(balance()).toEqual([1, 0]);
  ledger.settle('completed');
  expect(balance()).toEqual([1, 0]);
  ledger.balance();
  ledger.balance();
  expect(balance()).toEqual([1, 1]);
  ledger.submit();
  expect(balance()).toEqual([2, 1]);
});

it('does not let go if another was submitted before the balance', () => {
  ledger.submit();
  ledger.settle('completed');
  ledger.submit();
  ledger.balance();
  expect(balance()).toEqual([1, 0]);
});

it('is drained at once while nothing is pending', async () => {
  await expect(ledger.drained()).resolves.toBeUndefined();
});

it('tells all who wait once nothing is pending, and not before the balance', async () => {
  const [one, two] = [vi.fn(), vi.fn()];
  ledger.submit();
  void ledger.drained().then(one);
  void ledger.drained().then(two);
  ledger.balance();
  await nextTurn();
  ledger.settle('completed');
  await nextTurn();
  expect([one.mock.calls.length, two.mock.calls.length]).toEqual([0, 0]);
  ledger.balance();
  await nextTurn();
  expect([one.mock.calls.length, two.mock.calls.length]).toEqual([1, 1]);
});

it('waits for a task that a listener of the last one submitted', async () => {
  const drained = vi.fn();
  ledger.submit();
  void ledger.drained().then(drained);
  ledger.settle('completed');
  ledger.submit();
  ledger.balance();
  await nextTurn();
  expect(drained).not.toHaveBeenCalled();
  ledger.settle('failed');
  ledger.balance();
  await nextTurn();
  expect(drained).toHaveBeenCalledTimes(1);
});

it('is drained anew for tasks that come after it was', async () => {
  ledger.submit();
  const first = ledger.drained();
  ledger.settle('completed');
  ledger.balance();
  await first;
  ledger.submit();
  const second = vi.fn();
  void ledger.drained().then(second);
  await nextTurn();
  expect(second).not.toHaveBeenCalled();
  ledger.settle('completed');
  ledger.balance();
  await nextTurn();
  expect(second).toHaveBeenCalledTimes(1);
});
