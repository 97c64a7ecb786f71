/** The process that measures one row, so that no row meets the garbage of another. */
import { answer } from './apart.ts';
import type { Measured } from './report.ts';
import { findRow } from './rows.ts';

async function measure(name: string): Promise<Measured> {
  try {
    return { measurements: await findRow(name).measure() };
  } catch (error) {
    return { measurements: [], failure: error instanceof Error ? error.message : String(error) };
  }
}

answer(await measure(process.argv[2] ?? ''));
