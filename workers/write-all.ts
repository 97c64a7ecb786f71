/** Writes to a pipe synchronously: the replies of a child are sent before it goes on. */
import { Buffer } from '../src/platform/globals.ts';

/** Shorter data is copied and written in one call, in bytes. */
const shortBytes = 65_536;
/** The system writes about 2 GiB at once, and the returned count overflows above that. */
const longestSlice = 2 ** 30;

/** Used to sleep: it is never notified. */
const nobody = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Returns how many bytes were written. */
export type Write = (part: Buffer, offset: number, length: number) => number;

/** Waits for a slow reader. */
export function writeAll(parts: readonly Buffer[], write: Write): void {
  let bytes = 0;
  for (const { length } of parts) bytes += length;
  for (const part of parts.length > 1 && bytes < shortBytes ? [Buffer.concat(parts, bytes)] : parts) {
    for (let at = 0; at < part.length; ) {
      const left = part.length - at;
      at += writeSome(part, at, left < longestSlice ? left : longestSlice, write);
    }
  }
}

function writeSome(part: Buffer, offset: number, length: number, write: Write): number {
  try {
    return write(part, offset, length);
  } catch (problem) {
    if ((problem as NodeJS.ErrnoException).code !== 'EAGAIN') throw problem;
    Atomics.wait(nobody, 0, 0, 1); // a task has opened the pipe as a socket, which made it non-blocking
    return 0;
  }
}
