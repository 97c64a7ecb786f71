/** The listeners of a task or of its worker. What a listener throws is printed, and stops nothing. */
import { callSafely } from '../base/call-safely.ts';

export interface Listener<T> {
  readonly receive: (message: T) => void;
  /** Called after the last message. */
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

  /** Removes all listeners. @param last Delivered to each before that. */
  end(last?: T): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) {
      if (last !== undefined) deliver(listener, last);
      listener.end?.();
    }
  }
}

/** The listeners of many tasks, by their ids. */
export class ListenersById<T> {
  readonly #byId = new Map<string, Listeners<T>>();

  get size(): number {
    return this.#byId.size;
  }

  /** Returns a function that removes the listener, and calls `onNone` if it was the last one of that id. */
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

export function deliver<T>({ receive }: Listener<T>, message: T): void {
  callSafely(receive, message, (problem) => console.error('MemoryTaskCourier: a listener failed:', problem));
}
