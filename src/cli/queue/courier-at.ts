/** The courier of a URL or file. What it needs is loaded only then. */
import { existsSync } from 'node:fs';
import { isInstance } from '../../base/foreign-value.ts';
import type { ClientWorkerTaskCourier } from '../../index.ts';
import { UsageError } from '../usage-error.ts';

/** @throws UsageError, or TaskwardenError `PEER_MISSING`. */
export async function courierAt(where: string, prefix: string | undefined): Promise<ClientWorkerTaskCourier> {
  const scheme = /^([a-z][\w+.-]*):\/\//i.exec(where)?.[1]?.toLowerCase();
  if (scheme === undefined) return courierInFile(where, prefix);
  if (!/^(rediss?|postgres(ql)?)$/.test(scheme)) {
    throw new UsageError(`a URL of a queue begins with redis://, rediss:// or postgres://, and not with ${scheme}://`);
  }
  if (!URL.canParse(where)) throw new UsageError('the URL of the queue is none: it can not be parsed');
  const { BullMQTaskCourier } = await import('../../integrations/bullmq/index.ts');
  try {
    return new BullMQTaskCourier(where, { resultTtlMs: Infinity, ...(prefix !== undefined && { prefix }) });
  } catch (error) {
    throw isInstance(error, TypeError) ? new UsageError(error.message) : error;
  }
}

async function courierInFile(path: string, prefix: string | undefined): Promise<ClientWorkerTaskCourier> {
  if (prefix !== undefined) throw new UsageError('--prefix is for servers: a file has none');
  // It may be a URL with a mistake, and with a password.
  if (!existsSync(path)) throw new UsageError(`there is no file ${path.replace(/:[^:]*@/, ':***@')}`);
  const { SqliteTaskCourier } = await import('../../integrations/sqlite/index.ts');
  return new SqliteTaskCourier(path, { maxStalls: Infinity }); // it is for the workers to say how many are too many
}
