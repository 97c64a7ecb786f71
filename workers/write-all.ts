/** Writes to a pipe, and returns when all is written: what a child says is on its way before it goes on. */
import { Buffer } from '../src/platform/globals.ts';

/** What is shorter is written in one go, at the cost of a copy; in bytes. */
const shortBytes = 65_536;
/** The system takes about 2 GiB at once, and a count of more than that overflows on the way back. */
const longestSlice = 2 ** 30;

/** To wait for: it is never notified. */
const nobody = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** `write` gives how many bytes it has taken. */
export type Write = (part: Buffer, offset: number, length: number) => number;

/** Waits for a reader that is slow. */
export function writeAll(parts: readonly Buffer[], write: Write): void {
  let bytes = 0;
  for (const { length } of parts) bytes += length;
  for (const part of bytes < shortBytes ? [Buffer.concat(parts, bytes)] : parts) {
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
    Atomics.wait(nobody, 0, 0, 1); // a task has made a socket of the pipe, which does not block any more
    return 0;
  }
}
