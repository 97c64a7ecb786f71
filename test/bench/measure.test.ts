import { describe, expect, it } from 'vitest';
import { atLeast, atMost, compare, figure, heat, heatSettings, percentile } from '../../bench/measure.ts';

const fixed = (name: string, value: number) => ({ name, settings: name, run: async () => value });

describe('a figure', () => {
  it('of an odd number of runs is the one in the middle, whatever their order', () => {
    expect(figure('a', '', [9, 1, 4])).toEqual({ name: 'a', settings: '', median: 4, min: 1, max: 9 });
  });

  it('of an even number of runs lies between the two in the middle', () => {
    expect(figure('a', '', [10, 1, 2, 4]).median).toBe(3);
  });
});

describe('a percentile', () => {
  it('is the smallest value that the fraction of all are not above', () => {
    const values = Array.from({ length: 200 }, (_, n) => 200 - n);
    expect(percentile(values, 0.99)).toBe(198);
    expect(percentile(values, 0)).toBe(1);
    expect(percentile(values, 1)).toBe(200);
  });
});

describe('a comparison', () => {
  it('runs the contestants in turn, counts no warm-up, and closes them at the end', async () => {
    const calls: string[] = [];
    const contestant = (name: string) => ({
      name,
      run: async () => calls.push(name),
      close: async () => calls.push(`close ${name}`),
    });
    const figures = await compare([contestant('a'), contestant('b')], { runs: 2, warmups: 1 });
    expect(calls).toEqual(['a', 'b', 'a', 'b', 'a', 'b', 'close a', 'close b']);
    expect(figures.map(({ name, min, max }) => [name, min, max])).toEqual([
      ['a', 3, 5],
      ['b', 4, 6],
    ]);
  });

  it('holds a target by the ratio of medians, the limit itself included', async () => {
    const figures = await compare([fixed('taskwarden', 20), fixed('peer', 10)]);
    expect(atLeast(2, 'peer', figures)).toMatchObject({ holds: true, measured: '2 x' });
    expect(atLeast(2.1, 'peer', figures)).toMatchObject({ holds: false });
    expect(atMost(2, 'peer', figures)).toMatchObject({ holds: true });
    expect(atMost(1.9, 'peer', figures)).toMatchObject({ holds: false });
  });

  it('holds a target for all others by the one that is closest to breaking it, and names that', async () => {
    const figures = await compare([fixed('taskwarden', 20), fixed('slow', 10), fixed('fast', 25)]);
    const target = '>= 1 x every other pool';
    expect(atLeast(1, ['slow', 'fast'], figures)).toEqual({ target, measured: '0.8 x fast', holds: false });
    expect(atMost(1, ['slow', 'fast'], figures)).toMatchObject({ measured: '2 x slow', holds: false });
    expect(atMost(2, ['slow', 'fast'], figures)).toMatchObject({ measured: '2 x slow', holds: true });
  });
});

describe('a heat', () => {
  it('takes the settings with the highest or the lowest figure, as asked', async () => {
    const run = (better: 'higher' | 'lower') => heat([2, 3, 1], (value) => fixed(`s${value}`, value), better);
    expect(await run('higher')).toMatchObject({ best: 3, notes: [expect.stringMatching(/: s3: 3; s2: 2; s1: 1$/)] });
    expect(await run('lower')).toMatchObject({ best: 1, notes: [expect.stringMatching(/: s1: 1; s2: 2; s3: 3$/)] });
  });

  it('runs nothing where there is only one setting, as in a quick run', async () => {
    const unrun = () => ({ name: 'a', run: () => Promise.reject(new Error('it ran')) });
    expect(await heat(heatSettings('quick', [2, 3]), unrun, 'higher')).toEqual({ best: 2, notes: [] });
    expect(heatSettings('full', [2, 3])).toEqual([2, 3]);
  });
});
