/**
 * Buffers that cross: the structured clone makes a Uint8Array of each, so the sender says which values of a list were
 * Buffers, and the receiver makes them Buffers again. That holds for arguments, results and messages, not for what is in them.
 */
import { isInstance } from '../../base/foreign-value.ts';
import { Buffer } from '../../platform/globals.ts';

/** The places of Buffers in a list; undefined if there are none. */
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
