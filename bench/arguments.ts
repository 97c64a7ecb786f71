/** What the command line of the bench asks for. */
import { parseArgs } from 'node:util';
import type { Pace, Row } from './measure.ts';
import { findRow, rows } from './rows.ts';

export interface Request {
  readonly rows: readonly Row[];
  readonly pace: Pace;
  /** Only all rows at their full sizes are. */
  readonly isWritten: boolean;
}

export const usage = `npm run bench -- [--quick] [row ...]

Without arguments, measures all rows and writes bench/RESULTS.md and bench/chart.svg. With numbers or names of rows, it
measures and prints only those.

  --quick  smaller sizes and fewer runs, without the heats for settings; all rows take two minutes
  --help   prints this

Rows:
${rows.map(({ number, name, work }) => `  ${number.padEnd(4)} ${name.padEnd(18)} ${work}`).join('\n')}`;

/** @throws what is wrong with them, as an Error to be shown. */
export function parseArguments(args: readonly string[]): Request | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { quick: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  if (values.help === true) return 'help';
  const pace = values.quick === true ? 'quick' : 'full';
  const wanted = positionals.map(findRow);
  return { rows: wanted.length > 0 ? wanted : rows, pace, isWritten: wanted.length === 0 && pace === 'full' };
}
