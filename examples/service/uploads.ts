/**
 * The worker that inspects uploads, one at a time in each thread, and the module that caps how many. Threads import this
 * file, so that it has nothing in it of the server.
 */
import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { backgroundWorker, currentTask, taskSupervisor } from 'taskwarden';
import { misbehave } from './chaos.ts';

export interface Inspection {
  readonly sha256: string;
  readonly gzipBytes: number;
  readonly lines: number;
}

/** Between two pieces a run says how far it is, and hears that it is to stop. */
const pieceBytes = 64 * 1024;

const newLine = 10;

function count(byte: number, piece: Uint8Array): number {
  let found = 0;
  for (let at = piece.indexOf(byte); at >= 0; at = piece.indexOf(byte, at + 1)) found += 1;
  return found;
}

/** How many uploads run at a time: `maxWorkers`, which a reload of the settings changes. */
export const uploadsModule = taskSupervisor.module('uploads');

export const uploads = backgroundWorker(
  import.meta.url,
  async function inspect(body: Uint8Array): Promise<Inspection> {
    const task = currentTask();
    task.progress(0);
    await misbehave(body);
    const nulAt = body.indexOf(0);
    if (nulAt >= 0) throw new TypeError(`not a text: byte ${nulAt} is 0`);

    const hash = createHash('sha256');
    let lines = 0;
    let gzipBytes = 0;
    function* pieces(): Generator<Uint8Array> {
      for (let at = 0; at < body.length; at += pieceBytes) {
        const piece = body.subarray(at, at + pieceBytes);
        hash.update(piece);
        lines += count(newLine, piece);
        task.progress(at / body.length);
        yield piece;
      }
    }
    await pipeline(
      pieces,
      createGzip(),
      async (zipped: AsyncIterable<Uint8Array>) => {
        for await (const piece of zipped) gzipBytes += piece.length;
      },
      { signal: task.signal },
    );
    return { sha256: hash.digest('hex'), gzipBytes, lines };
  },
  {
    name: 'uploads',
    module: uploadsModule,
    // A body that ends its thread is tried twice more, then it has failed; its neighbours never notice.
    crashRetries: 2,
    timeoutMs: 60_000,
    // What is in flight beyond the cap of the module waits for that.
    queue: { concurrency: 32, maxQueued: 500 },
    // What a run fails with is in the record of its upload.
    onError: () => {},
  },
);
