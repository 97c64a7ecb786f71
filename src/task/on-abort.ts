/** One listener for each signal, however many tasks share it: Node warns of a leak when a signal has many. */

const callbacks = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls back when the signal aborts, until the function that it returns is called. */
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

function abort({ target }: Event): void {
  for (const callback of callbacks.get(target as AbortSignal) ?? []) callback();
}
