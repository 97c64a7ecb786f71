/** The program that measures one row, so that no row meets the garbage of another. */
import type { Measurement, Pace } from './measure.ts';
import { findRow } from './rows.ts';

export async function run(name: string, pace: Pace): Promise<Measurement[]> {
  const { measure } = await findRow(name).load();
  return measure(pace);
}
