/**
 * The tasks that this courier's workers hold, by their leases. A lease that was not extended in time is lost by the clock of
 * this machine, without asking the server: its worker is told, and can't return the task here any more.
 */
import type { Job } from 'bullmq';
import { courierKit } from '../../../index.ts';
import type { BullQueue } from './bull-queue.ts';

const { Timer } = courierKit;

/**
 * The lease of a job that was locked with this token when the task with that lease was returned. BullMQ locks the next job with
 * the token of the last one, but a lease is of one delivery: `token`, `2/token`, `3/token`.
 */
export function nextLease(token: string, lease: string): string {
  if (tokenOf(lease) !== token) return token;
  const place = lease === token ? 1 : Number.parseInt(lease, 10);
  return `${place + 1}/${token}`;
}

/** With which BullMQ has locked the job that has this lease. */
export function tokenOf(lease: string): string {
  return lease.slice(lease.indexOf('/') + 1);
}

export function isLeaseLost(error: unknown): boolean {
  return (error as { readonly code?: unknown } | undefined)?.code === 'LEASE_LOST';
}

/** BullMQ's numbers for: no such job, no lock, not active, the lock of another; or our own error. */
export function isNotOurs(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === -1 || code === -2 || code === -3 || code === -6 || isLeaseLost(error);
}

/** What a lease needs of all of them. */
interface LeaseTimes {
  readonly leaseMs: number;
  /** To be called when a lease may run out at that time, on the clock of `performance.now()`. */
  checkAt(time: number): void;
  /** Calls back once or twice `shortMs` later. */
  afterShort(callback: () => void): void;
}

export class Lease {
  readonly queue: BullQueue;
  readonly job: Job;
  readonly id: string;
  /** Whether an attempt has kept work. */
  hasWork = false;
  readonly #times: LeaseTimes;
  #onLost: (() => void)[] = [];
  #onOver: (() => void)[] = [];
  #until: number;
  #state: 'held' | 'lost' | 'over' = 'held';
  #extending = 0;
  #lastSent: Promise<unknown> | undefined;
  #delayed: (() => Promise<unknown>) | undefined;

  constructor(queue: BullQueue, job: Job, id: string, times: LeaseTimes) {
    this.queue = queue;
    this.job = job;
    this.id = id;
    this.#times = times;
    const heldMs = Date.now() - (job.processedOn ?? Date.now());
    this.#until = performance.now() + times.leaseMs - Math.max(heldMs, 0);
    times.checkAt(this.#until);
  }

  get isHeld(): boolean {
    return this.#state === 'held';
  }

  /** When it runs out, unless it is extended; Infinity while the answer of the server decides. */
  get until(): number {
    return this.#extending > 0 ? Infinity : this.#until;
  }

  /** Calls back when the lease is lost, soon if it already was. Returns a function that removes the callback. */
  onLost(callback: () => void): () => void {
    if (this.#state === 'lost') queueMicrotask(callback);
    else this.#onLost.push(callback);
    return () => {
      this.#onLost = this.#onLost.filter((each) => each !== callback);
    };
  }

  /** Calls back when the task was returned or given back, or the lease is lost. */
  onOver(callback: () => void): void {
    if (this.isHeld) this.#onOver.push(callback);
    else callback();
  }

  /** @param ask Asks the server; resolves with whether the lease was extended. */
  async extend(ask: () => Promise<boolean>): Promise<boolean> {
    const start = performance.now();
    this.#extending += 1;
    try {
      const isExtended = await ask();
      if (isExtended && this.isHeld) this.#until = Math.max(this.#until, start + this.#times.leaseMs);
      if (!isExtended) this.lose();
    } finally {
      this.#extending -= 1;
      if (this.isHeld) this.#times.checkAt(this.#until);
    }
    return this.isHeld;
  }

  /** Sends a little later, or before the next send; not at all if the task ends before that. */
  sendLater(send: () => Promise<unknown>): void {
    this.#sendDelayed();
    this.#delayed = send;
    this.#times.afterShort(() => {
      if (this.#delayed === send) this.#sendDelayed();
    });
  }

  #sendDelayed(): void {
    const send = this.#delayed;
    this.#delayed = undefined;
    if (send !== undefined && this.isHeld) this.send(send).catch(() => {}); // nobody waits for it
  }

