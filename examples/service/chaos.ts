/** Bodies that do harm, so that tests can show that it does none: heeded with SERVICE_CHAOS=1 alone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { currentTask } from 'taskwarden';

/** What such a body begins with. */
export const chaos = {
  /** Ends its thread in its first attempt. */
  exitOnce: 'chaos: exit once\n',
  /** Ends its thread in each attempt. */
  exitAlways: 'chaos: exit always\n',
  /** Runs until it is asked to stop. */
  hang: 'chaos: hang\n',
} as const;

const isOn = process.env['SERVICE_CHAOS'] === '1';
const farAwayMs = 2 ** 31 - 1;

function does(body: Uint8Array, harm: string): boolean {
  return Buffer.from(body.buffer, body.byteOffset, Math.min(harm.length, body.length)).toString('latin1') === harm;
}

export async function misbehave(body: Uint8Array): Promise<void> {
  if (!isOn) return;
  const { attempt, signal } = currentTask();
  if (does(body, chaos.exitAlways) || (attempt === 1 && does(body, chaos.exitOnce))) process.exit(70);
  if (does(body, chaos.hang)) await sleep(farAwayMs, undefined, { signal });
}
