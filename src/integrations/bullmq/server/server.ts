/** What couriers need of a server beside BullMQ's own calls; Redis and PostgreSQL each have theirs. */
import type { IQueueBackend } from 'bullmq';
import { courierKit, type ListOptions } from '../../../index.ts';
import { isRefusalOfRedis } from '../../redis-connection.ts';
import type { DeadlineStore } from '../deadlines/deadline-store.ts';
import { isUnstorable } from '../job/json.ts';
import type { StoredWork } from './work/stored-work.ts';

const { fieldOf, messageOf, textOf } = courierKit;

/** Which jobs. */
export type ListedRange = Required<ListOptions>;
/** What a claim gives. */
export interface Claimed {
  readonly ids: readonly string[];
  /** Whether the queue has limits: then this is the only way to its jobs. */
  readonly isLimited: boolean;
  /** If it has: after how long a job may start that may not now, in milliseconds. Undefined if that is not known. */
  readonly waitMs: number | undefined;
}

/** What BullMQ does not tell of a queue. */
export interface QueueState {
  readonly isPaused: boolean;
  /** As JSON. */
  readonly limits: string;
  /** How many jobs their keys hold back, by priority number, from 1. BullMQ counts them as delayed. */
  readonly held: readonly number[];
}

/** A job whose place another one takes. */
export interface Replaced {
  readonly id: string;
  /** Where it stood among those that wait; undefined if it was delayed. */
  readonly place: string | undefined;
}

/** Where a job was taken from. */
export type TakenFrom = 'waiting' | 'active';

/** What BullMQ has no call for: to take a certain job, and those above a priority. */
export interface Claims {
  /**
   * Takes a job, from where it waits or from who has it, who then can't end it any more. Undefined if it has ended, or is
   * not known.
   */
  seize(id: string, token: string, lockMs: number): Promise<TakenFrom | undefined>;
  /**
   * Takes those that are first among those of a priority number up to `maxPriority` (small numbers are urgent), one for
   * each token, and may start by the limits of the queue.
   */
  claim(maxPriority: number, tokens: readonly string[], lockMs: number): Promise<Claimed>;
  /** Sets the limits of the queue, as JSON. Gives those that it had. */
  setLimits(limits: string): Promise<string | undefined>;
  /** A worker does not hold the job any more: in a queue with limits, another one of its key may start. */
  leaveKey(id: string, key: string): Promise<void>;
  state(): Promise<QueueState>;
  /**
   * Takes the job of which there is one with that key, if it waits: the key is for another job now. Undefined if none waits.
   */
  replace(key: string, by: string, token: string, lockMs: number): Promise<Replaced | undefined>;
  /** Lets a job that waits have the place of one that was replaced. */
  takePlace(id: string, place: string): Promise<void>;
  /**
   * Lets a job that is held with that token be the one of its key for so long, though it is completed meanwhile.
   * @param ms If 0, it is so only until it has ended, whoever holds it.
   */
  keepUnique(id: string, token: string, key: string, ms: number): Promise<void>;
  /** The order in which jobs stood that were fetched side by side. */
  inOrder(ids: readonly string[]): Promise<readonly string[]>;
  /** Which of these jobs have log lines. */
  withLogs(ids: readonly string[]): Promise<string[]>;
  /** Lets a job that has failed be as if it had lost no lease, and had been added now. */
  renew(id: string): Promise<void>;
  /** Gives a job back, before those that wait. False if it was not held with that token. */
  giveBack(id: string, token: string): Promise<boolean>;
  /** The job that is held with that token, if it is. */
  heldBy(token: string): Promise<string | undefined>;
  /** Ends a job as one that has failed, wherever it is, and without reading it. */
  bury(id: string, reason: string): Promise<void>;
  /** Jobs whose lock has run out that are none: they are to be buried before others can be given back. */
  unsound(): Promise<string[]>;
  /** The ids of jobs in a state, in the order of `listTasks()`. Those that completed before `since` (epoch milliseconds) are gone. */
  list(options: ListedRange, since: number): Promise<readonly string[]>;
  /** When a job has failed, in epoch milliseconds. */
  timeFailed(id: string): Promise<number | undefined>;
  /** Gives back the jobs whose lock has run out, before those that wait. Gives their ids. */
  giveBackStalled(): Promise<string[]>;
}

