/** One queue of BullMQ: fetches jobs, each with a lease, and gives stalled ones back. It never waits for jobs. */
import type { AdvancedOptions, IQueueBackend, Job, Queue } from 'bullmq';
import { courierKit, type KeptWork, type Priority, type TaskwardenError } from '../../../index.ts';
import type { DeadlineStore } from '../deadlines/deadline-store.ts';
import { deadlineOf, endDeadline, failLate, leftOf, tooLate } from '../deadlines/job-deadline.ts';
import { failureOf, finalOf, keyOf, priorityNumbers } from '../job/job-format.ts';
import { backoffStrategy, isTaskMalformed, readJob, saysMalformed, taskMalformed } from '../job/job-reader.ts';
import { isUnstorable, notCloneable } from '../job/json.ts';
import { loadBullMq } from '../peers.ts';
import { guardedMs } from '../server/redis-limits.ts';
import { type Claims, maxEvents, type Server } from '../server/server.ts';
import type { StoredWork } from '../server/work/stored-work.ts';
import { scheduleNext } from './job-schedule.ts';

const { taskStalled } = courierKit;

/** A fetched job, its queue, and the token of its lease. */
export interface Fetched {
  readonly queue: BullQueue;
  readonly job: Job;
  readonly token: string;
  /** What attempts before have kept. */
  readonly kept?: KeptWork | undefined;
  /** How much time its deadline leaves, in milliseconds; undefined if it has none. */
  readonly leftMs?: number | undefined;
}

/** What BullMQ gives for a fetch: what is stored of a job and its id, or for how long there is none. */
type NextJob = Awaited<ReturnType<IQueueBackend['moveToActive']>>;

export interface QueueLimits {
  readonly leaseMs: number;
  readonly maxStalls: number;
}

/** How long a job is locked so that the courier can end it, in milliseconds. */
export const endingMs = 30_000;

/** How many jobs of a priority or above are fetched at a time. */
const maxClaims = 1_000;

export class BullQueue {
  readonly name: string;
  readonly backend: IQueueBackend;
  readonly claims: Claims;
  readonly work: StoredWork;
  readonly deadlines: DeadlineStore;
  /** BullMQ's queue, which its jobs need. */
  readonly #queue: Queue;
  readonly #limits: QueueLimits;
  /** When the next delayed job is due by the last fetch, in epoch milliseconds; or 0. */
  nextDelayed = 0;
  /** For how long BullMQ's global rate limit allows no fetch, by the last fetch, in milliseconds. */
  limitedMs = 0;
  /** Whether the queue has limits of this package, by the last fetch. BullMQ gives none of its jobs then. */
  isLimited = false;
  /** Whether the last fetch found as many as were wanted. */
  #wasFull = false;

  constructor(server: Server, name: string, limits: QueueLimits) {
    const { Queue } = loadBullMq();
    this.name = name;
    this.backend = server.backend(name);
    this.claims = server.claims(name);
    this.work = server.work(name);
    this.deadlines = server.deadlines(name);
    this.#limits = limits;
    const settings: AdvancedOptions = { backoffStrategy }; // its jobs read it, though BullMQ's types name only workers
    this.#queue = new Queue(name, { connection: {}, skipMetasUpdate: true, settings }, () => this.backend) as Queue;
    this.#queue.on('error', () => {});
  }

  /** Makes the server keep enough events for all readers. */
  async keepEvents(): Promise<void> {
    await this.backend.setQueueMeta({ 'opts.maxLenEvents': maxEvents });
  }

