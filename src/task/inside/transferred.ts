/** Transferring buffers instead of copying them. */
import type { TransferListItem } from 'node:worker_threads';
import { fieldOf, isArray } from '../../base/foreign-value.ts';

/** What can be transferred to or from a thread. After that, the sender can't use it any more. */
export type Transferable = TransferListItem;

// Shared by all copies of the package in a thread.
const transfersSymbol = Symbol.for('taskwarden.transfers');

interface Transferred {
  readonly value: unknown;
  readonly [transfersSymbol]: readonly Transferable[];
}

/**
 * Wraps the result that a task returns, with the parts of it that are transferred instead of copied, such as
 * `transferred(pixels, [pixels.buffer])`. On the event loop nothing is copied, and the value itself is the result.
 */
export function transferred<T>(value: T, transfers: readonly Transferable[]): T {
  if (!Array.isArray(transfers)) throw new TypeError('transferred() takes the result and an array of what to transfer');
  const wrapped: Transferred = { value, [transfersSymbol]: transfers };
  return wrapped as T;
}

export function unwrapTransferred(value: unknown): unknown {
  return isTransferred(value) ? value.value : value;
}

export function takeTransfers(value: unknown): readonly Transferable[] {
  return isTransferred(value) ? value[transfersSymbol] : [];
}

function isTransferred(value: unknown): value is Transferred {
  return isArray(fieldOf(value, transfersSymbol));
}
