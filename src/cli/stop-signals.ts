/** SIGINT and SIGTERM, and the exit codes that shells expect of them. */
import { constants } from 'node:os';

const stopSignals = ['SIGINT', 'SIGTERM'] as const;

/** Calls back for each of the signals, with how many there have been, until it is disposed of. */
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
