/** Handing buffers over instead of copying them. */
import type { TransferListItem } from 'node:worker_threads';
import { fieldOf, isArray } from '../../base/foreign-value.ts';

/** What can be handed over to a thread, or back: after that, the side that gave it can't use it any more. */
export type Transferable = TransferListItem;

// Two copies of the package in one thread must know each other's.
const transfersSymbol = Symbol.for('taskwarden.transfers');

interface Transferred {
  readonly value: unknown;
  readonly [transfersSymbol]: readonly Transferable[];
}

/**
 * For a task to return: its result, with what of it goes back without a copy, such as
 * `transferred(pixels, [pixels.buffer])`. On the event loop nothing has to travel, and the value is the result.
 */
export function transferred<T>(value: T, transfers: readonly Transferable[]): T {
  if (!Array.isArray(transfers))
    throw new TypeError('transferred() takes the result and an array of what to hand over');
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
