/** A small file for an archive: its SHA-256, and its content in Brotli. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';

const params = { [constants.BROTLI_PARAM_QUALITY]: 5 };

export function work(path) {
  const content = readFileSync(path);
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { sha256, compressed: brotliCompressSync(content, { params }) };
}
