/** Those who hear what is said of a task, or to its worker, until nothing more is said. What they throw breaks nothing. */
import { callSafely } from '../call-safely.ts';

export interface Listener<T> {
  readonly hear: (what: T) => void;
  /** Nothing more will be said. */
  readonly end?: (() => void) | undefined;
}

export class Listeners<T> {
  readonly #listeners = new Set<Listener<T>>();

  get size(): number {
    return this.#listeners.size;
  }

  add(listener: Listener<T>): void {
    this.#listeners.add(listener);
  }

  delete(listener: Listener<T>): void {
    this.#listeners.delete(listener);
  }

  say(what: T): void {
    for (const listener of this.#listeners) say(listener, what);
  }

  /** @param last What is said before. */
  end(last?: T): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) {
      if (last !== undefined) say(listener, last);
      listener.end?.();
    }
  }
}

/** Says something to one of them. */
export function say<T>({ hear }: Listener<T>, what: T): void {
  callSafely(hear, what, (problem) => console.error('MemoryTaskCourier: a listener failed:', problem));
}
