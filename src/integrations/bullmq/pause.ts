/** The pauses between tries to reach a server: they grow, and end at once when nobody wants to try any more. */
import { courierKit } from '../../index.ts';
import { longestPauseMs } from './server.ts';

const { onAbort, Timer } = courierKit;

const shortestPauseMs = 50;

/** Resolves after a time, or as soon as the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = new Timer(ms, end);
    const unlisten = onAbort(signal, end);
    if (signal.aborted) end();
    function end() {
      timer.cancel();
      unlisten?.();
      resolve();
    }
  });
}

/** @param failures How often in a row it failed, from 1. */
export function pauseAfter(failures: number, signal: AbortSignal): Promise<void> {
  const ms = Math.min(shortestPauseMs * 2 ** Math.min(failures - 1, 10), longestPauseMs);
  return pause(ms * (0.5 + Math.random() / 2), signal);
}
