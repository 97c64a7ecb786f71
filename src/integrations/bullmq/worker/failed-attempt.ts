/** The end of an attempt that has failed: the job is tried again after a pause, if it has a retry left and time for it; else it has failed. */
import type { Job } from 'bullmq';
import { courierKit, type ReturnErrorOptions, type TaskwardenError } from '../../../index.ts';
import type { DeadlineStore } from '../deadlines/deadline-store.ts';
import { deadlineOf, endDeadline, leftOf, tooLate } from '../deadlines/job-deadline.ts';
import { backoffField, failureOf, finalOf, setRetries } from '../job/job-format.ts';
import { backoffStrategy } from '../job/job-reader.ts';
import type { BullQueue } from './bull-queue.ts';

const { fieldOf } = courierKit;

export async function failAttempt(
  { name, deadlines }: BullQueue,
  job: Job,
  token: string,
  error: unknown,
  options: ReturnErrorOptions,
): Promise<void> {
  setRetries(job, options);
  const late = options.isFinal ? undefined : await retryTooLate(name, deadlines, job, error);
  const failure = failureOf(late ?? error);
  await job.moveToFailed(options.isFinal || late !== undefined ? finalOf(failure) : failure, token, false);
  if (job.finishedOn !== undefined) endDeadline(deadlines, job);
}

/** The error of a job whose next attempt could not begin in time; undefined if it could, or there is none. */
async function retryTooLate(
  queue: string,
  store: DeadlineStore,
  job: Job,
  error: unknown,
): Promise<TaskwardenError | undefined> {
  const failures = job.attemptsMade + 1;
  if (deadlineOf(job) === undefined || failures >= (job.opts.attempts ?? 0)) return undefined;
  const { backoff } = job.opts;
  const isOwn = fieldOf(backoff, backoffField) !== undefined;
  const delay = isOwn ? backoffStrategy(failures, undefined, undefined, job) : Number(fieldOf(backoff, 'delay') ?? 0);
  job.opts.backoff = { type: 'fixed', delay }; // it may be random, and must not be another one then
  const leftMs = (await leftOf(store, job)) ?? Infinity;
  return leftMs > delay ? undefined : tooLate(job, queue, true, error);
}
