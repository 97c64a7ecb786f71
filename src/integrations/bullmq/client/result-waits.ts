/**
 * The waits for results of a queue, and the subscriptions to its tasks, on one stream of events. A wait first listens and then
 * looks up the task, and looks again when events may have been missed, and regularly in any case. So no end is missed.
 */
import { courierKit, type TaskUpdate, type WaitOptions } from '../../../index.ts';
import { progressOf } from '../job/job-format.ts';
import { parseJson } from '../job/json.ts';
import type { BullEvent, EventListener } from './event-reader.ts';

const { callSafely, courierClosed, fieldOf, onAbort, resultTimeout, Timer } = courierKit;

/** For updates that BullMQ has no event for. */
export const updateEvent = 'taskwarden:update';

/** How often tasks with waits are looked up, in milliseconds: events can be lost. */
const pollMs = 10_000;

/** The same where there are many: each look-up takes the server as long as a part of a task. */
const pollMsPerWait = 10;
const longestPollMs = 60_000;

/** The same while the server can't be reached. */
const retryMs = 1_000;

/** For how many tasks at most it is remembered that they have not ended. */
const maxExpected = 100_000;

/** How many ends are kept for who is still adding the tasks, and how long a result is that is, in characters. */
const maxEarly = 10_000;
const maxEarlyLength = 1_000;

/** How many tasks are looked up at a time. */
const maxLookUpsAtOnce = 100;

/** The end of a task: `value()` returns its result, or throws its error. */
export interface TaskEnd {
  readonly value: () => unknown;
}

/** Looks up the end of a task; undefined if it has not ended. */
type LookUp = (id: string) => Promise<TaskEnd | undefined>;
/** Whether its end will be heard: the reader has not come to it yet. */
type IsEndComing = (id: string) => Promise<boolean>;
/** Reads the end of a task from an event; undefined if it has to be looked up. */
type Read = (event: BullEvent, id: string) => TaskEnd | undefined;

interface ResultWait {
  end(end: TaskEnd): void;
  fail(error: unknown): void;
}

export class ResultWaits implements EventListener {
  readonly #queue: string;
  readonly #lookUp: LookUp;
  readonly #isEndComing: IsEndComing;
  readonly #read: Read;
  readonly #waits = new Map<string, Set<ResultWait>>();
  readonly #subscribers = new Map<string, Set<(update: TaskUpdate) => void>>();
  /** Tasks that were added while the reader was listening, and have not ended. */
  readonly #unfinished = new Map<string, 'adding' | 'added'>();
  /** The ends of some of those that have ended before their adder can wait for them. */
  readonly #early = new Map<string, BullEvent>();
  #timer: courierKit.Timer | undefined;
  #lookUpAt = 0;
  #isLookingUp = false;
  #lookUpAgain = false;

  constructor(queue: string, lookUp: LookUp, isEndComing: IsEndComing, read: Read) {
    this.#queue = queue;
    this.#lookUp = lookUp;
    this.#isEndComing = isEndComing;
    this.#read = read;
  }

  /** @param isHeard Whether an end from now on is noticed. If not, call `onGap()` as soon as it is. */
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
      const early = this.#early.get(id);
      if (early !== undefined) this.#ended(early, id, [wait]);
      else if (isHeard && !this.#unfinished.has(id)) void this.#lookUpOne(id, wait);
    });
  }

  /** To be called before tasks with new ids are added: their ends will be noticed, so they need not be looked up. */
  expect(ids: readonly string[]): void {
    if (this.#unfinished.size + ids.length > maxExpected) this.#unfinished.clear(); // then they are looked up
    for (const id of ids) this.#unfinished.set(id, 'adding');
  }

  /** To be called when the tasks were added: in this turn of the event loop their adder can wait for them. */
  added(ids: readonly string[]): void {
    for (const id of ids) if (this.#unfinished.has(id)) this.#unfinished.set(id, 'added');
    if (this.#early.size > 0) new Timer(0, () => this.#forgetEarly(ids));
  }

  /** To be called if the tasks may not have been added. */
  expectNoMore(ids: readonly string[]): void {
    for (const id of ids) this.#unfinished.delete(id);
    this.#forgetEarly(ids);
  }

  #forgetEarly(ids: readonly string[]): void {
    for (const id of ids) this.#early.delete(id);
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

  onEvent(event: BullEvent): void {
    const { jobId: id } = event;
    if (id === undefined) return;
    const isEnd = isEndOf(id, event);
    const waits = this.#waits.get(id);
    if (isEnd) {
      if (waits === undefined && this.#unfinished.get(id) === 'adding') this.#keepEarly(event, id);
      this.#unfinished.delete(id);
    }
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

  #keepEarly(event: BullEvent, id: string): void {
    const { returnvalue = '' } = event;
    if (this.#early.size < maxEarly && returnvalue.length <= maxEarlyLength) this.#early.set(id, event);
  }

  #ended(event: BullEvent, id: string, waits: Iterable<ResultWait>): void {
    const end = this.#read(event, id);
    for (const wait of [...waits]) {
      if (end !== undefined) wait.end(end);
      else void this.#lookUpOne(id, wait);
    }
  }

  /** If the server can't be reached, tries again later. */
  async #lookUpOne(id: string, wait: ResultWait): Promise<void> {
    try {
      const end = await this.#lookUp(id);
      if (end === undefined) return;
      if (this.#subscribers.has(id) && (await this.#isEndComing(id))) return; // its updates come first
      wait.end(end);
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

  get #pollMs(): number {
    return Math.min(Math.max(pollMs, pollMsPerWait * this.#waits.size), longestPollMs);
  }

  /** One timer for all waits, at the earliest requested time. */
  #lookUpLater(ms: number = this.#pollMs): void {
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

  /** Requests that come during a round lead to one more round. */
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

  /** Rejects all waits. */
  fail(error: unknown): void {
    for (const waits of [...this.#waits.values()]) for (const wait of [...waits]) wait.fail(error);
  }

  close(): void {
    this.fail(courierClosed());
    this.#subscribers.clear();
  }
}

export function isEndOf(id: string, { jobId, event }: BullEvent): boolean {
  return jobId === id && (event === 'completed' || event === 'failed' || event === 'removed');
}

function progressUpdateOf(data: string | undefined): TaskUpdate | undefined {
  const progress = progressOf(parseJson(data));
  return progress && { kind: 'progress', progress };
}

/** The update of a worker; undefined for anything else. */
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
