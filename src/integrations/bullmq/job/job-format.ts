/** How tasks are written as jobs of BullMQ, so that its own tools and workers understand them, and read again. */
import type { BackoffOptions, Job, JobsOptions } from 'bullmq';
import {
  type AddOptions,
  type Backoff,
  type CourierTask,
  courierKit,
  type DeadLetter,
  type ListedTask,
  type Priority,
  type Progress,
  type QueueLimits,
  type ReturnErrorOptions,
} from '../../../index.ts';
import { isJson, PlainCopy } from '../../plain-copy.ts';
import { loadBullMq } from '../peers.ts';
import { fromJson, parseJson } from './json.ts';

const { calledName, decodeThrown, encodeThrown, fieldOf, messageOf, taskCanceled, taskReplaced, taskStalled } =
  courierKit;
type WireThrown = courierKit.WireThrown;

/** In BullMQ small numbers are urgent, and 0, which means none, is before all. */
export const priorityNumbers: Readonly<Record<Priority, number>> = { critical: 1, high: 2, normal: 3, low: 4 };

/** A job without a priority comes from a plain producer, and runs as a normal one. */
export function priorityOf(number: number | undefined): Priority {
  if (number === undefined || number === 0) return 'normal';
  return number === 1 ? 'critical' : number === 2 ? 'high' : number === 3 ? 'normal' : 'low';
}

/** The name of jobs that call no function. */
const namelessJob = 'task';

/** The name of a task, by that of its job. */
export function nameOf(jobName: string | undefined): string | undefined {
  return jobName === namelessJob ? undefined : jobName;
}

export function jobNameOf(data: unknown): string {
  return calledName(data) ?? namelessJob;
}

/** PostgreSQL counts attempts in 32 bits. */
const mostAttempts = 2 ** 31 - 1;

/** By what the adder of a job knows that it is its own, and not one that was there. */
export const nonceOption = 'taskwarden';

/** The scripts of limits know it, too. */
const keyOption = 'taskwarden:key';
const uniqueForOption = 'taskwarden:uniqueForMs';

/** The key of a job, and for how long it is unique after it has completed, in milliseconds. */
export function keyOf({ opts }: Job): { readonly key: string | undefined; readonly uniqueForMs: number } {
  const [key, ms] = [fieldOf(opts, keyOption), fieldOf(opts, uniqueForOption)];
  return { key: typeof key === 'string' ? key : undefined, uniqueForMs: typeof ms === 'number' && ms > 0 ? ms : 0 };
}

/** Limits as a queue keeps them; undefined if there are none. */
export function limitsOf(text: string | undefined): QueueLimits | undefined {
  const limits = parseJson(text);
  return typeof limits === 'object' && limits !== null && Object.keys(limits).length > 0 ? limits : undefined;
}

export function jobOptions(id: string, options: AddOptions, resultTtlMs: number): JobsOptions {
  const { priority = 'normal', delayMs = 0, retries, retryDelayMs, key, unique, uniqueForMs = 0 } = options;
  return {
    jobId: id,
    priority: priorityNumbers[priority],
    ...(delayMs > 0 && { delay: Math.round(delayMs) }),
    ...(retries !== undefined && { attempts: Math.min(retries + 1, mostAttempts) }),
    ...((retries ?? (retryDelayMs === undefined ? 0 : 1)) > 0 && { backoff: backoffOf(retryDelayMs ?? {}) }),
    ...(key !== undefined && { [keyOption]: key }),
    ...(key !== undefined && unique !== undefined && { deduplication: { id: key } }),
    ...(uniqueForMs > 0 && { [uniqueForOption]: Math.min(uniqueForMs, resultTtlMs) }),
    removeOnComplete: resultTtlMs === Infinity ? false : { age: Math.ceil(resultTtlMs / 1000) },
    removeOnFail: false,
  };
}

/** By what a worker of this package calculates pauses. Plain workers have no longest pause, and no factor but 2. */
export const backoffField = 'taskwarden';

