/** The process that measures one row, so that no row meets the garbage of another. Sends what came out to its parent. */
import { findRow } from './rows.ts';

const measurements = await findRow(process.argv[2] ?? '').measure();
process.send?.(measurements, () => process.disconnect());
