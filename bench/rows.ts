/** The rows of the bench. Their numbers are those of the list of targets, which has more of them. */
import type { Row } from './measure.ts';
import { coldStart } from './rows/cold-start.ts';
import { cpuTasks } from './rows/cpu-tasks.ts';
import { deepQueue } from './rows/deep-queue.ts';
import { idle } from './rows/idle.ts';
import { oneByOne } from './rows/one-by-one.ts';
import { transfer } from './rows/transfer.ts';
import { urgent } from './rows/urgent.ts';
import { window } from './rows/window.ts';

export const rows: readonly Row[] = [deepQueue, window, oneByOne, cpuTasks, urgent, transfer, idle, coldStart];

/** By its number or its name. */
export function findRow(wanted: string): Row {
  const row = rows.find(({ number, name }) => wanted === String(number) || wanted === name);
  if (row !== undefined) return row;
  throw new RangeError(
    `there is no row "${wanted}"; there are ${rows.map((r) => `${r.number} (${r.name})`).join(', ')}`,
  );
}
