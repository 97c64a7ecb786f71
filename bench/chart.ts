/**
 * The chart of the main measurements, as SVG: a panel each, with a bar for each contestant. Bars begin at 0, and within a
 * panel they are as long as their figures are large. It has a ground of its own, for light and for dark pages.
 */
import { type Figure, formatNumber, type Measurement } from './measure.ts';

const columns = 2;
const panelWidth = 440;
const margin = 20;
const headHeight = 58;
const lineHeight = 22;
const barHeight = 14;
const nameWidth = 122;
const longestBar = 220;

const style = `
  text { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328; }
  .heading { font-size: 14px; font-weight: 600; }
  .unit { fill: #59636e; }
  .own { font-weight: 600; }
  .ground { fill: #ffffff; stroke: #d1d9e0; }
  .bar { fill: #8c959f; }
  .bar.own { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .unit { fill: #9198a1; }
    .ground { fill: #0d1117; stroke: #3d444d; }
    .bar { fill: #656c76; }
    .bar.own { fill: #4493f8; }
  }`;

/** Of those measurements that have a heading for it. */
export function chart(measurements: readonly Measurement[]): string {
  const panels = measurements.filter(({ chart }) => chart !== undefined);
  const longest = Math.max(0, ...panels.map(({ figures }) => figures.length));
  const panelHeight = headHeight + longest * lineHeight + margin;
  const width = columns * panelWidth + margin;
  const height = Math.ceil(panels.length / columns) * panelHeight + margin;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    '<title>taskwarden and its peers, medians of one run of the bench</title>',
    `<style>${style}\n</style>`,
    `<rect class="ground" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6"/>`,
    ...panels.map((panel, index) => {
      const x = margin + (index % columns) * panelWidth;
      const y = margin + Math.floor(index / columns) * panelHeight;
      return `<g transform="translate(${x} ${y})">\n${panelMarks(panel)}\n</g>`;
    }),
    '</svg>\n',
  ].join('\n');
}

function panelMarks({ chart = '', unit, better, figures }: Measurement): string {
  const largest = Math.max(...figures.map(({ median }) => median));
  return [
    `<text class="heading" y="14">${escaped(chart)}</text>`,
    `<text class="unit" y="32">${escaped(unit)}; ${better === 'higher' ? 'longer' : 'shorter'} is better</text>`,
    ...figures.map((figure, line) => barMarks(figure, largest, headHeight - barHeight + line * lineHeight)),
  ].join('\n');
}

function barMarks({ name, median }: Figure, largest: number, y: number): string {
  const length = largest > 0 ? (longestBar * median) / largest : 0;
  const own = name === 'taskwarden' ? ' own' : '';
  const baseline = y + barHeight - 3;
  return [
    `<text class="name${own}" y="${baseline}">${escaped(name)}</text>`,
    `<rect class="bar${own}" x="${nameWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}"/>`,
    `<text class="figure${own}" x="${(nameWidth + length + 6).toFixed(1)}" y="${baseline}">${formatNumber(median)}</text>`,
  ].join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
