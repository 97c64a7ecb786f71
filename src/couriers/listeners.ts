/** Those who hear what is said of a task, or to its worker, until nothing more is said. What they throw breaks nothing. */
import { callSafely } from '../base/call-safely.ts';

export interface Listener<T> {
  readonly receive: (message: T) => void;
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

  publish(message: T): void {
    for (const listener of this.#listeners) deliver(listener, message);
  }

  /** @param last What is said before. */
  end(last?: T): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) {
      if (last !== undefined) deliver(listener, last);
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
  add(id: string, listener: Listener<T>, onNone: () => void): () => void {
    const listeners = this.#byId.get(id) ?? new Listeners();
    this.#byId.set(id, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.#byId.get(id) !== listeners) return;
      this.#byId.delete(id);
      onNone();
    };
  }

  publish(id: string, message: T): void {
    this.#byId.get(id)?.publish(message);
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
export function deliver<T>({ receive }: Listener<T>, message: T): void {
  callSafely(receive, message, (problem) => console.error('MemoryTaskCourier: a listener failed:', problem));
}
