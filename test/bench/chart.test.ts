import { expect, it } from 'vitest';
import { chart } from '../../bench/chart.ts';
import { figure, type Measurement } from '../../bench/measure.ts';

const measurement = (heading: string | undefined, medians: Record<string, number>): Measurement => ({
  what: 'work',
  ...(heading === undefined ? {} : { chart: heading }),
  unit: 'tasks/s',
  better: 'higher',
  runs: 5,
  figures: Object.entries(medians).map(([name, median]) => figure(name, '', [median])),
  checks: [],
  notes: [],
});

const lengths = (svg: string) =>
  [...svg.matchAll(/<rect class="bar[^"]*" [^>]*? width="([\d.]+)"/g)].map(([, length]) => Number(length));

it('bars of one panel are as long as their figures are large, and panels have scales of their own', () => {
  const [half, full, quarter, alone] = lengths(
    chart([measurement('One', { taskwarden: 50, peer: 100, other: 25 }), measurement('Two', { taskwarden: 0.1 })]),
  );
  expect(half).toBeCloseTo((full ?? 0) / 2, 0);
  expect(quarter).toBeCloseTo((full ?? 0) / 4, 0);
  expect(alone).toBe(full);
});

it('only measurements with a heading for the chart are in it, with names and figures', () => {
  const svg = chart([measurement('Shown', { taskwarden: 1_234 }), measurement(undefined, { hidden: 5 })]);
  expect(svg).toContain('>Shown<');
  expect(svg).toContain('>1,230<');
  expect(svg).not.toContain('hidden');
});

it('no text can break the markup', () => {
  expect(chart([measurement('a < b & c', { '<peer>': 1 })])).toMatch(/>a &lt; b &amp; c<[\s\S]*>&lt;peer&gt;</);
});

it('figures that are all zero have bars without length', () => {
  expect(lengths(chart([measurement('Zero', { taskwarden: 0, peer: 0 })]))).toEqual([0, 0]);
});
