/** The process that measures one row, so that no row meets the garbage of another. */
import { answer } from './apart.ts';
import { findRow } from './rows.ts';

answer(await findRow(process.argv[2] ?? '').measure());
