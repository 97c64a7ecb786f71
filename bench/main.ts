/** `npm run bench` measures all rows and writes RESULTS.md and its chart; with numbers or names of rows, it only prints those. */
import { writeFile } from 'node:fs/promises';
import { apart } from './apart.ts';
import { chart } from './chart.ts';
import { type Measured, type RowResult, resultsPage, rowText, summaryText } from './report.ts';
import { findRow, rows } from './rows.ts';

const rowProcess = new URL('./row-process.ts', import.meta.url);
const wanted = process.argv.slice(2).map(findRow);
const results: RowResult[] = [];

/** What ends one row, be it a crash, is no matter of the others. */
async function measure(name: string): Promise<Measured> {
  try {
    return await apart<Measured>(rowProcess, name);
  } catch (error) {
    return { measurements: [], failure: (error as Error).message };
  }
}

for (const row of wanted.length > 0 ? wanted : rows) {
  console.log(`\n${row.number} (${row.name}): ${row.work}`);
  const result = { row, ...(await measure(row.name)) };
  console.log(rowText(result));
  results.push(result);
  if (result.failure !== undefined) process.exitCode = 1;
  if (wanted.length > 0) continue;
  // After each row: what was measured in many minutes is not lost if the next one is not waited for.
  await writeFile(new URL('./RESULTS.md', import.meta.url), resultsPage(results));
  await writeFile(new URL('./chart.svg', import.meta.url), chart(results.flatMap(({ measurements }) => measurements)));
}
console.log(`\n${summaryText(results)}`);
if (wanted.length === 0) console.log('\nWritten to bench/RESULTS.md and bench/chart.svg');
