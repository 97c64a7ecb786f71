/** What the bench prints and writes: tables of figures, targets and whether they hold, and the machine. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem, type } from 'node:os';
import { type Check, type Figure, formatNumber, type Measurement, type Row } from './measure.ts';
import { peerNames } from './peer-names.ts';

/** What a row has come to: its measurements, or why there are none. */
export interface RowResult {
  readonly row: Row;
  readonly measurements: readonly Measurement[];
  readonly failure?: string;
}

/** For the terminal. */
export function rowText({ measurements, failure }: RowResult): string {
  if (failure !== undefined) return `  ${notMeasured(failure)}`;
  return measurements
    .flatMap(({ what, unit, better, runs, figures, checks, notes }) => [
      `\n  ${what} (${unit}, ${better} is better; median of ${runs} runs)`,
      ...aligned([
        ['', 'median', 'min–max', 'taskwarden / it', 'settings'],
        ...figures.map((figure) => [
          figure.name,
          formatNumber(figure.median),
          spread(figure),
          taskwardenBy(figure, figures),
          figure.settings,
        ]),
      ]),
      ...aligned(checks.map((check) => [verdict(check), `target ${check.target}`, check.measured])),
      ...notes.map((note) => `    ${note}`),
    ])
    .join('\n');
}

/** All targets of the rows, and how many of them hold. */
export function summaryText(results: readonly RowResult[]): string {
  const targets = targetsOf(results);
  const held = targets.filter(({ check }) => check.holds).length;
  return [
    `Targets: ${held} of ${targets.length} held`,
    ...aligned(
      targets.map(({ row, what, check }) => [
        verdict(check),
        `${row.number} (${row.name})`,
        what,
        `target ${check.target}`,
        check.measured,
      ]),
    ),
    ...results.flatMap(({ row, failure }) =>
      failure === undefined ? [] : [`    ${row.number} (${row.name}) was ${notMeasured(failure)}`],
    ),
  ].join('\n');
}

function targetsOf(results: readonly RowResult[]): { row: Row; what: string; check: Check }[] {
  return results.flatMap(({ row, measurements }) =>
    measurements.flatMap(({ what, checks }) => checks.map((check) => ({ row, what, check }))),
  );
}

/** As the targets say it: so many times as much. */
function taskwardenBy({ name, median }: Figure, figures: readonly Figure[]): string {
  const own = figures.find((figure) => figure.name === 'taskwarden');
  if (own === undefined || name === own.name || median === 0) return '';
  return `${formatNumber(own.median / median)} x`;
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

Written by \`npm ci && npm run bench\`; \`npm run bench -- <number or name> ...\` prints single rows. Each row is measured
in a process of its own, and so are contestants of rows 5, 9 and 10. Its contestants take turns (A B C A B C ...), after a warm-up or each time in a new process, and
each run begins on a collected heap. A figure is the median of the runs, with the smallest and the largest beside it;
ratios are ratios of medians. Only figures of one table can be compared. Each library runs with the settings that did
best in a short heat, where several may suit. Threads are two, where nothing else is said.

![The main rows as bars](chart.svg)

## Targets

${markdownTable(
  ['row', 'work', 'target', 'measured', ''],
  targetsOf(results).map(({ row, what, check }) => [
    row.number,
    `${row.name}: ${what}`,
    check.target,
    check.measured,
    verdict(check),
  ]),
)}

${results.map(rowSection).join('\n\n')}
`;
}

function rowSection({ row, measurements, failure }: RowResult): string {
  const body = failure === undefined ? measurements.map(measurementSection) : [`${capitalized(notMeasured(failure))}.`];
  return [`## ${row.number}. ${capitalized(row.work)}`, ...body].join('\n\n');
}

/** In one line. */
function notMeasured(failure: string): string {
  return `not measured: ${failure.split('\n', 1)}`;
}

function measurementSection({ what, unit, better, runs, figures, notes }: Measurement): string {
  const table = markdownTable(
    [what, `${unit}, median of ${runs} (${better} is better)`, 'min–max', 'taskwarden / it', 'settings'],
    figures.map((figure) => [
      figure.name,
      formatNumber(figure.median),
      spread(figure),
      taskwardenBy(figure, figures),
      figure.settings,
    ]),
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
  const libraries = [
    `taskwarden ${versionIn(new URL('../package.json', import.meta.url))}`,
    ...[...peerNames, 'bullmq', 'p-queue'].map(versionOf),
  ];
  const memoryGb = Math.round(totalmem() / 2 ** 30);
  return [
    `- ${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? 'unknown processor'}, `,
    `${availableParallelism()} cores, ${memoryGb} GB of memory, ${type()}\n`,
    `- Node ${process.version}, ${libraries.join(', ')}`,
  ].join('');
}

function versionOf(name: string): string {
  try {
    return `${name} ${versionIn(new URL(`../node_modules/${name}/package.json`, import.meta.url))}`;
  } catch {
    return `no ${name}`;
  }
}

function versionIn(packageFile: URL): string {
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
  return version;
}
