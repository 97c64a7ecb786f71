/**
 * Adds tasks as jobs: all or none, and once, however often that is tried. BullMQ's deduplication sees to it that there is one
 * task of a key at a time.
 */
import type { Job } from 'bullmq';
import { type AddOptions, courierKit, type TaskwardenError } from '../../../index.ts';
import type { DeadlineWatch } from '../deadlines/deadline-watch.ts';
import { deadlineOptions, type JobDeadline, markOf } from '../deadlines/job-deadline.ts';
import { jobNameOf, jobOptions, nonceOption, priorityNumbers, replacedValue } from '../job/job-format.ts';
import { isTaskMalformed } from '../job/job-reader.ts';
import { isUnstorable, notCloneable } from '../job/json.ts';
import type { Asked, Link } from '../server/link.ts';
import { pauseAfter } from '../server/pause.ts';
import type { Replaced } from '../server/server.ts';
import { type BullQueue, endingMs } from '../worker/bull-queue.ts';
import type { QueueLimit } from './queue-limit.ts';
import type { ResultWaits } from './result-waits.ts';

const { duplicateId, fieldOf, taskExists } = courierKit;

export interface NewTask {
  readonly id: string;
  readonly data: unknown;
}

type NewJobs = Parameters<BullQueue['add']>[0];

/** A job that waited, and that is held so that it can be ended. */
interface Seized extends Replaced {
  readonly token: string;
}

export class Additions {
  readonly #link: Link;
  readonly #limit: QueueLimit;
  readonly #resultTtlMs: number;
  readonly #waitsOf: (queue: string) => ResultWaits | undefined;
  readonly #watch: DeadlineWatch;

  /** @param waitsOf The waits for results of a queue, if they notice each end from now on. */
  constructor(
    link: Link,
    limit: QueueLimit,
    resultTtlMs: number,
    watch: DeadlineWatch,
    waitsOf: (queue: string) => ResultWaits | undefined,
  ) {
    this.#link = link;
    this.#watch = watch;
    this.#limit = limit;
    this.#resultTtlMs = resultTtlMs;
    this.#waitsOf = waitsOf;
  }

  /**
   * Resolves with their ids; in place of one that has joined another, with the id of that. Can be repeated if it is not known
   * whether a task was added: with the same id it is added once.
   */
  async add(queue: string, tasks: readonly NewTask[], options: AddOptions): Promise<string[]> {
    const [first] = tasks;
    if (first === undefined) return [];
    const { wait = false, signal } = options;
    const nonce = options.id === undefined ? undefined : crypto.randomUUID();
    for (let failures = 1; ; failures += 1) {
      signal?.throwIfAborted();
      try {
        if (options.unique !== undefined) return [await this.#addUnique(queue, first, options, nonce)];
        await this.#addInRoom(queue, tasks, options, nonce);
        return tasks.map(({ id }) => id);
      } catch (error) {
        if (!wait || !isUnreachable(error)) throw error;
        await pauseAfter(failures, this.#link.endOr(signal));
      }
    }
  }

  /** Resolves with the id of the last. */
  async #addInRoom(
    queue: string,
    tasks: readonly NewTask[],
    { wait = false, signal, ...options }: AddOptions,
    nonce: string | undefined,
  ): Promise<string> {
    let id = '';
    const put = async (some: readonly NewTask[]) => {
      id = await this.#ask(queue, tasks, (asked) => this.#put(asked, some, options, nonce));
    };
    await this.#limit.add(queue, tasks, { wait, ...(signal !== undefined && { signal }) }, put);
    return id;
  }

  #ask<R>(queue: string, tasks: readonly NewTask[], call: (asked: Asked) => Promise<R>): Promise<R> {
    const [first] = tasks;
    const what = tasks.length === 1 ? `task '${first?.id}' may not have been added` : 'tasks may not have been added';
    return this.#link.ask(queue, what, call, first?.id);
  }

