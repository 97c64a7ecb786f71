/** The tasks of the checksums example. They have a module of their own, so that threads import this and no program. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { backgroundTask, currentTask } from 'taskwarden';

export interface FileSums {
  readonly path: string;
  readonly bytes: number;
  readonly gzipBytes: number;
  readonly sha256: string;
}

const compress = promisify(gzip);

function sha256Of(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** The bulk of the work. */
export const checksum = backgroundTask(
  import.meta.url,
  async function checksum(path: string): Promise<FileSums> {
    const { signal } = currentTask();
    const content = await readFile(path, { signal });
    const sha256 = sha256Of(content);
    signal.throwIfAborted();
    const { byteLength } = await compress(content);
    return { path, bytes: content.byteLength, gzipBytes: byteLength, sha256 };
  },
  { priority: 'low' },
);

/** What somebody at a screen would wait for. */
export const lookUp = backgroundTask(
  import.meta.url,
  async function lookUp(path: string) {
    const { size, mtime } = await stat(path);
    return { path, size, mtime };
  },
  { priority: 'high' },
);

/** What must not wait at all: is a file still what it was when its checksum was computed? */
export const verify = backgroundTask(
  import.meta.url,
  async function verify({ path, sha256 }: FileSums): Promise<void> {
    if (sha256Of(await readFile(path)) !== sha256) throw new Error(`${path} has changed since it was read`);
  },
  { priority: 'critical' },
);
