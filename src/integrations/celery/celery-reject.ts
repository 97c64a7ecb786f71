/** CeleryReject: what a task function throws in a `CeleryWorker` so that its message is rejected, as Celery's `Reject`. */
import { courierKit } from '../../index.ts';

const { fieldOf, messageOf, rules } = courierKit;

/**
 * Rejects the message of the task: nothing is stored of it, and it is dropped, or, with `requeue: true`, put back as the last
 * of its queue, for any worker.
 *
 *     if (!hasGpu) throw new CeleryReject('no GPU here', { requeue: true });
 *
 * Threads and children lose the classes of errors: `instanceof CeleryReject` goes by the name and the field.
 */
export class CeleryReject extends Error {
  static {
    Object.defineProperty(CeleryReject.prototype, 'name', {
      value: 'CeleryReject',
      configurable: true,
      writable: true,
    });
    Object.defineProperty(CeleryReject, Symbol.hasInstance, {
      value(this: unknown, value: unknown): boolean {
        if (this !== CeleryReject) return Function.prototype[Symbol.hasInstance].call(this, value); // it is extended
        return fieldOf(value, 'name') === 'CeleryReject' && typeof fieldOf(value, 'requeue') === 'boolean';
      },
    });
  }
  /** No retry of the supervisor comes before. */
  readonly retry = false;
  readonly requeue: boolean;

  /** @param cause Why: an error, whose message it takes over, or a text. */
  constructor(cause: unknown, options: { readonly requeue?: boolean } = {}) {
    super(messageOf(cause), { cause });
    const { requeue = false } = options;
    rules.boolean(requeue, 'option "requeue" of CeleryReject');
    this.requeue = requeue;
  }
}
