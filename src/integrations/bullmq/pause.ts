/** The pauses between tries to reach a server: they grow, and end at once when nobody wants to try any more. */
import { setTimeout } from 'node:timers/promises';
import { longestPauseMs } from './server.ts';

const shortestPauseMs = 50;

/**
 * Keeps the process alive: somebody waits for the server.
 * @param failures How often in a row it failed, from 1.
 */
export async function pauseAfter(failures: number, signal: AbortSignal): Promise<void> {
  const ms = Math.min(shortestPauseMs * 2 ** Math.min(failures - 1, 10), longestPauseMs);
  await setTimeout(ms * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {}); // aborted: no more pauses
}
