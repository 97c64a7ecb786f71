/** The pauses between tries to reach a server: they grow, and end at once when nobody wants to try any more. */
import { courierKit } from '../../../index.ts';
import { longestPauseMs } from './server.ts';

const shortestPauseMs = 50;

/**
 * Keeps the process alive: somebody waits for the server.
 * @param failures How often in a row it failed, from 1.
 */
export function pauseAfter(failures: number, signal: AbortSignal): Promise<void> {
  const ms = Math.min(shortestPauseMs * 2 ** Math.min(failures - 1, 10), longestPauseMs);
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      unlisten();
      resolve();
    };
    const timer = setTimeout(end, ms * (0.5 + Math.random() / 2));
    const unlisten = courierKit.onAbort(signal, end);
  });
}
