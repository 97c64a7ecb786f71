/** What the bench prints and writes: tables of figures, targets and whether they hold, and the machine. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem, type } from 'node:os';
import { Piscina } from 'piscina';
import { type Check, type Figure, formatNumber, type Measurement, type Row } from './measure.ts';

export interface RowResult {
  readonly row: Row;
  readonly measurements: readonly Measurement[];
}

/** For the terminal. */
export function rowText({ measurements }: RowResult): string {
  return measurements
    .flatMap(({ what, unit, runs, figures, checks, notes }) => [
      `\n  ${what} (${unit}; median of ${runs} runs, min–max)`,
      ...aligned(figures.map((figure) => [figure.name, formatNumber(figure.median), spread(figure), figure.settings])),
      ...aligned(checks.map((check) => [verdict(check), `target ${check.target}`, check.measured])),
      ...notes.map((note) => `    ${note}`),
    ])
    .join('\n');
}

function aligned(lines: readonly (readonly string[])[]): string[] {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0))) ?? [];
  return lines.map((cells) =>
    `    ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  );
}

function spread({ min, max }: Figure): string {
  return `${formatNumber(min)}–${formatNumber(max)}`;
}

function verdict({ holds }: Check): string {
  return holds ? 'held' : 'not held';
}

/** RESULTS.md. */
export function resultsPage(results: readonly RowResult[]): string {
  return `# Results of the bench

${machine()}

Written by \`npm run bench\`, which takes some minutes; \`npm run bench -- <number or name>\` prints one row. Each row is
measured in a process of its own. Its contestants take turns (A B C A B C ...), after a warm-up, and each run begins on
a collected heap. A figure is the median of the runs, with the smallest and the largest beside it; ratios are ratios
of medians. Only figures of one table can be compared. Threads are two, where nothing else is said.

## Targets

${markdownTable(
  ['row', 'work', 'target', 'measured', ''],
  results.flatMap(({ row, measurements }) =>
    measurements.flatMap(({ what, checks }) =>
      checks.map((check) => [`${row.number}`, `${row.name}: ${what}`, check.target, check.measured, verdict(check)]),
    ),
  ),
)}

${results.map(rowSection).join('\n\n')}
`;
}

function rowSection({ row, measurements }: RowResult): string {
  return [`## ${row.number}. ${capitalized(row.work)}`, ...measurements.map(measurementSection)].join('\n\n');
}

function measurementSection({ what, unit, runs, figures, notes }: Measurement): string {
  const table = markdownTable(
    [what, `${unit}, median of ${runs}`, 'min–max', 'settings'],
    figures.map((figure) => [figure.name, formatNumber(figure.median), spread(figure), figure.settings]),
  );
  return [table, ...notes.map((note) => `${capitalized(note)}.`)].join('\n\n');
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function machine(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const memoryGb = Math.round(totalmem() / 2 ** 30);
  return [
    `- ${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? 'unknown processor'}, `,
    `${availableParallelism()} cores, ${memoryGb} GB of memory, ${type()}\n`,
    `- Node ${process.version}, taskwarden ${version}, piscina ${Piscina.version}`,
  ].join('');
}