/** BullMQ takes a random share off a pause, and not in addition. */
function backoffOf(given: number | Backoff): number | BackoffOptions {
  const backoff = typeof given === 'number' ? { minMs: given } : given;
  const { minMs = 1_000, jitter = 0.5 } = backoff;
  if (minMs === 0) return 0;
  const longest = 1 + jitter;
  const plain = { type: 'exponential', delay: Math.ceil(minMs * longest), jitter: jitter / longest };
  return { ...plain, [backoffField]: backoff } as BackoffOptions;
}

/** Lets a job that was added without retries be tried again as the worker says. Of its options here, not of those that are kept. */
export function setRetries({ opts }: Job, { retries = 0, retryDelayMs = {} }: ReturnErrorOptions): void {
  if (opts.attempts || retries === 0) return;
  opts.attempts = Math.min(retries + 1, mostAttempts);
  const backoff = typeof retryDelayMs === 'number' ? { minMs: retryDelayMs } : retryDelayMs;
  opts.backoff ??= { type: backoffField, [backoffField]: backoff } as BackoffOptions;
}

/** @param leftMs How much time its deadline leaves, in milliseconds; undefined if it has none. */
export function taskOf(job: Job, queue: string, lease: string, leftMs: number | undefined): CourierTask {
  return {
    id: job.id as string,
    queue,
    data: fromJson(job.data),
    priority: priorityOf(job.priority),
    attempt: job.attemptsMade + job.stalledCounter + 1,
    retries: job.opts.attempts ? job.opts.attempts - 1 : undefined, // BullMQ's own 0 is none that was given
    delayMs: job.opts.delay,
    key: keyOf(job).key,
    deadline: leftMs === undefined ? undefined : Date.now() + leftMs,
    timeQueued: job.timestamp,
    lease,
  };
}

/** Of a task that can't be read. */
export function unreadLetter(id: string, error: unknown, timeFailed = 0): DeadLetter {
  return { id, data: undefined, priority: 'normal', attempts: 0, error, timeFailed };
}

export function deadLetterOf(job: Job, queue: string): DeadLetter {
  const error = errorOf(job, queue);
  const wasStalled = (error as { readonly code?: unknown } | undefined)?.code === 'TASK_STALLED';
  return {
    id: job.id as string,
    data: fromJson(job.data),
    priority: priorityOf(job.priority),
    attempts: Math.min(job.attemptsStarted, job.attemptsMade + job.stalledCounter - (wasStalled ? 1 : 0)),
    error,
    timeFailed: job.finishedOn ?? job.timestamp,
  };
}

export function listedOf(job: Job, queue: string, state: ListedTask['state']): ListedTask {
  const delivered = job.attemptsMade + job.stalledCounter + (state === 'leased' ? 1 : 0);
  return {
    id: job.id as string,
    name: nameOf(job.name),
    key: keyOf(job).key,
    state,
    priority: priorityOf(job.priority),
    attempts: Math.min(job.attemptsStarted, delivered), // the end of a canceled one counts as an attempt in BullMQ
    timeQueued: job.timestamp,
    timeStarted: job.attemptsStarted === 0 ? undefined : job.processedOn,
    timeEnded: job.finishedOn,
    ...(state === 'failed' && { error: errorOf(job, queue) }),
  };
}

// Errors: what people read is the message and the stack, as BullMQ has them; what else there is follows in a line of its own.

const envelopeMark = '\n# taskwarden ';

/** In characters: of a text that people read, so much is kept. */
const mostOfText = 2 ** 20;

/** A failure as BullMQ keeps it. */
export function failureOf(error: unknown): Error {
  const message = messageOf(error);
  const stack = fieldOf(error, 'stack');
  const failure = new Error(storable(message));
  const shown = storable(typeof stack === 'string' ? stack : message);
  failure.stack = `${shown}${envelopeMark}${JSON.stringify(thrownJson(error))}`;
  return failure;
}

/** A failure after which BullMQ does not try a job again. */
export function finalOf({ message, stack }: Error): Error {
  const { UnrecoverableError } = loadBullMq();
  return Object.assign(new UnrecoverableError(message), stack !== undefined && { stack });
}

