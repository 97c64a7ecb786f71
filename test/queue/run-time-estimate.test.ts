/** How many tasks make a batch, by how long they have run. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchMs, RunTimeEstimate } from '../../src/queue/run-time-estimate.ts';

function paceOf(...runs: readonly number[]): RunTimeEstimate {
  const estimate = new RunTimeEstimate();
  for (const runMs of runs) estimate.record(runMs);
  return estimate;
}

const many = 100_000;

describe('batchSize()', () => {
  it('is 1 for what has never run', () => {
    expect(new RunTimeEstimate().batchSize(many, 1, 1)).toBe(1);
  });

  it('is 1 for a lone task', () => {
    expect(paceOf(0.001).batchSize(0, 1, 1)).toBe(1);
  });

  it.each([
    [0.01, 100],
    [0.1, 10],
    [0.4, 2],
    [0.6, 1],
    [1, 1],
    [50, 1],
  ])('of tasks of %d ms is %d: about a millisecond', (runMs, size) => {
    expect(paceOf(runMs).batchSize(many, 1, 1)).toBe(size);
  });

  it('is no more than wait, and the one that goes', () => {
    expect(paceOf(0.001).batchSize(7, 1, 1)).toBe(8);
    expect(paceOf(0).batchSize(7, 1, 1)).toBe(8);
  });

  it('leaves the other slots their share', () => {
    expect(paceOf(0.05).batchSize(15, 1, 4)).toBe(4);
    expect(paceOf(0.05).batchSize(15, 1, 1)).toBe(16);
  });

  it('leaves the other slots that are free theirs, and those are never less than one task', () => {
    expect(paceOf(0.001).batchSize(9, 5, 5)).toBe(3);
    expect(paceOf(0.001).batchSize(1, 5, 5)).toBe(2);
  });

  it('does not divide what is done in a tenth of a millisecond among slots that are busy', () => {
    expect(paceOf(0.01).batchSize(9, 1, 1_000)).toBe(10);
    expect(paceOf(0.01).batchSize(many, 1, Infinity)).toBe(10);
  });

  it('follows the run times, and one alone changes little', () => {
    const estimate = paceOf(...new Array(100).fill(0.01));
    estimate.record(1);
    const afterOne = estimate.batchSize(many, 1, 1);
    expect(afterOne).toBeGreaterThan(1);
    expect(afterOne).toBeLessThan(100);
    for (let left = 200; left > 0; left -= 1) estimate.record(10);
    expect(estimate.batchSize(many, 1, 1)).toBe(1);
    for (let left = 400; left > 0; left -= 1) estimate.record(0.01);
    expect(estimate.batchSize(many, 1, 1)).toBeGreaterThan(90);
  });

  it('is a whole number, fills at most the time that it may, and is at most what there is', () => {
    const count = fc.integer({ min: 1, max: 500 });
    const runs = fc.array(fc.double({ min: 0, max: 20, noNaN: true }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(runs, fc.nat(1_000), count, count, (times, waiting, free, more) => {
        const size = paceOf(...times).batchSize(waiting, free, free + more - 1);
        expect(Number.isInteger(size)).toBe(true);
        expect(size).toBeGreaterThanOrEqual(1);
        expect(size).toBeLessThanOrEqual(waiting + 1);
        expect((size - 1) * Math.min(...times)).toBeLessThanOrEqual(batchMs);
      }),
    );
  });
});
