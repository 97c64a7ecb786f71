import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { RestartBudget } from '../../src/lanes/host-pool/restart-budget.ts';

let budget: RestartBudget;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  budget = new RestartBudget();
});

afterEach(() => {
  vi.useRealTimers();
});

function spend(times: number): void {
  for (let i = 0; i < times; i += 1) budget.spend(new Error(`death ${i + 1}`));
}

it('lasts for two failures, and is spent with the third', () => {
  expect(budget.isSpent).toBe(false);
  spend(2);
  expect(budget.isSpent).toBe(false);
  spend(1);
  expect(budget.isSpent).toBe(true);
});

it('counts failures 5 seconds apart, and no more', () => {
  spend(2);
  vi.advanceTimersByTime(5_000);
  spend(1);
  expect(budget.isSpent).toBe(true);

  budget.reset();
  spend(2);
  vi.advanceTimersByTime(5_001);
  spend(1);
  expect(budget.isSpent).toBe(false);
});

it('counts the last three, however many came before', () => {
  for (let i = 0; i < 10; i += 1) {
    spend(1);
    vi.advanceTimersByTime(2_501);
  }
  expect(budget.isSpent).toBe(false);
  spend(2);
  expect(budget.isSpent).toBe(true);
});

it('stays spent until 5 seconds have passed since the last failure', () => {
  spend(1);
  vi.advanceTimersByTime(1_000);
  spend(2);
  vi.advanceTimersByTime(4_999);
  expect(budget.isSpent).toBe(true);
  vi.advanceTimersByTime(1);
  expect(budget.isSpent).toBe(false);
});

it('lets one more try after that, and is spent again if that one fails too', () => {
  spend(3);
  vi.advanceTimersByTime(5_001);
  expect(budget.isSpent).toBe(false);
  spend(1);
  expect(budget.isSpent).toBe(true);
});

it('lets only one try, however long after', () => {
  spend(3);
  for (let i = 0; i < 3; i += 1) {
    vi.advanceTimersByTime(3_600_000);
    expect(budget.isSpent).toBe(false);
    spend(1);
    expect(budget.isSpent).toBe(true);
  }
  vi.advanceTimersByTime(5_000);
  budget.reset(); // the one that tried is up
  spend(2);
  expect(budget.isSpent).toBe(false);
});

it('is whole again after a reset', () => {
  spend(3);
  budget.reset();
  expect(budget.isSpent).toBe(false);
  spend(2);
  expect(budget.isSpent).toBe(false);
});

it('knows why the last start failed, until it is reset', () => {
  spend(3);
  expect(budget.cause).toEqual(new Error('death 3'));
  budget.reset();
  expect(budget.cause).toBeUndefined();
});
