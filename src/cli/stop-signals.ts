/** SIGINT and SIGTERM, and their exit codes by the convention of shells. */
import { constants } from 'node:os';

const stopSignals = ['SIGINT', 'SIGTERM'] as const;

/** Calls back for each signal, with the number of signals so far, until it is disposed of. */
export function onStopSignal(callback: (exitCode: number, count: number) => void): Disposable {
  let count = 0;
  const listener = (signal: NodeJS.Signals) => {
    count += 1;
    callback(128 + constants.signals[signal], count);
  };
  for (const signal of stopSignals) process.on(signal, listener);
  return {
    [Symbol.dispose]() {
      for (const signal of stopSignals) process.off(signal, listener);
    },
  };
}
