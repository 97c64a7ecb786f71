/** The requests that a worker has, by the ids of their tasks. One id may come twice: as sent again, or given back. */
import type { Delivery } from '../broker/delivery.ts';
import type { Request, RequestState } from './request.ts';

export class Requests {
  readonly #all = new Map<Delivery, Request>();
  #onEmpty: (() => void) | undefined;

  add(request: Request): void {
    this.#all.set(request.delivery, request);
  }

  remove({ delivery }: Request): void {
    this.#all.delete(delivery);
    if (this.#all.size === 0) this.#onEmpty?.();
  }

  get size(): number {
    return this.#all.size;
  }

  of(delivery: Delivery): Request | undefined {
    return this.#all.get(delivery);
  }

  withId(...ids: readonly string[]): Request[] {
    return [...this.#all.values()].filter(({ id }) => ids.includes(id));
  }

  in(...states: readonly RequestState[]): Request[] {
    return [...this.#all.values()].filter(({ state }) => states.includes(state));
  }

  /** Resolves when there is none. */
  async whenEmpty(): Promise<void> {
    if (this.#all.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }
}
