/** Calls that wait until the database can be used again: another program has its lock, or the disk is full. */
import { courierKit } from '../../index.ts';
import type { ThreadLink } from './thread-link.ts';

const { hasCode } = courierKit;

const shortestPauseMs = 50;
const longestPauseMs = 5_000;

interface Patience<R> {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  readonly onTimeout?: () => R;
  /** Called with each failure. */
  readonly onOutage?: (error: unknown) => void;
}

function isUnreachable(error: unknown): boolean {
  return hasCode(error, 'COURIER_UNREACHABLE');
}

/** Makes the call until the database answers. Keeps the process alive between two tries. @param call Gets the time that is left. */
export async function untilReachable<R>(
  link: ThreadLink,
  call: (leftMs: number) => Promise<R>,
  { signal, timeoutMs = Infinity, onTimeout, onOutage }: Patience<R>,
): Promise<R> {
  const until = performance.now() + timeoutMs;
  for (let failures = 1; ; failures += 1) {
    try {
      return await call(Math.max(until - performance.now(), 0));
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      onOutage?.(error);
      const pauseMs = Math.min(shortestPauseMs * 2 ** Math.min(failures - 1, 10), longestPauseMs);
      await pauseOf(
        Math.min(pauseMs * (0.5 + Math.random() / 2), Math.max(until - performance.now(), 0)),
        link,
        signal,
      );
      signal?.throwIfAborted();
      link.refuseIfClosed();
      if (performance.now() >= until && onTimeout !== undefined) return onTimeout();
    }
  }
}

function pauseOf(ms: number, link: ThreadLink, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      unlisten?.();
      unlistenToLink();
      resolve();
    };
    const timer = setTimeout(end, ms);
    const unlisten = signal && courierKit.onAbort(signal, end);
    const unlistenToLink = courierKit.onAbort(link.signal, end);
    if (signal?.aborted || link.isClosed) end();
  });
}
