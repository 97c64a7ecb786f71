/**
 * Listens to abort signals: one listener for each, however many tasks share it. Node warns of a leak if a signal has
 * many.
 */
import { Promise } from './globals.ts';

const callbacks = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls back when the signal aborts, until the returned function is called. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let all = callbacks.get(signal);
  if (all === undefined) {
    all = new Set();
    callbacks.set(signal, all);
    signal.addEventListener('abort', abort);
  }
  all.add(callback);
  return () => {
    all.delete(callback);
    if (all.size > 0 || callbacks.get(signal) !== all) return;
    callbacks.delete(signal);
    signal.removeEventListener('abort', abort);
  };
}

/** Resolves as the promise does, or with undefined as soon as the signal aborts. A later rejection is then ignored. */
export function untilAborted<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const unlisten = onAbort(signal, () => resolve(undefined));
    if (signal.aborted) resolve(undefined);
    void Promise.resolve(promise).then(resolve, reject).then(unlisten);
  });
}

function abort({ target }: Event): void {
  for (const callback of callbacks.get(target as AbortSignal) ?? []) callback();
}
