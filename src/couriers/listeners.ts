/** Those who hear what is said of a task, or to its worker, until nothing more is said. What they throw breaks nothing. */
import { callSafely } from '../base/call-safely.ts';

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

/** The same for many tasks, by their ids. */
export class ListenersById<T> {
  readonly #byId = new Map<string, Listeners<T>>();

  get size(): number {
    return this.#byId.size;
  }

  /** Gives what takes it off; `whenNone` is called if it was the last one of that id. */
  add(id: string, listener: Listener<T>, whenNone: () => void): () => void {
    const listeners = this.#byId.get(id) ?? new Listeners();
    this.#byId.set(id, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.#byId.get(id) !== listeners) return;
      this.#byId.delete(id);
      whenNone();
    };
  }

  say(id: string, what: T): void {
    this.#byId.get(id)?.say(what);
  }

  end(id: string): void {
    this.#byId.get(id)?.end();
    this.#byId.delete(id);
  }

  endAll(): void {
    for (const listeners of this.#byId.values()) listeners.end();
    this.#byId.clear();
  }
}

/** Says something to one of them. */
export function say<T>({ hear }: Listener<T>, what: T): void {
  callSafely(hear, what, (problem) => console.error('MemoryTaskCourier: a listener failed:', problem));
}
