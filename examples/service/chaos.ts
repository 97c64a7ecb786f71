/** Bodies that do harm, so that tests can show that it does none: heeded with SERVICE_CHAOS=1 alone. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { currentTask } from 'taskwarden';

/** The first line of such a body. */
export const chaos = {
  /** Ends its thread in its first attempt. */
  exitOnce: 'chaos: exit once',
  /** Ends its thread in each attempt. */
  exitAlways: 'chaos: exit always',
  /** Then comes a path, up to the end of the line: runs until that file is gone, or until it is asked to stop. */
  hold: 'chaos: hold ',
} as const;

const isOn = process.env['SERVICE_CHAOS'] === '1';

export async function misbehave(body: Uint8Array): Promise<void> {
  if (!isOn) return;
  const { attempt, signal } = currentTask();
  const [line = ''] = Buffer.from(body.subarray(0, 1_024)).toString().split('\n', 1);
  if (line === chaos.exitAlways || (line === chaos.exitOnce && attempt === 1)) process.exit(70);
  if (line.startsWith(chaos.hold)) {
    while (existsSync(line.slice(chaos.hold.length))) await sleep(10, undefined, { signal });
  }
}
