/**
 * The tasks that this courier's workers have, by their leases. A lease is lost by the clock of this machine when it was not
 * extended in time, though the server was not asked: whoever has it then is told, and can't return it here any more.
 */
import type { Job } from 'bullmq';
import { courierKit } from '../../../index.ts';

const { Timer } = courierKit;

export class Lease {
  readonly job: Job;
  readonly token: string;
  readonly #leaseMs: number;
  readonly #onLost = new Set<() => void>();
  readonly #onOver = new Set<() => void>();
  #until: number;
  #timer: courierKit.Timer | undefined;
  #state: 'held' | 'lost' | 'over' = 'held';
  #extending = 0;
  #lastSent: Promise<unknown> = Promise.resolve();
  #delayed: { readonly send: () => Promise<unknown>; readonly timer: courierKit.Timer } | undefined;

  constructor(job: Job, token: string, leaseMs: number) {
    this.job = job;
    this.token = token;
    this.#leaseMs = leaseMs;
    const heldMs = Date.now() - (job.processedOn ?? Date.now());
    this.#until = performance.now() + leaseMs - Math.max(heldMs, 0);
    this.#startTimer();
  }

  get isHeld(): boolean {
    return this.#state === 'held';
  }

  /** Calls back when it is lost, at once if it was. Gives what ends that. */
  onLost(callback: () => void): () => void {
    if (this.#state === 'lost') queueMicrotask(callback);
    else this.#onLost.add(callback);
    return () => this.#onLost.delete(callback);
  }

  /** Calls back when it is returned, given back or lost. */
  onOver(callback: () => void): void {
    if (this.isHeld) this.#onOver.add(callback);
    else callback();
  }

  /** @param ask Asks the server; gives whether it is extended. */
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

  /** Says it after so many milliseconds, or before what is said next; not at all if the task ends before. */
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

  /** The last that is said: what the task came to. */
  sendLast<R>(send: () => Promise<R>): Promise<R> {
    this.#takeDelayed();
    return this.send(send);
  }

  /** One after the other: what is said of a task arrives in order, and before its end. */
  send<R>(send: () => Promise<R>): Promise<R> {
    this.#sendDelayed();
    const sent = this.#lastSent.then(send, send);
    this.#lastSent = sent.catch(() => {});
    return sent;
  }

  #startTimer(): void {
    this.#timer?.cancel();
    this.#timer = new Timer(Math.max(this.#until - performance.now(), 0), () => {
      if (this.#extending === 0) this.lose(); // else what the server says counts
    });
  }

  lose(): void {
    if (!this.isHeld) return;
    this.#close('lost', [...this.#onLost, ...this.#onOver]);
  }

  /** It was returned, or given back. */
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

/** Leases that are over are remembered as long as somebody may ask for them. */
export class Leases {
  readonly #leaseMs: number;
  readonly #all = new Map<string, Lease>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  take(job: Job, token: string): Lease {
    const lease = new Lease(job, token, this.#leaseMs);
    this.#all.set(token, lease);
    lease.onLost(() => this.#forgetLater(token));
    return lease;
  }

  find(token: string): Lease | undefined {
    return this.#all.get(token);
  }

  end(lease: Lease): void {
    lease.end();
    this.#forgetLater(lease.token);
  }

  #forgetLater(token: string): void {
    new Timer(2 * this.#leaseMs, () => this.#all.delete(token));
  }

  close(): void {
    for (const lease of this.#all.values()) lease.end();
    this.#all.clear();
  }
}