  /** Sends the result of the task, which is the last. */
  sendLast<R>(send: () => Promise<R>): Promise<R> {
    this.#delayed = undefined;
    return this.#lastSent === undefined ? send() : this.#lastSent.then(send, send);
  }

  /** Sends one after the other, so that the updates of a task arrive in order, and before its end. */
  send<R>(send: () => Promise<R>): Promise<R> {
    this.#sendDelayed();
    const sent = this.#lastSent === undefined ? send() : this.#lastSent.then(send, send);
    this.#lastSent = sent.catch(() => {});
    return sent;
  }

  lose(): void {
    if (this.isHeld) this.#close('lost', [...this.#onLost, ...this.#onOver]);
  }

  /** To be called when the task was returned or given back. */
  end(): void {
    this.#close('over', this.#onOver);
  }

  #close(state: 'lost' | 'over', callbacks: readonly (() => void)[]): void {
    this.#state = state;
    this.#delayed = undefined;
    this.#onLost = [];
    this.#onOver = [];
    for (const callback of callbacks) callback();
  }
}

/** For a task that takes less than this, `'started'` is not sent. In milliseconds. */
const shortMs = 20;

/**
 * All leases that are held. Those that are lost are kept for a while, because calls for them may still come, which the server
 * might take. They share their timers: tasks can be many and short.
 */
export class Leases implements LeaseTimes {
  readonly leaseMs: number;
  /** By token: the latest of each. */
  readonly #all = new Map<string, Lease>();
  /** Fires when the first of them may run out. */
  #timer: courierKit.Timer | undefined;
  #checkAt = Infinity;
  /** What is to be called at the next tick but one, and at the next. There are ticks while there is something. */
  #recent: (() => void)[] = [];
  #older: (() => void)[] = [];
  #isTicking = false;

  constructor(leaseMs: number) {
    this.leaseMs = leaseMs;
  }

  take(queue: BullQueue, job: Job, id: string): Lease {
    const lease = new Lease(queue, job, id, this);
    this.#all.set(tokenOf(id), lease);
    lease.onLost(() => new Timer(2 * this.leaseMs, () => this.#forget(lease)));
    return lease;
  }

  find(id: string): Lease | undefined {
    const lease = this.#all.get(tokenOf(id));
    return lease?.id === id ? lease : undefined;
  }

  /** Whether another lease has its token, for which the server would take it. */
  isReplaced(id: string): boolean {
    const lease = this.#all.get(tokenOf(id));
    return lease !== undefined && lease.id !== id;
  }

  /** The server knows, too, that it has ended. */
  end(lease: Lease): void {
    this.#forget(lease);
    lease.end();
  }

  #forget(lease: Lease): void {
    const token = tokenOf(lease.id);
    if (this.#all.get(token) === lease) this.#all.delete(token);
  }

  checkAt(time: number): void {
    if (time >= this.#checkAt) return;
    this.#timer?.cancel();
    this.#checkAt = time;
    this.#timer = new Timer(Math.max(time - performance.now(), 0), () => this.#check());
  }

  #check(): void {
    this.#checkAt = Infinity;
    const time = performance.now();
    let next = Infinity;
    for (const lease of this.#all.values()) {
      if (!lease.isHeld) continue;
      if (lease.until <= time) lease.lose();
      else next = Math.min(next, lease.until);
    }
    if (next < Infinity) this.checkAt(next);
  }

  afterShort(callback: () => void): void {
    this.#recent.push(callback);
    if (!this.#isTicking) this.#tickLater();
  }

  #tickLater(): void {
    this.#isTicking = true;
    new Timer(shortMs, () => {
      const due = this.#older;
      this.#older = this.#recent;
      this.#recent = [];
      this.#isTicking = false;
      if (this.#older.length > 0) this.#tickLater();
      for (const callback of due) callback();
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.#checkAt = -Infinity; // no more checks
    for (const lease of this.#all.values()) lease.end();
    this.#all.clear();
  }
}
