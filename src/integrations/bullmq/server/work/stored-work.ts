/** What the attempts of a job have kept, as a server keeps it with the job: bytes as text, each under its name. */
import type { Job } from 'bullmq';
import type { KeptWork } from '../../../../index.ts';

/** What attempts keep: in one queue. */
export interface StoredWork {
  /** False, and nothing was kept, if the job is not held with that token. */
  keep(id: string, token: string, name: string, work: Uint8Array): Promise<boolean>;
  /** Undefined if nothing was kept. */
  of(job: Job): Promise<KeptWork | undefined>;
  /** Forgets it, if the job has completed. */
  drop(id: string): Promise<void>;
}

export function textOfWork(work: Uint8Array): string {
  return Buffer.from(work.buffer, work.byteOffset, work.byteLength).toString('base64');
}

/** Whoever can write to the server can write anything: what is no text is left out. */
export function workOf(stored: readonly (readonly [string, unknown])[]): KeptWork | undefined {
  const kept = new Map<string, Uint8Array>();
  for (const [name, text] of stored) {
    if (typeof text === 'string') kept.set(name, Uint8Array.from(Buffer.from(text, 'base64')));
  }
  return kept.size === 0 ? undefined : kept;
}