  /** Resolves with the id of the last one, or of that which has its key. */
  async #put({ queue }: Asked, tasks: readonly NewTask[], options: AddOptions, nonce?: string): Promise<string> {
    const { deadlineMs: ms } = options;
    if (ms === undefined) return this.#putJobs(queue, tasks, options, nonce);
    const deadline = crypto.randomUUID();
    const marks = tasks.map(({ id }) => markOf(deadline, id));
    const since = performance.now();
    await queue.deadlines.start(marks, ms);
    this.#watch.lookIn(queue.name, ms);
    const added = await this.#putJobs(queue, tasks, options, nonce, (id) => ({ ms, mark: markOf(deadline, id) }));
    if (performance.now() - since >= ms) {
      await queue.deadlines.start(marks, 0); // what was over before there was a job has been forgotten
      this.#watch.lookIn(queue.name, 0);
    }
    return added;
  }

  async #putJobs(
    queue: BullQueue,
    tasks: readonly NewTask[],
    options: AddOptions,
    nonce: string | undefined,
    deadlineFor?: (id: string) => JobDeadline,
  ): Promise<string> {
    const jobs = tasks.map(({ id, data }) => {
      const opts = {
        ...jobOptions(id, options, this.#resultTtlMs),
        ...(deadlineFor !== undefined && deadlineOptions(deadlineFor(id))),
        ...(nonce !== undefined && { [nonceOption]: nonce }),
      };
      return { name: jobNameOf(data), data, opts };
    });
    let added: string;
    try {
      if (nonce === undefined) return await this.#addNew(queue, jobs);
      added = await queue.add(jobs);
    } catch (error) {
      if (isUnstorable(error)) throw notCloneable('ARGUMENT_NOT_CLONEABLE', 'the data of the task', error);
      throw error;
    }
    const [{ id }] = tasks as readonly [NewTask];
    if (added !== id) return added;
    let job = await queue.find(id).catch((error: unknown) => {
      throw isTaskMalformed(error) ? duplicateId(queue.name, id) : error; // a job of another program has the id
    });
    if (job?.finishedOn !== undefined && job.failedReason === undefined && isExpired(job, this.#resultTtlMs)) {
      await queue.backend.remove(id, false); // its result has expired
      added = await queue.add(jobs);
      job = added === id ? await queue.find(id) : undefined;
    }
    // If the job is not there any more, it was added and has ended since.
    const own = job === undefined ? nonce : (job.opts as { readonly [nonceOption]?: string })[nonceOption];
    if (own !== nonce) throw duplicateId(queue.name, id);
    return added;
  }

  /** Adds jobs with new ids. */
  async #addNew(queue: BullQueue, jobs: NewJobs): Promise<string> {
    const waits = this.#waitsOf(queue.name);
    const ids = jobs.map(({ opts }) => opts?.jobId as string);
    waits?.expect(ids);
    let added: string | undefined;
    try {
      added = await queue.add(jobs);
      return added;
    } finally {
      if (added === ids.at(-1)) waits?.added(ids);
      else waits?.expectNoMore(ids);
    }
  }

  async #addUnique(queue: string, task: NewTask, options: AddOptions, nonce: string | undefined): Promise<string> {
    if (options.unique === 'replace') return this.#addReplacing(queue, task, options, nonce);
    const key = options.key as string;
    const known = await this.#addInRoom(queue, [task], options, nonce).catch(async (error: unknown) => {
      // One that joins another needs no room.
      const found = isQueueFull(error) && (await this.#ask(queue, [task], (asked) => asked.queue.findUnique(key)));
      if (typeof found !== 'string') throw error;
      return found;
    });
    if (known !== task.id && options.unique === 'refuse') throw taskExists(queue, key, known);
    return known;
  }

  async #addReplacing(queue: string, task: NewTask, options: AddOptions, nonce: string | undefined): Promise<string> {
    const { key = '' } = options;
    const seized: Seized[] = [];
    try {
      for (let added = ''; added !== task.id; ) {
        const token = crypto.randomUUID();
        const replaced = await this.#ask(queue, [task], ({ queue: bull }) =>
          bull.claims.replace(key, task.id, token, endingMs),
        );
        if (replaced !== undefined) seized.push({ ...replaced, token });
        // It has the room of the one that it replaces. Another one may have got the key meanwhile.
        added =
          seized.length > 0
            ? await this.#ask(queue, [task], (asked) => this.#put(asked, [task], options, nonce))
            : await this.#addInRoom(queue, [task], options, nonce);
      }
    } catch (error) {
      const giveBack = ({ queue: bull }: Asked) =>
        Promise.allSettled(seized.map(({ id, token }) => bull.claims.giveBack(id, token)));
      if (seized.length > 0) await this.#ask(queue, [task], giveBack).catch(() => {}); // then their locks run out
      throw error;
    }
    for (const each of seized) {
      await this.#ask(queue, [task], (asked) => this.#endReplaced(asked, each, task.id, options));
    }
    return task.id;
  }

  async #endReplaced(
    { queue }: Asked,
    { id, token, place }: Seized,
    by: string,
    { priority = 'normal', delayMs = 0 }: AddOptions,
  ): Promise<void> {
    const job = await queue.findHeld(id);
    if (job === undefined) return;
    const isSame = job.priority === priorityNumbers[priority] && delayMs === 0;
    if (place !== undefined && isSame) await queue.claims.takePlace(by, place);
    await queue.backend.moveToCompleted(job, replacedValue(by), job.opts.removeOnComplete ?? false, token, false);
    await queue.leave(job);
  }
}

/** BullMQ removes old results only now and then, and counts their age in seconds. */
export function isExpired({ finishedOn = 0, opts }: Job, resultTtlMs: number): boolean {
  const { age } = (opts.removeOnComplete ?? {}) as { readonly age?: number };
  if (age === undefined) return false;
  return Date.now() - finishedOn > Math.min(age * 1_000, resultTtlMs);
}

export function isUnreachable(error: unknown): boolean {
  return fieldOf(error, 'code') === 'COURIER_UNREACHABLE';
}

function isQueueFull(error: unknown): error is TaskwardenError {
  return fieldOf(error, 'code') === 'QUEUE_FULL';
}
