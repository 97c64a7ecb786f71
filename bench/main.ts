/** `npm run bench` measures all rows and writes RESULTS.md and its chart, or does what its arguments ask for. */
import { writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { parseArguments, type Request, usage } from './arguments.ts';
import { chart } from './chart.ts';
import type { Measurement, Pace, Row } from './measure.ts';
import { Program } from './program.ts';
import { type RowResult, resultsPage, rowText, summaryText } from './report.ts';

const rowProcess = new URL('./row-process.ts', import.meta.url);
/** A row that is not over by then is given up, in minutes. */
const longestMinutes = 20;
let running: Program<Measurement[]> | undefined;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await running?.interrupt();
    process.exit(128 + constants.signals[signal]);
  });
}

try {
  const request = parseArguments(process.argv.slice(2));
  if (request === 'help') console.log(usage);
  else await measureAll(request);
} catch (error) {
  console.error(`${(error as Error).message}\n\nnpm run bench -- --help says more`);
  process.exitCode = 2;
}

async function measureAll({ rows, pace, isWritten }: Request): Promise<void> {
  const results: RowResult[] = [];
  for (const row of rows) {
    console.log(`\n${row.number} (${row.name}): ${row.work}`);
    const result = await measure(row, pace);
    console.log(rowText(result));
    results.push(result);
    if (result.failure !== undefined) process.exitCode = 1;
    // After each row: what was measured in many minutes is not lost if the next one is not waited for.
    if (isWritten) await write(results);
  }
  console.log(`\n${summaryText(results)}`);
  if (isWritten) console.log('\nWritten to bench/RESULTS.md and bench/chart.svg');
}

/** Whatever ends one row, even a crash, does not affect the others. */
async function measure(row: Row, pace: Pace): Promise<RowResult> {
  const program = new Program<Measurement[]>(rowProcess, row.number, pace);
  running = program;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    void program.close();
  }, longestMinutes * 60_000);
  try {
    return { row, measurements: await program.run() };
  } catch (error) {
    const failure = isLate ? `it was not over after ${longestMinutes} minutes` : (error as Error).message;
    return { row, measurements: [], failure };
  } finally {
    clearTimeout(timer);
    await program.interrupt();
  }
}

async function write(results: readonly RowResult[]): Promise<void> {
  await writeFile(new URL('./RESULTS.md', import.meta.url), resultsPage(results));
  await writeFile(new URL('./chart.svg', import.meta.url), chart(results.flatMap(({ measurements }) => measurements)));
}
