/**
 * The one place where what others may have written as jobs is read. Whoever can write to the server can write anything: what
 * is no job gives `TASK_MALFORMED`, which says no more of it than where it is, and what only says how a job is to be kept or
 * tried again is put right.
 */
import type { Job, JobsOptions, MinimalJob, Queue } from 'bullmq';
import { type Backoff, courierKit, TaskwardenError } from '../../../index.ts';
import { loadBullMq } from '../peers.ts';
import { isReserved } from '../server/names.ts';
import { backoffField } from './job-format.ts';

const { backoffMs, backoffRule, fieldOf, messageOf } = courierKit;

type JobJson = Parameters<typeof Job.fromJSON>[1];

/** The pause before a job is tried again whose own strategy is not known here, in milliseconds; it doubles each time. */
const retryDelayMs = 100;

export function taskMalformed(queue: string, id: string, problem: string): TaskwardenError {
  return new TaskwardenError('TASK_MALFORMED', `task '${id}' of queue '${queue}' can't be read: ${problem}`, {
    taskId: id,
  });
}

export function isTaskMalformed(error: unknown): error is TaskwardenError {
  return fieldOf(error, 'code') === 'TASK_MALFORMED';
}

/** The errors of Redis's scripts where the fields of a job are not what they must be. */
const scriptWords =
  /\b(WRONGTYPE|not an integer|not a valid float|attempt to|bad argument|Expected (value|object|comma|the end))\b/;
const otherWords = /\b(OOM|MISCONF|NOREPLICAS|NOPERM|READONLY)\b/;

/** Whether an error means that what is stored can't be read, and not that the server did not answer. */
export function saysMalformed(error: unknown): boolean {
  const name = fieldOf(error, 'name');
  if (name !== 'ReplyError') return name === 'SyntaxError' || name === 'TypeError' || name === 'RangeError';
  const message = messageOf(error);
  return scriptWords.test(message) && !otherWords.test(message);
}

/** @throws TaskwardenError `TASK_MALFORMED`. */
export function readJob(queue: Queue, json: JobJson, id: string): Job {
  const malformed = (problem: string) => taskMalformed(queue.name, id, problem);
  if (isReserved(id)) throw malformed('its id is the name of a key of BullMQ');
  const problem = problemOf(json);
  if (problem !== undefined) throw malformed(problem);
  let job: Job;
  try {
    job = loadBullMq().Job.fromJSON(queue, { ...json, id, opts: readOptions(json.opts) }, id);
  } catch {
    throw malformed('its data or options are no JSON');
  }
  job.stacktrace = (job.stacktrace ?? []).filter((each) => typeof each === 'string');
  if (!Number.isFinite(job.priority)) job.priority = 0;
  return job;
}

const numbers = ['timestamp', 'attemptsMade', 'attemptsStarted', 'stalledCounter'] as const;
const texts = ['name', 'repeatJobKey', 'parentKey', 'failedReason', 'deferredFailure'] as const;

function problemOf(json: JobJson): string | undefined {
  const number = numbers.find((field) => !Number.isFinite(json[field] ?? (field === 'timestamp' ? Number.NaN : 0)));
  if (number !== undefined) return `its field ${number} is no number`;
  const text = texts.find(
    (field) => json[field] !== undefined && json[field] !== null && typeof json[field] !== 'string',
  );
  if (text !== undefined) return `its field ${text} is no text`;
  if (typeof json.opts !== 'object' || json.opts === null) return 'its options are no object';
  if (json.returnvalue !== undefined && !isJsonText(json.returnvalue)) return 'its result is no JSON';
  const { parent } = json as { readonly parent?: unknown };
  const isParent = typeof fieldOf(parent, 'id') === 'string' && typeof fieldOf(parent, 'queueKey') === 'string';
  return parent === undefined || parent === null || isParent ? undefined : 'its parent is none';
}

function isJsonText(text: unknown): boolean {
  try {
    JSON.parse(text as string);
    return true;
  } catch {
    return false;
  }
}

function readOptions(given: JobsOptions): JobsOptions {
  const opts = { ...given };
  if (!isCount(opts.attempts)) delete opts.attempts;
  if (!isKeep(opts.removeOnComplete)) delete opts.removeOnComplete;
  if (!isKeep(opts.removeOnFail)) delete opts.removeOnFail;
  if (opts.backoff !== undefined) opts.backoff = readBackoff(opts.backoff);
  return opts;
}

/** A strategy of a plain worker's own, of which nothing is known here, is taken for an exponential one. */
function readBackoff(backoff: unknown): NonNullable<JobsOptions['backoff']> {
  if (backoff === null) return 0;
  if (isCount(backoff)) return backoff;
  const own = fieldOf(backoff, backoffField);
  if (isBackoff(own)) return { type: backoffField, [backoffField]: own } as NonNullable<JobsOptions['backoff']>;
  const [type, delay, jitter] = ['type', 'delay', 'jitter'].map((field) => fieldOf(backoff, field));
  return {
    type: type === 'fixed' ? 'fixed' : 'exponential',
    delay: isCount(delay) ? delay : retryDelayMs,
    ...(isCount(jitter) && { jitter: Math.min(jitter, 1) }),
  };
}

function isBackoff(value: unknown): value is Backoff {
  try {
    backoffRule(value, 'backoff');
    return typeof value === 'object';
  } catch {
    return false;
  }
}

/** The strategy for the jobs of this package. */
export function backoffStrategy(failures: number, _type?: string, _error?: Error, job?: MinimalJob): number {
  return Math.round(backoffMs(fieldOf(job?.opts.backoff, backoffField) as Backoff, failures));
}

function isKeep(value: unknown): value is boolean | number | { age?: number; count?: number } {
  if (typeof value === 'boolean' || isCount(value)) return true;
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).every(isCount);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
