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
export const updateEvent = 'taskwarden:update';

/** How often the ends of tasks that are waited for are looked up, in milliseconds: events can be lost. */
const pollMs = 10_000;

/** The same while the server can't say it. */
const retryMs = 1_000;

/** So many tasks are known to go on, at most. */
const maxExpected = 100_000;

/** So many are looked up at a time. */
const maxLookUpsAtOnce = 100;

/** What a task came to: `value` gives its result, or throws. */
export interface TaskEnd {
  readonly value: () => unknown;
}

/** Gives the end of a task; undefined if it goes on. */
type LookUp = (id: string) => Promise<TaskEnd | undefined>;
/** What an event says of a task's end; undefined if it is to be looked up. */
type Read = (event: QueueEvent, id: string) => TaskEnd | undefined;

interface ResultWait {
  end(end: TaskEnd): void;
  fail(error: unknown): void;
}

export class ResultWaits implements EventListener {
  readonly #queue: string;
  readonly #lookUp: LookUp;
  readonly #read: Read;
  readonly #waits = new Map<string, Set<ResultWait>>();
  readonly #subscribers = new Map<string, Set<(update: TaskUpdate) => void>>();
  /** Tasks that were added while ends were heard already: those that are still here have not ended. */
  readonly #unfinished = new Set<string>();
  #timer: courierKit.Timer | undefined;
  #lookUpAt = 0;
  #isLookingUp = false;
  #lookUpAgain = false;

  constructor(queue: string, lookUp: LookUp, read: Read) {
    this.#queue = queue;
    this.#lookUp = lookUp;
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
      this.#lookUpLater();
      if (isHeard && !this.#unfinished.has(id)) void this.#lookUpOne(id, wait);
    });
  }

  /** Their ends will be heard, so that nobody need look for them. The ids were made for them, and are about to be added. */
  expect(ids: readonly string[]): void {
    if (this.#unfinished.size + ids.length > maxExpected) this.#unfinished.clear(); // they would be looked for
    for (const id of ids) this.#unfinished.add(id);
  }

  /** They may not have been added. */
  expectNoMore(ids: readonly string[]): void {
    for (const id of ids) this.#unfinished.delete(id);
  }

  subscribe(id: string, listener: (update: TaskUpdate) => void): () => void {
    const subscribers = this.#subscribers.get(id) ?? new Set();
    this.#subscribers.set(id, subscribers);
    const subscriber = (update: TaskUpdate) => listener(update);
    subscribers.add(subscriber);
    return () => {
      subscribers.delete(subscriber);
      if (subscribers.size === 0 && this.#subscribers.get(id) === subscribers) this.#subscribers.delete(id);
    };
  }

  onEvent(event: QueueEvent): void {
    const { jobId: id } = event;
    if (id === undefined) return;
    const isEnd = event.event === 'completed' || event.event === 'failed' || event.event === 'removed';
    if (isEnd) this.#unfinished.delete(id);
    const waits = this.#waits.get(id);
    const subscribers = this.#subscribers.get(id);
    if (waits === undefined && subscribers === undefined) return;
    switch (event.event) {
      case 'completed':
      case 'failed':
      case 'removed':
        this.#subscribers.delete(id);
        if (waits !== undefined) this.#ended(event, id, waits);
        break;
      case 'progress':
        this.#deliver(subscribers, progressUpdateOf(event['data']));
        break;
      case updateEvent:
        this.#deliver(subscribers, updateOf(parseJson(event['update'])));
        break;
    }
  }

  #deliver(subscribers: ReadonlySet<(update: TaskUpdate) => void> | undefined, update: TaskUpdate | undefined): void {
    if (update === undefined) return;
    const onProblem = (problem: unknown) => console.error('BullMQTaskCourier: a listener failed:', problem);
    for (const listener of subscribers ?? []) callSafely(listener, update, onProblem);
  }

  #ended(event: QueueEvent, id: string, waits: ReadonlySet<ResultWait>): void {
    const end = this.#read(event, id);
    for (const wait of [...waits]) {
      if (end !== undefined) wait.end(end);
      else void this.#lookUpOne(id, wait);
    }
  }

  /** A server that can't be asked now is asked again later. */
  async #lookUpOne(id: string, wait: ResultWait): Promise<void> {
    try {
      const end = await this.#lookUp(id);
      if (end !== undefined) wait.end(end);
    } catch (error) {
      if (fieldOf(error, 'code') !== 'COURIER_UNREACHABLE') wait.fail(error);
      else if (this.#waits.size > 0) this.#lookUpLater(retryMs);
    }
  }

  get isWaitedFor(): boolean {
    return this.#waits.size > 0;
  }

  onGap(): void {
    this.#unfinished.clear();
    void this.#lookUpAll();
  }

  /** It is looked once for all, at the first time that was asked for. */
  #lookUpLater(ms: number = pollMs): void {
    const at = performance.now() + ms;
    if (this.#timer !== undefined && this.#lookUpAt <= at) return;
    this.#timer?.cancel();
    this.#lookUpAt = at;
    this.#timer = new Timer(ms, () => {
      this.#timer = undefined;
      void this.#lookUpAll().then(() => {
        if (this.#waits.size > 0) this.#lookUpLater();
      });
    });
  }

  /** Those who ask for it meanwhile get one more round together. */
  async #lookUpAll(): Promise<void> {
    this.#lookUpAgain = true;
    if (this.#isLookingUp) return;
    this.#isLookingUp = true;
    while (this.#lookUpAgain) {
      this.#lookUpAgain = false;
      await this.#lookUpOnce();
    }
    this.#isLookingUp = false;
  }

  async #lookUpOnce(): Promise<void> {
    const all = [...this.#waits].flatMap(([id, waits]) => [...waits].map((wait) => ({ id, wait })));
    for (let n = 0; n < all.length; n += maxLookUpsAtOnce) {
      await Promise.all(all.slice(n, n + maxLookUpsAtOnce).map(({ id, wait }) => this.#lookUpOne(id, wait)));
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
    this.#subscribers.clear();
  }
}

function progressUpdateOf(data: string | undefined): TaskUpdate | undefined {
  const progress = progressOf(parseJson(data));
  return progress && { kind: 'progress', progress };
}

/** What a worker said; undefined if it was somebody else. */
function updateOf(value: unknown): TaskUpdate | undefined {
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
