/** The rows of the bench. */
import type { Row } from './measure.ts';
import { cancel } from './rows/cancel.ts';
import { coldStart } from './rows/cold-start.ts';
import { couriers } from './rows/couriers.ts';
import { cpuTasks } from './rows/cpu-tasks.ts';
import { deepQueue } from './rows/deep-queue.ts';
import { depth } from './rows/depth.ts';
import { idle } from './rows/idle.ts';
import { interval } from './rows/interval.ts';
import { memory } from './rows/memory.ts';
import { oneByOne } from './rows/one-by-one.ts';
import { transfer } from './rows/transfer.ts';
import { urgent } from './rows/urgent.ts';
import { window } from './rows/window.ts';

export const rows: readonly Row[] = [
  deepQueue,
  window,
  oneByOne,
  cpuTasks,
  urgent,
  memory,
  depth,
  cancel,
  transfer,
  idle,
  interval,
  coldStart,
  couriers,
];

/** By its number or its name. */
export function findRow(wanted: string): Row {
  const row = rows.find(({ number, name }) => wanted === String(number) || wanted === name);
  if (row !== undefined) return row;
  throw new RangeError(
    `there is no row "${wanted}"; there are ${rows.map((r) => `${r.number} (${r.name})`).join(', ')}`,
  );
}
