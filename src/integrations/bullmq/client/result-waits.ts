/**
 * Those who wait for results of a queue, or follow its tasks: many on one stream of events. Whoever waits listens first and
 * then looks, and looks again when events may have been missed, and now and then in any case; so no end is missed.
 */
import { courierKit, type TaskUpdate, type WaitOptions } from '../../../index.ts';
import { progressOf } from '../job/job-format.ts';
import { parseJson } from '../job/json.ts';
import type { EventListener, QueueEvent } from './event-reader.ts';

const { callSafely, courierClosed, fieldOf, onAbort, resultTimeout, Timer } = courierKit;

/** News that BullMQ has no event for. */
export const newsEvent = 'taskwarden:news';

/** How often the ends of tasks that are waited for are looked up, in milliseconds: events can be lost. */
const lookMs = 10_000;

/** The same while the server can't say it. */
const lookAgainMs = 1_000;

/** So many tasks are known to go on, at most. */
const mostExpected = 100_000;

/** So many are looked up at a time. */
const looksAtOnce = 100;

/** What a task came to: `value` gives its result, or throws. */
export interface TaskEnd {
  readonly value: () => unknown;
}

/** Gives the end of a task; undefined if it goes on. */
type Look = (id: string) => Promise<TaskEnd | undefined>;
/** What an event says of a task's end; undefined if it is to be looked up. */
type Read = (event: QueueEvent, id: string) => TaskEnd | undefined;

interface ResultWait {
  end(end: TaskEnd): void;
  fail(error: unknown): void;
}

export class ResultWaits implements EventListener {
  readonly #queue: string;
  readonly #look: Look;
  readonly #read: Read;
  readonly #waits = new Map<string, Set<ResultWait>>();
  readonly #followers = new Map<string, Set<(news: TaskUpdate) => void>>();
  /** Tasks that were added while ends were heard already: those that are still here have not ended. */
  readonly #going = new Set<string>();
  #timer: courierKit.Timer | undefined;
  #looksAt = 0;
  #isLooking = false;
  #looksAgain = false;

  constructor(queue: string, look: Look, read: Read) {
    this.#queue = queue;
    this.#look = look;
    this.#read = read;
  }

