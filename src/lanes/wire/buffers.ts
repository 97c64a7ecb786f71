/**
 * Keeps Buffers as Buffers: the structured clone turns them into Uint8Arrays, so the sender tells which values of a list were
 * Buffers, and the receiver restores them. This applies to arguments, results and messages, but not to values inside them.
 */
import { isInstance } from '../../base/foreign-value.ts';
import { Buffer } from '../../platform/globals.ts';

/** The indexes of the Buffers in a list; undefined if there are none. */
export function findBuffers(values: readonly unknown[]): readonly number[] | undefined {
  let places: number[] | undefined;
  for (let place = 0; place < values.length; place += 1) {
    if (!isInstance(values[place], Buffer)) continue;
    places ??= [];
    places.push(place);
  }
  return places;
}

/** Without a copy. */
export function restoreBuffers(values: unknown[], places: readonly number[]): void {
  for (const place of places) {
    const bytes = values[place] as Uint8Array;
    values[place] = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}
