/** Lowers the system priority of a thread. On Linux each thread has a nice value of its own; elsewhere nothing changes. */
import { getPriority, setPriority } from 'node:os';

/** As nice as one can be. */
const lowest = 19;

export function lowerPriority(nice: number): void {
  if (nice === 0 || process.platform !== 'linux') return;
  try {
    setPriority(0, Math.min(getPriority(0) + nice, lowest));
  } catch {} // forbidden, as by a filter of system calls: it is a matter of speed alone
}
