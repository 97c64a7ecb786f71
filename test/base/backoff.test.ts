import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Backoff, backoffMs, backoffRule, retryDelayRule } from '../../src/base/backoff.ts';

const least = () => 0;
const most = () => 1;
const pauses = (backoff: number | Backoff, random: () => number) =>
  [1, 2, 3, 4].map((failures) => backoffMs(backoff, failures, random));

describe('backoffMs', () => {
  it('begins with a second, and doubles it with each failure; up to half of it is added', () => {
    expect(pauses({}, least)).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(pauses({}, most)).toEqual([1_500, 3_000, 6_000, 12_000]);
  });

  it('takes a number for the first pause', () => {
    expect(pauses(100, least)).toEqual([100, 200, 400, 800]);
    expect(pauses(100, () => 0.5)).toEqual([125, 250, 500, 1_000]);
  });

  it('never exceeds the longest pause, an hour by default, and is random there, too', () => {
    expect([12, 13, 100, 5_000].map((failures) => backoffMs({}, failures, most))).toEqual([
      3_072_000, 3_600_000, 3_600_000, 3_600_000,
    ]);
    expect(backoffMs({}, 5_000, least)).toBe(2_400_000);
    expect(backoffMs(7_200_000, 1, most)).toBe(7_200_000);
  });

  it('grows by the factor, and is exact without jitter', () => {
    expect(pauses({ minMs: 10, factor: 3, jitter: 0, maxMs: 200 }, most)).toEqual([10, 30, 90, 200]);
    expect(pauses({ minMs: 10, factor: 1, jitter: 0 }, most)).toEqual([10, 10, 10, 10]);
  });

  it('is at once with a base of 0, after however many failures', () => {
    for (const failures of [1, 2, 1_024, 1_025, 100_000]) expect(backoffMs(0, failures, most)).toBe(0);
  });

  it('lets ten retries outlast an outage of ten minutes', () => {
    const total = Array.from({ length: 10 }, (_, at) => backoffMs({}, at + 1, least)).reduce((sum, ms) => sum + ms);
    expect(total).toBeGreaterThan(600_000);
  });

  it('stays between minMs and maxMs, and never shrinks but for its random share', () => {
    const ms = fc.double({ min: 0, max: 1e9, noNaN: true });
    const shape = fc.record({
      minMs: ms,
      moreMs: ms,
      factor: fc.double({ min: 1, max: 100, noNaN: true }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
      failures: fc.integer({ min: 1, max: 10_000 }),
      random: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(shape, ({ minMs, moreMs, factor, jitter, failures, random }) => {
        const backoff = { minMs, maxMs: minMs + moreMs, factor, jitter };
        const pause = backoffMs(backoff, failures, () => random);
        expect(pause).toBeGreaterThanOrEqual(minMs);
        expect(pause).toBeLessThanOrEqual(minMs + moreMs);
        expect(backoffMs(backoff, failures + 1, () => random)).toBeGreaterThanOrEqual(pause);
      }),
    );
  });
});

describe('the rule of retryDelayMs', () => {
  it.each([0, 5, {}, { minMs: 0 }, { minMs: 5, maxMs: 5, factor: 1.5, jitter: 0 }])('takes %j', (value) => {
    expect(() => backoffRule(value, 'it')).not.toThrow();
    expect(() => retryDelayRule(value, 'it')).not.toThrow();
  });

  it.each<[unknown, RegExp]>([
    [-1, /^it must be a number of milliseconds, 0 or more; got -1$/],
    [Number.NaN, /got NaN$/],
    ['1 s', /^it must be a number of milliseconds, or \{ minMs, maxMs, factor, jitter \}; got '1 s'$/],
    [null, /got null$/],
    [{ facter: 5 }, /no option "facter": did you mean "factor"\?/],
    [{ factor: 0.5 }, /option "factor" of retryDelayMs must be a number, 1 or more; got 0.5$/],
    [{ jitter: 2 }, /option "jitter" of retryDelayMs must be a number from 0 to 1; got 2$/],
    [{ minMs: 10, maxMs: 5 }, /^it has a "minMs" of 10, above its "maxMs" of 5$/],
    [{ maxMs: 5 }, /^it has a "minMs" of 1000, above its "maxMs" of 5$/],
  ])('refuses %j', (value, message) => {
    expect(() => backoffRule(value, 'it')).toThrow(message);
    expect(() => retryDelayRule(value, 'it')).toThrow(message);
  });

  it('takes a function only where it can be called', () => {
    expect(() => retryDelayRule(() => 5, 'it')).not.toThrow();
    expect(() => backoffRule(() => 5, 'it')).toThrow(/got function/);
  });
});
