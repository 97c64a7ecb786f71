/** One queue of BullMQ: jobs are fetched from it, each with a lease, and brought back to it. It waits for nothing. */
import type { IQueueBackend, Job, Queue } from 'bullmq';
import { courierKit, type Priority } from '../../index.ts';
import { mostEvents } from './event-reader.ts';
import { failureOf, priorityNumbers } from './job-format.ts';
import { loadBullMq } from './peers.ts';
import type { Claims, Server } from './server.ts';

const { taskStalled } = courierKit;

/** A job that was fetched. */
export interface Fetched {
  readonly job: Job;
  readonly token: string;
}

export interface QueueLimits {
  readonly leaseMs: number;
  readonly maxStalls: number;
}

/** How long a job that is to be ended is held for that, in milliseconds. */
export const endingMs = 30_000;

/** So many jobs of a priority and above are fetched at a time. */
const mostClaims = 1_000;

export class BullQueue {
  readonly name: string;
  readonly backend: IQueueBackend;
  readonly claims: Claims;
  /** BullMQ's own, for jobs to belong to. */
  readonly #queue: Queue;
  readonly #limits: QueueLimits;
  /** When the next delayed job is due, as far as the last fetch told, in epoch milliseconds; or 0. */
  nextDelayed = 0;
  /** The last fetch gave as many as it was asked for. */
  #wasFull = false;

  constructor(server: Server, name: string, limits: QueueLimits) {
    const { Queue } = loadBullMq();
    this.name = name;
    this.backend = server.backend(name);
    this.claims = server.claims(name);
    this.#limits = limits;
    this.#queue = new Queue(name, { connection: {}, skipMetasUpdate: true }, () => this.backend) as Queue;
    this.#queue.on('error', () => {});
  }

  /** Lets the server keep enough events for all who wait. */
  async keepEvents(): Promise<void> {
    await this.backend.setQueueMeta({ 'opts.maxLenEvents': mostEvents });
  }

  async find(id: string): Promise<Job | undefined> {
    const json = await this.backend.getJobData(id);
    return json && this.#jobOf(json, id);
  }

  #jobOf(json: Parameters<typeof Job.fromJSON>[1], id: string): Job {
    return loadBullMq().Job.fromJSON(this.#queue, json, id);
  }

  async add(jobs: Parameters<Queue['addBulk']>[0]): Promise<void> {
    await this.#queue.addBulk(jobs);
  }

  /** Those that are next, at most `max`, of a priority and above. */
  async fetch(max: number, minPriority: Priority): Promise<Fetched[]> {
    if (minPriority !== 'low') return this.#claim(max, priorityNumbers[minPriority]);
    // As long as many wait, all are asked for at once; else as many as are seen to wait.
    const asked = this.#wasFull ? max : 1;
    const [found, waiting] = await Promise.all([this.#take(asked), asked < max ? this.#countWaiting() : 0]);
    if (found.length === asked && waiting > 0) found.push(...(await this.#take(Math.min(max - asked, waiting))));
    this.#wasFull = found.length === max;
    if (found.length < 2) return found;
    const byId = new Map(found.map((each) => [each.job.id as string, each]));
    const ids = await this.claims.inOrder([...byId.keys()]);
    return ids.map((id) => byId.get(id)).filter((each) => each !== undefined);
  }

  async #countWaiting(): Promise<number> {
    const counts = await this.backend.getCounts(['waiting', 'prioritized']);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Side by side. When the server goes away in the middle, those that came count; of others the lease runs out. */
  async #take(count: number): Promise<Fetched[]> {
    const taken = await Promise.allSettled(Array.from({ length: count }, () => this.#next()));
    const found = taken.flatMap((each) =>
      each.status === 'fulfilled' && each.value !== undefined ? [each.value] : [],
    );
    const failed = taken.find((each) => each.status === 'rejected');
    if (failed !== undefined && found.length === 0) throw failed.reason;
    return found;
  }

  async #next(): Promise<Fetched | undefined> {
    const token = crypto.randomUUID();
    const [json, id, , delayedUntil] = await this.backend.moveToActive(token);
    this.nextDelayed = Math.max(delayedUntil ?? 0, 0);
    if (!json) return undefined;
    return (await this.#begun({ job: this.#jobOf(json, id), token })) ?? this.#next();
  }

  /** Undefined if it is to fail before it begins. */
  async #begun(fetched: Fetched): Promise<Fetched | undefined> {
    const { job } = fetched;
    if (job.repeatJobKey) await this.#scheduleNext(job);
    if (job.deferredFailure === undefined) return fetched;
    await this.#bury(fetched);
    return undefined;
  }

  /** A job that a scheduler of BullMQ has made: whoever begins it adds the next. */
  async #scheduleNext(job: Job): Promise<void> {
    const { JobScheduler } = loadBullMq();
    const scheduler = new JobScheduler(this.name, { connection: {} }, () => this.backend);
    scheduler.on('error', () => {});
    const { repeatJobKey = '', name, data, opts, id } = job;
    await scheduler.upsertJobScheduler(
      repeatJobKey,
      (opts as { readonly repeat?: object }).repeat ?? {},
      name,
      data,
      opts,
      {
        override: false,
        ...(id !== undefined && { producerId: id }),
      },
    );
  }

  async #claim(max: number, maxPriority: number): Promise<Fetched[]> {
    const tokens = Array.from({ length: Math.min(max, mostClaims) }, () => crypto.randomUUID());
    const ids = await this.claims.claim(maxPriority, tokens, this.#limits.leaseMs);
    const jobs = await Promise.all(ids.map((id) => this.find(id)));
    const found = jobs.flatMap((job, n) => (job === undefined ? [] : [{ job, token: tokens[n] as string }]));
    const begun = await Promise.all(found.map((each) => this.#begun(each)));
    return begun.filter((each) => each !== undefined);
  }

  /** Gives back those whose lease has run out; what has lost too many has failed. */
  async recover(): Promise<void> {
    for (const id of await this.claims.giveBackStalled()) {
      const job = await this.find(id);
      if (job === undefined || job.stalledCounter < this.#limits.maxStalls) continue;
      const token = crypto.randomUUID();
      if ((await this.claims.seize(id, token, endingMs)) !== undefined) await this.#bury({ job, token });
    }
  }

  async #bury({ job, token }: Fetched): Promise<void> {
    const { UnrecoverableError } = loadBullMq();
    const stalled = failureOf(taskStalled(this.name, job.id as string, job.stalledCounter));
    const failure = new UnrecoverableError(stalled.message);
    if (stalled.stack !== undefined) failure.stack = stalled.stack;
    await job.moveToFailed(failure, token, false);
  }
}
