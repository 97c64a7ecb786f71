/** `npm run bench` measures all rows and writes RESULTS.md; `npm run bench -- <row>...` only prints those that it names. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { Measurement, Row } from './measure.ts';
import { type RowResult, resultsPage, rowText } from './report.ts';
import { findRow, rows } from './rows.ts';

const wanted = process.argv.slice(2).map(findRow);
const results: RowResult[] = [];

for (const row of wanted.length > 0 ? wanted : rows) {
  console.log(`\n${row.number} (${row.name}): ${row.work}`);
  const result = { row, measurements: await measureApart(row) };
  console.log(rowText(result));
  results.push(result);
}

if (wanted.length === 0) {
  const page = new URL('./RESULTS.md', import.meta.url);
  await writeFile(page, resultsPage(results));
  console.log('\nWritten to bench/RESULTS.md');
}

async function measureApart(row: Row): Promise<Measurement[]> {
  const child = fork(new URL('./row-process.ts', import.meta.url), [row.name], {
    execArgv: ['--expose-gc', '--import', 'tsx'],
  });
  let measurements: Measurement[] | undefined;
  child.once('message', (message) => {
    measurements = message as Measurement[];
  });
  const [exitCode] = await once(child, 'exit');
  if (measurements === undefined) throw new Error(`row ${row.number} ended with exit code ${exitCode}`);
  return measurements;
}
