import fc from 'fast-check';
import { expect, it } from 'vitest';
import { backoffMs, longestPauseMs } from '../../src/dispatch/retries/backoff.ts';

const most = () => 1;

it('doubles the longest possible pause with each failure, from the base', () => {
  expect([1, 2, 3, 4].map((failures) => backoffMs(100, failures, most))).toEqual([100, 200, 400, 800]);
});

it('never allows more than 30 seconds', () => {
  expect(longestPauseMs).toBe(30_000);
  expect([9, 10, 100, 5_000].map((failures) => backoffMs(100, failures, most))).toEqual([
    25_600, 30_000, 30_000, 30_000,
  ]);
  expect(backoffMs(3_600_000, 1, most)).toBe(30_000);
});

it('takes a random part of it: full jitter', () => {
  expect([0, 0.25, 0.5].map((random) => backoffMs(1_000, 2, () => random))).toEqual([0, 500, 1_000]);
});

it('is at once with a base of 0, after however many failures', () => {
  for (const failures of [1, 2, 1_024, 1_025, 100_000]) expect(backoffMs(0, failures, most)).toBe(0);
});

it('stays within its bounds for any base and number of failures', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.integer({ min: 1, max: 10_000 }), (base, failures) => {
      const pause = backoffMs(base, failures);
      expect(pause).toBeGreaterThanOrEqual(0);
      expect(pause).toBeLessThanOrEqual(longestPauseMs);
      if (failures === 1) expect(pause).toBeLessThanOrEqual(base);
    }),
  );
});
