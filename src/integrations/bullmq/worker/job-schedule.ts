/** The schedulers of BullMQ, which make a job again and again: the next one is added when the present one starts. */
import type { IQueueBackend, Job } from 'bullmq';
import { taskMalformed } from '../job/job-reader.ts';
import { loadBullMq } from '../peers.ts';
import { isOfServer } from '../server/server.ts';

/** Adds the next job of the scheduler that has made this one. @throws TaskwardenError `TASK_MALFORMED`. */
export async function scheduleNext(job: Job, queue: string, backend: IQueueBackend): Promise<void> {
  const { JobScheduler } = loadBullMq();
  const scheduler = new JobScheduler(queue, { connection: {} }, () => backend);
  scheduler.on('error', () => {});
  const { repeatJobKey = '', name, data, opts, id } = job;
  const repeat = (opts as { readonly repeat?: object }).repeat ?? {};
  const producer = { override: false, ...(id !== undefined && { producerId: id }) };
  try {
    await scheduler.upsertJobScheduler(repeatJobKey, repeat, name, data, opts, producer);
  } catch (error) {
    if (isOfServer(error)) throw error;
    throw taskMalformed(queue, id as string, 'the scheduler that has made it can not go on');
  }
}
