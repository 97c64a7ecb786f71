/** The end of a file of lines: a process that was killed as it wrote may have left a part of one there. */
import type { FileHandle } from 'node:fs/promises';
import { Buffer } from '../../../platform/globals.ts';

const lineEnd = 0x0a;

/** How many bytes the file has up to the end of its last whole line. */
export async function wholeLinesOf(file: FileHandle): Promise<number> {
  const block = Buffer.alloc(65_536);
  let { size: end } = await file.stat();
  while (end > 0) {
    const start = Math.max(end - block.length, 0);
    const { bytesRead } = await file.read(block, 0, end - start, start);
    const last = block.subarray(0, bytesRead).lastIndexOf(lineEnd);
    if (last >= 0) return start + last + 1;
    end = start;
  }
  return 0;
}

/** Takes away what follows the last whole line. Returns false if there was nothing, or if it is no regular file. */
export async function dropTornLine(file: FileHandle): Promise<boolean> {
  const stats = await file.stat();
  if (!stats.isFile()) return false;
  const whole = await wholeLinesOf(file);
  if (whole === stats.size) return false;
  await file.truncate(whole);
  return true;
}
