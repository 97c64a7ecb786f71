/**
 * The tasks that this courier's workers hold, by their leases. A lease that was not extended in time is lost by the clock of
 * this machine, without asking the server: its worker is told, and can't return the task here any more.
 */
import type { Job } from 'bullmq';
import { courierKit } from '../../../index.ts';

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

export class Lease {
  readonly job: Job;
  readonly id: string;
  readonly #leaseMs: number;
  readonly #onLost = new Set<() => void>();
  readonly #onOver = new Set<() => void>();
  #until: number;
  #timer: courierKit.Timer | undefined;
  #state: 'held' | 'lost' | 'over' = 'held';
  #extending = 0;
  #lastSent: Promise<unknown> = Promise.resolve();
  #delayed: { readonly send: () => Promise<unknown>; readonly timer: courierKit.Timer } | undefined;

  constructor(job: Job, id: string, leaseMs: number) {
    this.job = job;
    this.id = id;
    this.#leaseMs = leaseMs;
    const heldMs = Date.now() - (job.processedOn ?? Date.now());
    this.#until = performance.now() + leaseMs - Math.max(heldMs, 0);
    this.#startTimer();
  }

  get isHeld(): boolean {
    return this.#state === 'held';
  }

  /** Calls back when the lease is lost, soon if it already was. Returns a function that removes the callback. */
  onLost(callback: () => void): () => void {
    if (this.#state === 'lost') queueMicrotask(callback);
    else this.#onLost.add(callback);
    return () => this.#onLost.delete(callback);
  }

  /** Calls back when the task was returned or given back, or the lease is lost. */
  onOver(callback: () => void): void {
    if (this.isHeld) this.#onOver.add(callback);
    else callback();
  }

  /** @param ask Asks the server; resolves with whether the lease was extended. */
  async extend(ask: () => Promise<boolean>): Promise<boolean> {
    const start = performance.now();
    this.#extending += 1;
    try {
      const isExtended = await ask();
      if (isExtended && this.isHeld) this.#until = Math.max(this.#until, start + this.#leaseMs);
      if (!isExtended) this.lose();
    } finally {
      this.#extending -= 1;
      if (this.isHeld) this.#startTimer();
    }
    return this.isHeld;
  }

  /** Sends after so many milliseconds, or before the next send; not at all if the task ends before that. */
  sendLater(send: () => Promise<unknown>, ms: number): void {
    this.#sendDelayed();
    this.#delayed = { send, timer: new Timer(ms, () => this.#sendDelayed()) };
  }

  #sendDelayed(): void {
    const send = this.#takeDelayed();
    if (send !== undefined && this.isHeld) this.send(send).catch(() => {}); // nobody waits for it
  }

  #takeDelayed(): (() => Promise<unknown>) | undefined {
    const delayed = this.#delayed;
    this.#delayed = undefined;
    delayed?.timer.cancel();
    return delayed?.send;
  }

  /** Sends the result of the task, which is the last. */
  sendLast<R>(send: () => Promise<R>): Promise<R> {
    this.#takeDelayed();
    return this.send(send);
  }

  /** Sends one after the other, so that the updates of a task arrive in order, and before its end. */
  send<R>(send: () => Promise<R>): Promise<R> {
    this.#sendDelayed();
    const sent = this.#lastSent.then(send, send);
    this.#lastSent = sent.catch(() => {});
    return sent;
  }

  #startTimer(): void {
    this.#timer?.cancel();
    this.#timer = new Timer(Math.max(this.#until - performance.now(), 0), () => {
      if (this.#extending === 0) this.lose(); // else the answer of the server decides
    });
  }

  lose(): void {
    if (!this.isHeld) return;
    this.#close('lost', [...this.#onLost, ...this.#onOver]);
  }

  /** To be called when the task was returned or given back. */
  end(): void {
    this.#close('over', [...this.#onOver]);
  }

  #close(state: 'lost' | 'over', callbacks: readonly (() => void)[]): void {
    this.#state = state;
    this.#timer?.cancel();
    this.#takeDelayed();
    this.#onLost.clear();
    this.#onOver.clear();
    for (const callback of callbacks) callback();
  }
}

/** All leases. Those that are over are kept for a while, because calls for them may still come. */
export class Leases {
  readonly #leaseMs: number;
  readonly #all = new Map<string, Lease>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  take(job: Job, id: string): Lease {
    const lease = new Lease(job, id, this.#leaseMs);
    this.#all.set(id, lease);
    lease.onLost(() => this.#forgetLater(id));
    return lease;
  }

  find(id: string): Lease | undefined {
    return this.#all.get(id);
  }

  end(lease: Lease): void {
    lease.end();
    this.#forgetLater(lease.id);
  }

  #forgetLater(id: string): void {
    new Timer(2 * this.#leaseMs, () => this.#all.delete(id));
  }

  close(): void {
    for (const lease of this.#all.values()) lease.end();
    this.#all.clear();
  }
}
