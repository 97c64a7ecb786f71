/** `npm run bench` measures all rows and writes RESULTS.md; `npm run bench -- <row>...` only prints those that it names. */
import { writeFile } from 'node:fs/promises';
import { apart } from './apart.ts';
import type { Measurement } from './measure.ts';
import { type RowResult, resultsPage, rowText } from './report.ts';
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

if (wanted.length === 0) {
  const page = new URL('./RESULTS.md', import.meta.url);
  await writeFile(page, resultsPage(results));
  console.log('\nWritten to bench/RESULTS.md');
}
