/** A folder that is gone after the test. */
import { mkdtemp, rm } from 'node:fs/promises';

export async function mkdtempDisposable(prefix: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(prefix);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
