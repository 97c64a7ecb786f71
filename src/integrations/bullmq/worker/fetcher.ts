/**
 * Fetches the jobs of one queue for all who want some, or wait for some; and gives jobs back whose lease has run out. One
 * loop waits at the server for those who take any job. Who takes urgent ones alone must not stand in that line, because the
 * signal for a job that he does not take would be lost to others: for those it is looked often.
 */
import type { IQueueBackend } from 'bullmq';
import { courierKit, type Priority, type WaitOptions } from '../../../index.ts';
import { priorityNumbers, priorityOf } from '../job/job-format.ts';
import { pauseAfter } from '../server/pause.ts';
import { hasTimedOut, type Server } from '../server/server.ts';
import type { BullQueue, Fetched } from './bull-queue.ts';

const { courierClosed, onAbort, pause, Timer } = courierKit;

/** How long the loop waits at the server before it asks again, in milliseconds: health is told by it. */
const blockMs = 5_000;

/** Redis before 7.0.8 takes less for no limit at all. */
const shortestBlockMs = 2;

/** How often it is looked for urgent jobs, in milliseconds. */
const pollMs = 50;

interface FetchWait {
  readonly max: number;
  readonly minPriority: Priority;
  resolve(found: readonly Fetched[]): void;
  reject(error: unknown): void;
}

/** Hears how those fare who wait. */
export interface FetchListener {
  /** The server has answered a fetch. */
  answered(): void;
  /** It has not, and is asked again. */
  failed(error: unknown): void;
}

export class Fetcher {
  readonly #queue: BullQueue;
  readonly #server: Server;
  readonly #listener: FetchListener;
  readonly #waits = new Set<FetchWait>();
  readonly #end = new AbortController();
  #waiting: IQueueBackend | undefined;
  #isWaitingForAny = false;
  /** The last fetch left nothing, so it is time to wait: a job that came since has left a signal, and so has each that was taken. */
  #isDrained = false;
  #isPolling = false;

  constructor(queue: BullQueue, server: Server, stalledIntervalMs: number, listener: FetchListener) {
    this.#queue = queue;
    this.#server = server;
    this.#listener = listener;
    this.#recoverLater(stalledIntervalMs);
  }

  async fetch(max: number, minPriority: Priority): Promise<readonly Fetched[]> {
    const found = await this.#queue.fetch(max, minPriority);
    this.#listener.answered();
    return found;
  }

  /** At least one; none when the time is over. A server that can't be asked is waited for. */
  wait(max: number, minPriority: Priority, { timeoutMs = Infinity, signal }: WaitOptions): Promise<readonly Fetched[]> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waits.delete(wait);
        timer.cancel();
        unlisten?.();
      };
      const wait: FetchWait = {
        max,
        minPriority,
        resolve: (found) => {
          leave();
          resolve(found);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      const timer = new Timer(timeoutMs, () => wait.resolve([]));
      const unlisten = signal && onAbort(signal, () => wait.reject(signal.reason));
      if (signal?.aborted || this.#end.signal.aborted) {
        wait.reject(signal?.aborted ? signal.reason : courierClosed());
        return;
      }
      this.#waits.add(wait);
      if (minPriority === 'low') void this.#waitForAny();
      else void this.#pollForUrgent();
    });
  }

  #first(takesAll: boolean): FetchWait | undefined {
    for (const wait of this.#waits) if ((wait.minPriority === 'low') === takesAll) return wait;
    return undefined;
  }

  /** How many those take together who take any. */
  get #wanted(): number {
    let wanted = 0;
    for (const { max, minPriority } of this.#waits) if (minPriority === 'low') wanted += max;
    return wanted;
  }

  async #waitForAny(): Promise<void> {
    if (this.#isWaitingForAny) return;
    this.#isWaitingForAny = true;
    await this.#repeat(
      () => this.#first(true),
      async () => {
        if (!this.#isDrained) {
          const wanted = this.#wanted;
          const found = await this.fetch(wanted, 'low');
          this.#isDrained = found.length < wanted;
          this.#deliver(found);
          if (found.length > 0) return;
        }
        if (this.#queue.limitedMs > 0) {
          await pause(Math.min(this.#queue.limitedMs, blockMs), this.#end.signal); // jobs may wait, so no signal would come
          this.#isDrained = false;
          return;
        }
        this.#isDrained = false; // as far as is known, when the wait is over
        if (this.#waiting === undefined) {
          this.#waiting = await this.#server.waiting(this.#queue.name);
          await this.#waiting.waitForJob(0.001); // only now it listens: what came meanwhile is to be looked for
          return;
        }
        if (this.#first(true) === undefined) return;
        const untilDelayed = this.#queue.nextDelayed > 0 ? this.#queue.nextDelayed - Date.now() : blockMs;
        await this.#waiting.waitForJob(Math.min(Math.max(untilDelayed, shortestBlockMs), blockMs) / 1_000); // or it gave up
      },
    );
    this.#isWaitingForAny = false;
    if (this.#first(true) !== undefined && !this.#end.signal.aborted) void this.#waitForAny(); // who came just now
  }

  async #pollForUrgent(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    await this.#repeat(
      () => this.#first(false),
      async () => {
        const waits = [...this.#waits].filter(({ minPriority }) => minPriority !== 'low');
        let isFound = false;
        for (const { max, minPriority } of waits) {
          const found = await this.fetch(max, minPriority);
          isFound ||= found.length > 0;
          this.#deliver(found);
        }
        if (!isFound) await pause(pollMs, this.#end.signal);
      },
    );
    this.#isPolling = false;
    if (this.#first(false) !== undefined && !this.#end.signal.aborted) void this.#pollForUrgent();
  }

  /** Tries as long as somebody waits, whatever fails, and pauses before it tries again. */
  async #repeat(wanted: () => FetchWait | undefined, attempt: () => Promise<void>): Promise<void> {
    let failures = 0;
    for (let wait = wanted(); wait !== undefined && !this.#end.signal.aborted; wait = wanted()) {
      try {
        await attempt();
        failures = 0;
      } catch (error) {
        if (hasTimedOut(error)) this.#server.reconnect();
        failures += 1;
        if (!this.#end.signal.aborted) this.#listener.failed(error);
        await pauseAfter(failures, this.#end.signal);
      }
    }
  }

  /** To those who have waited longest, and take them; what nobody takes any more is given back. */
  #deliver(found: readonly Fetched[]): void {
    let left = found;
    for (const wait of this.#waits) {
      if (left.length === 0) return;
      const isTaken = ({ job }: Fetched) =>
        priorityNumbers[priorityOf(job.priority)] <= priorityNumbers[wait.minPriority];
      const taken = left.filter(isTaken).slice(0, wait.max);
      if (taken.length === 0) continue;
      left = left.filter((each) => !taken.includes(each));
      wait.resolve(taken);
    }
    for (const { job, token } of left) void this.#queue.claims.giveBack(job.id as string, token).catch(() => {}); // or its lease runs out
  }

  #recoverLater(everyMs: number): void {
    const timer = new Timer(everyMs, () => {
      unlisten();
      void this.#queue
        .recover()
        .catch(() => {}) // a server that is away is asked again
        .then(() => this.#recoverLater(everyMs));
    });
    const unlisten = onAbort(this.#end.signal, () => timer.cancel());
    if (this.#end.signal.aborted) timer.cancel();
  }

  /** Its connection ends with that of the server. */
  close(): void {
    this.#end.abort();
    for (const wait of [...this.#waits]) wait.reject(courierClosed());
  }
}