/** What was thrown, as plain data. Of what can't be carried, its text is. */
export function thrownJson(thrown: unknown): unknown {
  const { plain, problem } = new PlainCopy(encodeThrown(thrown, isJson));
  return problem === undefined ? plain : encodeThrown(new Error(storable(messageOf(thrown))));
}

/** As every server can keep it. */
function storable(text: string): string {
  return text
    .slice(0, mostOfText)
    .replaceAll('\0', '\uFFFD')
    .replace(/\p{Surrogate}/gu, '\uFFFD');
}

/** Why a job has failed. */
export function errorOf(job: Job, queue: string): unknown {
  const stack = job.stacktrace?.at(-1) ?? '';
  const mark = stack.lastIndexOf(envelopeMark);
  const carried = mark >= 0 ? thrownOf(parseJson(stack.slice(mark + envelopeMark.length))) : undefined;
  if (carried !== undefined) return carried.thrown;
  if (isStalled(job.failedReason)) return taskStalled(queue, job.id as string, job.stalledCounter);
  const error = new Error(job.failedReason); // of a plain worker, or of nobody knows whom
  if (stack !== '') error.stack = stack;
  return error;
}

/** What was thrown, of what `encodeThrown` gave; undefined if it is not that. */
export function thrownOf(wire: unknown): { readonly thrown: unknown } | undefined {
  try {
    return { thrown: decodeThrown(wire as WireThrown) };
  } catch {
    return undefined;
  }
}

/** The text that BullMQ gives a job that has lost too many leases. */
function isStalled(reason: string | undefined): boolean {
  return reason?.startsWith('job stalled more than') ?? false;
}

// A canceled task has ended as well as one that gave a result has, so its job is a completed one.

export const canceledKey = 'taskwarden:canceled';
const replacedKey = 'taskwarden:replaced';

/** What stands for the end of a task that another one has replaced: a canceled one, too. @param by The id of the other. */
export function replacedValue(by: string): object {
  return { [canceledKey]: null, [replacedKey]: by };
}

export function canceledValue(reason: unknown): object {
  const thrown = JSON.stringify(thrownJson(reason));
  const kept = JSON.parse(thrown, (_, value) => (typeof value === 'string' ? storable(value) : value));
  return { [canceledKey]: kept };
}

/** Whether the value of a completed job, as the server tells it, is that of a canceled one. */
export function isCanceledText(returnvalue: string | undefined): boolean {
  return returnvalue?.startsWith(`{"${canceledKey}"`) ?? false;
}

/** What a completed job gave. @throws TaskwardenError `TASK_CANCELED` or `TASK_REPLACED`. */
export function resultOf(returnvalue: unknown, queue: string, id: string): unknown {
  if (typeof returnvalue !== 'object' || returnvalue === null || !(canceledKey in returnvalue))
    return fromJson(returnvalue);
  if (replacedKey in returnvalue) throw taskReplaced(queue, id, String(returnvalue[replacedKey]));
  throw taskCanceled(queue, id, thrownOf(returnvalue[canceledKey])?.thrown);
}

// Progress: BullMQ's tools show numbers up to 100.

export function progressValue({ fraction, note }: Progress): number | object {
  return note === undefined ? fraction * 100 : { fraction, note };
}

export function progressOf(value: unknown): Progress | undefined {
  const [fraction, note] =
    typeof value === 'number' ? [value / 100, undefined] : [fieldOf(value, 'fraction'), fieldOf(value, 'note')];
  if (typeof fraction !== 'number' || !Number.isFinite(fraction)) return undefined;
  return { fraction: Math.min(Math.max(fraction, 0), 1), ...(typeof note === 'string' && { note }) };
}

let latest = 0;
let counter = 0;

/** A UUID (version 7) that sorts by when it was made: jobs that are given back keep their order by it. */
export function makeId(): string {
  const time = Date.now();
  counter += 1;
  if (time > latest || counter > 0xfff) {
    latest = Math.max(time, latest + 1);
    counter = 0;
  }
  const hex = latest.toString(16).padStart(12, '0');
  const tail = crypto.randomUUID().slice(18); // '-xxxx-xxxxxxxxxxxx' with the variant
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${counter.toString(16).padStart(3, '0')}${tail}`;
}
