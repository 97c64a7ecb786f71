/** Who wants to hear of each call that has failed because of the server. */
import { courierKit } from '../../../index.ts';

const { callSafely } = courierKit;

export class OutageListeners {
  readonly #listeners = new Set<(error: unknown) => void>();

  subscribe(listener: (error: unknown) => void): () => void {
    const own = (error: unknown) => listener(error); // a listener may be given more than once
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  report(error: unknown): void {
    const onProblem = (problem: unknown) => console.error('BullMQTaskCourier: a listener failed:', problem);
    for (const listener of this.#listeners) callSafely(listener, error, onProblem);
  }
}
