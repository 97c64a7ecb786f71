/** `npm run bench` measures all rows and writes RESULTS.md and its chart; with numbers or names of rows, it only prints those. */
import { writeFile } from 'node:fs/promises';
import { apart } from './apart.ts';
import { chart } from './chart.ts';
import type { Measurement } from './measure.ts';
import { type RowResult, resultsPage, rowText, summaryText } from './report.ts';
import { findRow, rows } from './rows.ts';

const rowProcess = new URL('./row-process.ts', import.meta.url);
const wanted = process.argv.slice(2).map(findRow);
const results: RowResult[] = [];

for (const row of wanted.length > 0 ? wanted : rows) {
  console.log(`\n${row.number} (${row.name}): ${row.work}`);
  const result = { row, measurements: await apart<Measurement[]>(rowProcess, row.name) };
  console.log(rowText(result));
  results.push(result);
}
console.log(`\n${summaryText(results)}`);

if (wanted.length === 0) {
  await writeFile(new URL('./RESULTS.md', import.meta.url), resultsPage(results));
  await writeFile(new URL('./chart.svg', import.meta.url), chart(results.flatMap(({ measurements }) => measurements)));
  console.log('\nWritten to bench/RESULTS.md and bench/chart.svg');
}
