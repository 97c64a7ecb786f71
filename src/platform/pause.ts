/** A pause that ends early when a signal aborts. It does not keep the process alive. */
import { Timer } from './clock.ts';
import { Promise } from './globals.ts';
import { onAbort } from './on-abort.ts';

/** Resolves after `ms` milliseconds, or when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = new Timer(ms, () => {
      unlisten();
      resolve();
    });
    const unlisten = onAbort(signal, () => {
      timer.cancel();
      resolve();
    });
  });
}
