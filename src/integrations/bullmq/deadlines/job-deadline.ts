/** The deadline of one job: how its options carry it, how much of it is left, and how it ends the job. */
import type { Job } from 'bullmq';
import { courierKit, type TaskwardenError } from '../../../index.ts';
import { errorOf, failureOf, finalOf } from '../job/job-format.ts';
import type { DeadlineStore } from './deadline-store.ts';

const { deadlinePassed, fieldOf } = courierKit;

const deadlineOption = 'taskwarden:deadline';

export interface JobDeadline {
  readonly ms: number;
  readonly mark: string;
}

/** @param nonce Tells it apart from another job with this id. */
export function markOf(nonce: string, id: string): string {
  return `${nonce}:${id}`;
}

export function idOf(mark: string): string {
  return mark.slice(mark.indexOf(':') + 1);
}

/** As an option of a job. */
export function deadlineOptions(deadline: JobDeadline): object {
  return { [deadlineOption]: deadline };
}

/** Undefined if it has none. */
export function deadlineOf({ opts }: Job): JobDeadline | undefined {
  const deadline = fieldOf(opts, deadlineOption);
  const [ms, mark] = [fieldOf(deadline, 'ms'), fieldOf(deadline, 'mark')];
  return typeof ms === 'number' && typeof mark === 'string' ? { ms, mark } : undefined;
}

/** How much time it has left, in milliseconds; undefined if it has no deadline. What the server has lost goes by the adder's clock. */
export async function leftOf(store: DeadlineStore, job: Job): Promise<number | undefined> {
  const deadline = deadlineOf(job);
  if (deadline === undefined) return undefined;
  return (await store.left(deadline.mark)) ?? job.timestamp + deadline.ms - Date.now();
}

/** With what it ends. @param isHeld Whether a worker holds it. @param cause What it fails with now. */
export function tooLate(job: Job, queue: string, isHeld: boolean, cause?: unknown): TaskwardenError {
  const hasBegun = isHeld || job.attemptsMade + job.stalledCounter > 0;
  const failure = cause ?? (job.attemptsMade > 0 ? errorOf(job, queue) : undefined);
  return deadlinePassed(queue, { id: job.id as string, deadlineMs: deadlineOf(job)?.ms ?? 0, hasBegun }, failure);
}

/** Ends a job that is held with the token, as its deadline is over. False if it is not held with it any more. */
export async function failLate(
  store: DeadlineStore,
  job: Job,
  error: TaskwardenError,
  token: string,
): Promise<boolean> {
  try {
    await job.moveToFailed(finalOf(failureOf(error)), token, false);
  } catch (problem) {
    if (typeof fieldOf(problem, 'code') === 'number') return false;
    throw problem;
  }
  endDeadline(store, job);
  return true;
}

/** To be called when the job has ended. What that does not reach is found out when the deadline is over. */
export function endDeadline(store: DeadlineStore, job: Job): void {
  const deadline = deadlineOf(job);
  if (deadline !== undefined) void store.end(deadline.mark).catch(() => {});
}