/** How many events the server keeps for slow readers; BullMQ's default is 10,000. */
export const maxEvents = 50_000;

/** The event that a job is given back: BullMQ's own looks like that of a retry, and follows. */
export const releasedEvent = 'taskwarden:released';

export interface BackendSettings {
  readonly leaseMs: number;
  /** How often all machines together look for leases that have run out, in milliseconds. */
  readonly stalledIntervalMs: number;
}

/** A server that is connected. Its backends connect by themselves again when it comes back. */
export interface Server {
  /** For calls that are answered at once. All queues share its connection. */
  backend(queue: string): IQueueBackend;
  /** To wait for jobs, and nothing else. */
  waiting(queue: string): Promise<IQueueBackend>;
  /**
   * To read events, and nothing else.
   * @param onBack Called each time its connection is back after it was lost, if no read fails then.
   */
  reading(queue: string, onBack: () => void): Promise<IQueueBackend>;
  /** What comes after a place in the events of a queue, in the shape of BullMQ's `readEvents()`, without waiting. */
  eventsAfter(queue: string, place: string): ReturnType<IQueueBackend['readEvents']>;
  /** Whether an event is never seen after one with a higher number. */
  readonly ordersEvents: boolean;
  claims(queue: string): Claims;
  /** Of all queues that a job was added to. */
  queueNames(): Promise<string[]>;
  work(queue: string): StoredWork;
  deadlines(queue: string): DeadlineStore;
  /** Some call was not answered in time: the connection may be dead without having been closed. */
  reconnect(): void;
  /** Ends all of its connections, also those of what waits or reads; does not wait long for a server that does not answer. */
  close(): Promise<void>;
}

/** How long the server may take for an answer, in milliseconds. */
export const answerMs = 5_000;

/** How long the server may take to close a connection, in milliseconds. */
export const closeMs = 1_000;

/** How long the pauses between tries to reach a server grow, in milliseconds. */
export const longestPauseMs = 2_000;

/**
 * Whether an error is about what was asked: BullMQ's numbers for jobs that are not where they were, values that no server
 * can keep, and mistakes in the call. All else is trouble of the server or of the way to it, whatever it is: it passes.
 */
export function isAnswer(error: unknown): boolean {
  if (fieldOf(error, 'name') === 'TaskwardenError' || typeof fieldOf(error, 'code') === 'number') return true;
  return isUnstorable(error) || [TypeError, RangeError, SyntaxError].some((mistake) => error instanceof mistake);
}

/** Whether a call was not answered in time, so that its connection may be dead though nobody has closed it. */
export function hasTimedOut(error: unknown): boolean {
  return /timed out|timeout/i.test(messageOf(error));
}

/** The SQLSTATE for a client that may not connect, or whose database does not exist. */
const closedDoor = /^(28|3D|42|0A)/;

/** Of certificates that are not trusted. */
const tlsCode = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|^ERR_TLS|ALTNAME/;

/** Whether waiting won't help after this error of the first connection: a wrong password, no such database, no rights. */
export function isRefusal(error: unknown): boolean {
  const code = textOf(fieldOf(error, 'code') ?? '');
  const isOfPostgres = fieldOf(error, 'name') === 'error';
  return isRefusalOfRedis(error) || (isOfPostgres && closedDoor.test(code)) || tlsCode.test(code);
}

/** Whether an error comes from the server, by its code or name, or from the connection, by its text. */
export function isOfServer(error: unknown): boolean {
  if (fieldOf(error, 'name') === 'ReplyError' || fieldOf(error, 'code') !== undefined) return true;
  return /\b(connection|closed|timed out|timeout|stream|socket|retries)\b/i.test(messageOf(error));
}