  /** @param isHeard The end is heard if it comes from now on. If not, `lookAgain()` is to be called when that is so. */
  wait(id: string, { timeoutMs = Infinity, signal }: WaitOptions, isHeard: boolean): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const leave = () => {
        timer.cancel();
        unlisten?.();
        this.#leave(id, wait);
      };
      const wait: ResultWait = {
        end: ({ value }) => {
          leave();
          try {
            resolve(value());
          } catch (error) {
            reject(error);
          }
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const timer = new Timer(timeoutMs, () => wait.fail(resultTimeout(this.#queue, id, timeoutMs)));
      const unlisten = signal && onAbort(signal, () => wait.fail(signal.reason));
      const waits = this.#waits.get(id);
      if (waits === undefined) this.#waits.set(id, new Set([wait]));
      else waits.add(wait);
      this.#lookLater();
      if (isHeard && !this.#going.has(id)) void this.#lookFor(id, wait);
    });
  }

  /** Their ends will be heard, so that nobody need look for them. The ids were made for them, and are about to be added. */
  expect(ids: readonly string[]): void {
    if (this.#going.size + ids.length > mostExpected) this.#going.clear(); // they would be looked for
    for (const id of ids) this.#going.add(id);
  }

  /** They may not have been added. */
  expectNoMore(ids: readonly string[]): void {
    for (const id of ids) this.#going.delete(id);
  }

  follow(id: string, hear: (news: TaskUpdate) => void): () => void {
    const followers = this.#followers.get(id) ?? new Set();
    this.#followers.set(id, followers);
    const follower = (news: TaskUpdate) => hear(news);
    followers.add(follower);
    return () => {
      followers.delete(follower);
      if (followers.size === 0 && this.#followers.get(id) === followers) this.#followers.delete(id);
    };
  }

  hear(event: QueueEvent): void {
    const { jobId: id } = event;
    if (id === undefined) return;
    const isEnd = event.event === 'completed' || event.event === 'failed' || event.event === 'removed';
    if (isEnd) this.#going.delete(id);
    const waits = this.#waits.get(id);
    const followers = this.#followers.get(id);
    if (waits === undefined && followers === undefined) return;
    switch (event.event) {
      case 'completed':
      case 'failed':
      case 'removed':
        this.#followers.delete(id);
        if (waits !== undefined) this.#ended(event, id, waits);
        break;
      case 'progress':
        this.#tell(followers, newsOfProgress(event['data']));
        break;
      case newsEvent:
        this.#tell(followers, newsOf(parseJson(event['news'])));
        break;
    }
  }

  #tell(followers: ReadonlySet<(news: TaskUpdate) => void> | undefined, news: TaskUpdate | undefined): void {
    if (news === undefined) return;
    const trouble = (problem: unknown) => console.error('BullMQTaskCourier: a listener failed:', problem);
    for (const hear of followers ?? []) callSafely(hear, news, trouble);
  }

  #ended(event: QueueEvent, id: string, waits: ReadonlySet<ResultWait>): void {
    const end = this.#read(event, id);
    for (const wait of [...waits]) {
      if (end !== undefined) wait.end(end);
      else void this.#lookFor(id, wait);
    }
  }

  /** A server that can't be asked now is asked again later. */
  async #lookFor(id: string, wait: ResultWait): Promise<void> {
    try {
      const end = await this.#look(id);
      if (end !== undefined) wait.end(end);
    } catch (error) {
      if (fieldOf(error, 'code') !== 'COURIER_UNREACHABLE') wait.fail(error);
      else if (this.#waits.size > 0) this.#lookLater(lookAgainMs);
    }
  }

  get isWaitedFor(): boolean {
    return this.#waits.size > 0;
  }

  lookAgain(): void {
    this.#going.clear();
    void this.#lookForAll();
  }

  /** It is looked once for all, at the first time that was asked for. */
  #lookLater(ms: number = lookMs): void {
    const at = performance.now() + ms;
    if (this.#timer !== undefined && this.#looksAt <= at) return;
    this.#timer?.cancel();
    this.#looksAt = at;
    this.#timer = new Timer(ms, () => {
      this.#timer = undefined;
      void this.#lookForAll().then(() => {
        if (this.#waits.size > 0) this.#lookLater();
      });
    });
  }

  /** Those who ask for it meanwhile get one more round together. */
  async #lookForAll(): Promise<void> {
    this.#looksAgain = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    while (this.#looksAgain) {
      this.#looksAgain = false;
      await this.#lookOnce();
    }
    this.#isLooking = false;
  }

  async #lookOnce(): Promise<void> {
    const all = [...this.#waits].flatMap(([id, waits]) => [...waits].map((wait) => ({ id, wait })));
    for (let n = 0; n < all.length; n += looksAtOnce) {
      await Promise.all(all.slice(n, n + looksAtOnce).map(({ id, wait }) => this.#lookFor(id, wait)));
    }
  }

  #leave(id: string, wait: ResultWait): void {
    const waits = this.#waits.get(id);
    waits?.delete(wait);
    if (waits?.size === 0) this.#waits.delete(id);
    if (this.#waits.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Ends all waits. */
  fail(error: unknown): void {
    for (const waits of [...this.#waits.values()]) for (const wait of [...waits]) wait.fail(error);
  }

  close(): void {
    this.fail(courierClosed());
    this.#followers.clear();
  }
}

function newsOfProgress(data: string | undefined): TaskUpdate | undefined {
  const progress = progressOf(parseJson(data));
  return progress && { kind: 'progress', progress };
}

/** What a worker said; undefined if it was somebody else. */
function newsOf(value: unknown): TaskUpdate | undefined {
  switch (fieldOf(value, 'kind')) {
    case 'started': {
      const attempt = fieldOf(value, 'attempt');
      return typeof attempt === 'number' ? { kind: 'started', attempt } : undefined;
    }
    case 'message':
      return { kind: 'message', data: fieldOf(value, 'data') };
    case 'progress': {
      const progress = progressOf(fieldOf(value, 'progress'));
      return progress && { kind: 'progress', progress };
    }
    default:
      return undefined;
  }
}
