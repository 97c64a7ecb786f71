/** Whether results are right: they are compared with what is computed here, in another way than the task does it. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import type { FileSums } from '../checksums/files.ts';

export class ResultCheck {
  readonly problems: string[] = [];
  /** How many gzip sizes were compared: those are costly. */
  zipped = 0;
  /** Paths may be asked for more than once. */
  readonly #known = new Map<string, { readonly sha256: string; readonly bytes: number }>();

  async check(path: string, sums: FileSums, withGzip: boolean): Promise<void> {
    let own = this.#known.get(path);
    if (own === undefined) {
      own = await hashOf(path);
      this.#known.set(path, own);
    }
    const isRight = sums.path === path && sums.sha256 === own.sha256 && sums.bytes === own.bytes;
    if (!isRight) this.problems.push(`${path}: a wrong result, ${JSON.stringify(sums)}`);
    if (!withGzip) return;
    this.zipped += 1;
    const { length } = gzipSync(await readFile(path));
    if (length !== sums.gzipBytes)
      this.problems.push(`${path}: ${sums.gzipBytes} bytes zipped, and should be ${length}`);
  }
}

async function hashOf(path: string): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of createReadStream(path)) {
    hash.update(piece as Buffer);
    bytes += (piece as Buffer).length;
  }
  return { sha256: hash.digest('hex'), bytes };
}
