/**
 * Signals of the process that stop a supervisor. Each has one listener, however many `block()` calls wait: a signal
 * counts once.
 */
import { constants } from 'node:os';
import { arrayOf, type Rule } from '../base/options.ts';

const catchable = new Set(Object.keys(constants.signals).filter((name) => name !== 'SIGKILL' && name !== 'SIGSTOP'));

export const catchableSignals: Rule = arrayOf(
  "an array of signals that can be caught, such as 'SIGTERM'",
  (signal) => typeof signal === 'string' && catchable.has(signal),
);

export class StopSignals {
  readonly #onSignal: () => void;
  /** How many calls of `block()` listen to each signal. */
  readonly #listeners = new Map<NodeJS.Signals, number>();

  constructor(onSignal: () => void) {
    this.#onSignal = onSignal;
  }

  listen(signals: readonly NodeJS.Signals[]): void {
    for (const signal of signals) {
      const holds = this.#listeners.get(signal) ?? 0;
      if (holds === 0) process.on(signal, this.#onSignal);
      this.#listeners.set(signal, holds + 1);
    }
  }

  unlisten(signals: readonly NodeJS.Signals[]): void {
    for (const signal of signals) {
      const holds = (this.#listeners.get(signal) ?? 1) - 1;
      if (holds === 0) process.off(signal, this.#onSignal);
      this.#listeners.set(signal, holds);
    }
  }
}