  /**
   * Undefined if there is none.
   * @throws TaskwardenError `TASK_MALFORMED`.
   */
  async find(id: string): Promise<Job | undefined> {
    try {
      const json = await this.backend.getJobData(id);
      return json && readJob(this.#queue, json, id);
    } catch (error) {
      throw saysMalformed(error) ? this.#malformed(id) : error;
    }
  }

  /** The same for a job that is to be performed: one that can't be read becomes a dead letter. */
  findHeld(id: string): Promise<Job | undefined> {
    return this.find(id).catch((error: unknown) => this.#buryUnread(id, error));
  }

  /** Resolves with the id of the last; in place of one that has the key of another, with the id of that. */
  async add(jobs: Parameters<Queue['addBulk']>[0]): Promise<string> {
    const [first] = jobs;
    // To make a pipeline for one alone would take as long as to add it.
    const isOne = first !== undefined && jobs.length === 1;
    const added = isOne
      ? await this.#queue.add(first.name, first.data, first.opts)
      : (await this.#queue.addBulk(jobs)).at(-1);
    return added?.id as string;
  }

  /** The id of the job of which there is one with that key. */
  async findUnique(key: string): Promise<string | undefined> {
    return (await this.backend.getDeduplicationJobId(key)) ?? undefined;
  }

  /** Fetches the next jobs, at most `max`, of a priority or above. */
  async fetch(max: number, minPriority: Priority): Promise<readonly Fetched[]> {
    if (minPriority === 'low' && !this.isLimited) {
      const found = await this.#fetchAny(max);
      if (found.length > 0 || !this.isLimited) return found;
    }
    const wasLimited = this.isLimited;
    const found = await this.#claim(max, priorityNumbers[minPriority]);
    // The limits were removed, and nothing is held back by them any more.
    return found.length === 0 && wasLimited && !this.isLimited ? this.fetch(max, minPriority) : found;
  }

  async #fetchAny(max: number): Promise<readonly Fetched[]> {
    if (max === 1) {
      const one = await this.#next();
      this.#wasFull = one !== undefined;
      return one === undefined ? [] : [one];
    }
    // While many wait, all are fetched at once; else one, and then as many as are counted.
    const asked = this.#wasFull ? max : 1;
    const [found, waiting] = await Promise.all([this.#take(asked), asked < max ? this.#countWaiting() : 0]);
    if (found.length === asked && waiting > 0) found.push(...(await this.#take(Math.min(max - asked, waiting))));
    this.#wasFull = found.length === max;
    return this.inOrder(found, ({ job }) => job.id as string);
  }

  /** Puts what was fetched side by side in the order in which it stood. */
  async inOrder<T>(found: readonly T[], idOf: (each: T) => string): Promise<readonly T[]> {
    if (found.length < 2) return found;
    const byId = new Map(found.map((each) => [idOf(each), each]));
    const ids = await this.claims.inOrder([...byId.keys()]);
    return ids.map((id) => byId.get(id)).filter((each) => each !== undefined);
  }

  async #countWaiting(): Promise<number> {
    const counts = await this.backend.getCounts(['waiting', 'prioritized']);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Fetches in parallel. If some of the calls fail, returns the jobs of the others; the leases of the rest run out. */
  async #take(count: number): Promise<Fetched[]> {
    const taken = await Promise.allSettled(Array.from({ length: count }, () => this.#next()));
    const found = taken.flatMap((each) =>
      each.status === 'fulfilled' && each.value !== undefined ? [each.value] : [],
    );
    const failed = taken.find((each) => each.status === 'rejected');
    if (failed !== undefined && found.length === 0) throw failed.reason;
    return found;
  }

  #next(): Promise<Fetched | undefined> {
    const token = crypto.randomUUID();
    return this.#read(this.backend.moveToActive(token), token);
  }

  /** Reads the job that BullMQ has given. One that is not to be performed fails, and the next is fetched instead. */
  async #read(given: NextJob | Promise<NextJob>, token: string): Promise<Fetched | undefined> {
    try {
      const [json, id, limitedMs = 0, delayedUntil = 0] = await given;
      this.nextDelayed = Math.max(delayedUntil, 0);
      this.isLimited = limitedMs > guardedMs;
      this.limitedMs = this.isLimited ? 0 : Math.max(limitedMs, 0);
      if (!json) return undefined;
      const job = readJob(this.#queue, json, id);
      const fetched = { queue: this, job, token };
      const begun = isPlain(job) ? fetched : await this.#begin(fetched);
      if (begun !== undefined) return begun;
    } catch (error) {
      if (!isTaskMalformed(error) && !saysMalformed(error)) throw error;
      // The id of a job that can't be read is not known here; the server finds it by the token.
      const id = await this.claims.heldBy(token);
      if (id === undefined) throw error;
      await this.#buryUnread(id, isTaskMalformed(error) ? error : this.#malformed(id));
    }
    return this.#next();
  }

  /**
   * Completes a job that is held with the token. With `fetchesNext` BullMQ fetches the next one in the same step, and locks it
   * with the same token. Once the job is completed, this never rejects: a next one whose fetch fails comes again.
   */
  async complete(job: Job, result: unknown, token: string, wantsNext: boolean): Promise<Fetched | undefined> {
    const keep = job.opts.removeOnComplete ?? false;
    const fetchesNext = wantsNext && !this.isLimited;
    const { key, uniqueForMs } = keyOf(job);
    if (key !== undefined && uniqueForMs > 0) {
      await this.claims.keepUnique(job.id as string, token, key, uniqueForMs);
    }
    let given: NextJob | Promise<never>;
    try {
      given = (await this.backend.moveToCompleted(job, result, keep, token, fetchesNext)).result ?? [];
    } catch (error) {
      // Redis's script has done what came before the error: if the job is completed, it is the next one that can't be read.
      if (!fetchesNext || !saysMalformed(error) || (await this.backend.isFinished(job.id as string)) === 0) {
        await this.#keepWhilePending(job);
        throw isUnstorable(error) ? notCloneable('RESULT_NOT_CLONEABLE', 'the result', error) : error;
      }
      given = Promise.reject(error);
    }
    endDeadline(this.deadlines, job);
    return fetchesNext ? this.#read(given, token).catch(() => undefined) : undefined;
  }

  /** Whether a job that goes on is unique does not end with a time. */
  async #keepWhilePending(job: Job): Promise<void> {
    const { key, uniqueForMs } = keyOf(job);
    if (key !== undefined && uniqueForMs > 0)
      await this.claims.keepUnique(job.id as string, '', key, 0).catch(() => {});
  }

  /** Gives a job back. False if it is not held with the token any more. */
  async giveBack(job: Job, token: string): Promise<boolean> {
    const isGivenBack = await this.claims.giveBack(job.id as string, token);
    if (isGivenBack) await this.leave(job);
    return isGivenBack;
  }

  /**
   * To be called when the job is not held any more: another one of its key may start. If that fails, it is found out when the
   * lock of the job would have run out.
   */
  async leave(job: Job): Promise<void> {
    const { key } = keyOf(job);
    if (this.isLimited && key !== undefined) await this.claims.leaveKey(job.id as string, key).catch(() => {});
  }

  #malformed(id: string): TaskwardenError {
    return taskMalformed(this.name, id, 'its fields are not those of a job');
  }

  /** Makes a job that can't be read a dead letter, by its id. @throws any other error. */
  async #buryUnread(id: string, error: unknown): Promise<undefined> {
    if (!isTaskMalformed(error)) throw error;
    await this.claims.bury(id, error.message);
  }

  /** For one of which there is more to know. Undefined if the job has to fail before it starts. */
  async #begin(fetched: Fetched): Promise<Fetched | undefined> {
    const { job, token } = fetched;
    if (job.repeatJobKey) await scheduleNext(job, this.name, this.backend);
    if (job.deferredFailure !== undefined) {
      await this.#bury(job, token);
      return undefined;
    }
    const leftMs = await leftOf(this.deadlines, job);
    if (leftMs !== undefined && leftMs <= 0) {
      await failLate(this.deadlines, job, tooLate(job, this.name, false), token);
      return undefined;
    }
    // At its first start there can be none.
    const kept = job.attemptsStarted > 1 ? await this.work.of(job) : undefined;
    return { ...fetched, leftMs, kept };
  }

  async #claim(max: number, maxPriority: number): Promise<Fetched[]> {
    const tokens = Array.from({ length: Math.min(max, maxClaims) }, () => crypto.randomUUID());
    const { ids, isLimited, waitMs } = await this.claims.claim(maxPriority, tokens, this.#limits.leaseMs);
    this.isLimited = isLimited;
    if (isLimited) this.nextDelayed = waitMs === undefined ? 0 : Date.now() + waitMs;
    const begun = await Promise.all(ids.map((id, n) => this.#claimed(id, tokens[n] as string)));
    return begun.filter((each) => each !== undefined);
  }

  async #claimed(id: string, token: string): Promise<Fetched | undefined> {
    try {
      const job = await this.find(id);
      return job && (await this.#begin({ queue: this, job, token }));
    } catch (error) {
      return this.#buryUnread(id, error);
    }
  }

  /** Gives back jobs whose lease has run out. Those that have lost too many, or can't be read, fail. */
  async recover(): Promise<void> {
    for (const id of await this.claims.unsound()) await this.#buryUnread(id, this.#malformed(id));
    for (const id of await this.claims.giveBackStalled()) await this.#recoverOne(id);
  }

  async #recoverOne(id: string): Promise<void> {
    const job = await this.findHeld(id);
    if (job === undefined) return;
    await this.leave(job);
    await this.#keepWhilePending(job);
    if (job.stalledCounter < this.#limits.maxStalls) return;
    const token = crypto.randomUUID();
    if ((await this.claims.seize(id, token, endingMs)) !== undefined) await this.#bury(job, token);
  }

  async #bury(job: Job, token: string): Promise<void> {
    const failure = finalOf(failureOf(taskStalled(this.name, job.id as string, job.stalledCounter)));
    try {
      await job.moveToFailed(failure, token, false);
    } catch (error) {
      if (!saysMalformed(error)) throw error;
      await this.claims.bury(job.id as string, failure.message);
    }
  }
}

/** Whether a job is at its first start, and has no deadline, and no scheduler has made it: it can begin as it is. */
function isPlain(job: Job): boolean {
  const { repeatJobKey, deferredFailure, attemptsStarted } = job;
  return !repeatJobKey && deferredFailure === undefined && attemptsStarted <= 1 && deadlineOf(job) === undefined;
}
