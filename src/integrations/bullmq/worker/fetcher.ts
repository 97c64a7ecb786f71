/**
 * Fetches the jobs of one queue for all its workers, and gives back jobs whose lease has run out. One loop waits at the server
 * for the workers that take any job. Workers that take only urgent jobs can't wait there, because a signal for a job that they
 * do not take would be lost for others: for these the fetcher polls.
 */
import type { IQueueBackend } from 'bullmq';
import { courierKit, type Priority, type WaitOptions } from '../../../index.ts';
import { priorityNumbers, priorityOf } from '../job/job-format.ts';
import { pauseAfter } from '../server/pause.ts';
import { hasTimedOut, type Server } from '../server/server.ts';
import type { BullQueue, Fetched } from './bull-queue.ts';

const { courierClosed, onAbort, pause, Timer } = courierKit;

/** How long the loop waits at the server before it asks again, in milliseconds. Health checks rely on its answers. */
const blockMs = 5_000;

/** Redis before 7.0.8 treats less than this as no limit. In milliseconds. */
const shortestBlockMs = 2;

/** How often to poll for urgent jobs, in milliseconds. */
const pollMs = 50;

interface FetchWait {
  readonly max: number;
  readonly minPriority: Priority;
  resolve(found: readonly Fetched[]): void;
  reject(error: unknown): void;
}

export interface FetchListener {
  /** Called when the server has answered a fetch. */
  answered(): void;
  /** Called now and then, when leases that have run out are looked for. */
  looksForStalled(): void;
  /** Called when a fetch has failed and is retried. */
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
  /** Whether the last fetch left nothing, so that the loop can wait: jobs that came since have left a signal. */
  #isDrained = false;
  #isPolling = false;
  /** How many waits at the server have ended: each may have used up a signal. */
  #waitsEnded = 0;

  constructor(queue: BullQueue, server: Server, stalledIntervalMs: number, listener: FetchListener) {
    this.#queue = queue;
    this.#server = server;
    this.#listener = listener;
    this.#recoverLater(stalledIntervalMs);
  }

  /** Whether the queue has limits, by the last fetch. */
  get isLimited(): boolean {
    return this.#queue.isLimited;
  }

  async fetch(max: number, minPriority: Priority): Promise<readonly Fetched[]> {
    const found = await this.#queue.fetch(max, minPriority);
    this.#listener.answered();
    return found;
  }

  /**
   * To be called before a fetch elsewhere. What it returns is to be called if that fetch has left nothing: the loop need not
   * look again, unless a wait has used up the signal of a job that came since.
   */
  beforeFetch(): () => void {
    const waitsEnded = this.#waitsEnded;
    return () => {
      this.#listener.answered();
      if (!this.#isWaitingForAny && this.#waitsEnded === waitsEnded) this.#isDrained = true;
    };
  }

  /** Waits for at least one job; resolves with none after the time-out. While the server can't be reached, keeps trying. */
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

  /** How many jobs the workers that take any job want together. */
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
          await pause(Math.min(this.#queue.limitedMs, blockMs), this.#end.signal); // jobs may be waiting, for which no signal comes
          this.#isDrained = false;
          return;
        }
        this.#isDrained = false; // after the wait this is not known
        if (this.#waiting === undefined) {
          this.#waiting = await this.#server.waiting(this.#queue.name);
          await this.#waiting.waitForJob(0.001); // it listens only from now on, so jobs that came before have to be fetched
          return;
        }
        if (this.#first(true) === undefined) return;
        const untilDelayed = this.#queue.nextDelayed > 0 ? this.#queue.nextDelayed - Date.now() : blockMs;
        await this.#waiting.waitForJob(Math.min(Math.max(untilDelayed, shortestBlockMs), blockMs) / 1_000); // or ends without one
        this.#waitsEnded += 1;
      },
    );
    this.#isWaitingForAny = false;
    if (this.#first(true) !== undefined && !this.#end.signal.aborted) void this.#waitForAny(); // for a wait that was just added
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

  /** Repeats as long as there is a wait; pauses after failures. */
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

  /** Gives the jobs to the longest waits that take them, and gives back the others. */
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
    for (const { job, token } of left) void this.#queue.giveBack(job, token).catch(() => {}); // else its lease runs out
  }

  #recoverLater(everyMs: number): void {
    const timer = new Timer(everyMs, () => {
      unlisten();
      this.#listener.looksForStalled();
      void this.#queue
        .recover()
        .catch(() => {}) // the next round tries again
        .then(() => this.#recoverLater(everyMs));
    });
    const unlisten = onAbort(this.#end.signal, () => timer.cancel());
    if (this.#end.signal.aborted) timer.cancel();
  }

  /** Its connection is closed with the server. */
  close(): void {
    this.#end.abort();
    for (const wait of [...this.#waits]) wait.reject(courierClosed());
  }
}
