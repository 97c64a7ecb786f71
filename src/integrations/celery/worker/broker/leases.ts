/**
 * Keeps the messages of a worker from being given to others while it works on them, and gives back those of workers that have
 * died: a message belongs to nobody any more when its score is older than the visibility timeout.
 */
import { courierKit } from '../../../../index.ts';
import type { Broker } from './broker.ts';
import type { Delivery } from './delivery.ts';

const { Timer } = courierKit;

/** Workers in Python may have a shorter visibility timeout, and the shortest one counts: so renewals are never rarer. */
const longestRenewalMs = 15_000;
/** How often it looks for messages of the dead, at least. */
const longestRestoreMs = 10_000;
/** How many are given back at a time, as in kombu. */
const restoredAtOnce = 10;

export interface LeaseOptions {
  readonly visibilityTimeoutMs: number;
  /** Another worker has the message now. */
  readonly onLost: (delivery: Delivery) => void;
  readonly onProblem: (problem: unknown) => void;
}

export class Leases {
  readonly #broker: Broker;
  readonly #options: LeaseOptions;
  readonly #held = new Set<Delivery>();
  #renewal: InstanceType<typeof Timer> | undefined;
  #restoring: InstanceType<typeof Timer> | undefined;
  #isClosed = false;

  constructor(broker: Broker, options: LeaseOptions) {
    this.#broker = broker;
    this.#options = options;
  }

  start(): void {
    this.#renewLater();
    this.#restoreLater(0);
  }

  hold(delivery: Delivery): void {
    this.#held.add(delivery);
  }

  leave(delivery: Delivery): void {
    this.#held.delete(delivery);
  }

  #renewLater(): void {
    if (this.#isClosed) return;
    const everyMs = Math.min(this.#options.visibilityTimeoutMs / 3, longestRenewalMs);
    // One after the other: in an outage a renewal waits, and a second one would not know the scores that the first has set.
    this.#renewal = new Timer(everyMs, () => {
      void this.#renew()
        .catch(this.#options.onProblem)
        .then(() => this.#renewLater());
    });
  }

  async #renew(): Promise<void> {
    const due = [...this.#held].filter(({ isAcknowledged }) => !isAcknowledged);
    if (due.length === 0) return;
    for (const delivery of await this.#broker.renew(due)) {
      if (this.#held.has(delivery)) this.#options.onLost(delivery);
    }
  }

  #restoreLater(waitMs: number): void {
    if (this.#isClosed) return;
    this.#restoring = new Timer(waitMs, () => {
      void this.#restore()
        .catch(this.#options.onProblem)
        .then(() => this.#restoreLater(Math.min(this.#options.visibilityTimeoutMs / 4, longestRestoreMs)));
    });
  }

  /**
   * Kombu does it under a lock, `unacked_mutex`, which stays for five minutes if its holder dies. No lock is needed here: a
   * message is given back only if its score has not changed.
   */
  async #restore(): Promise<void> {
    const { client, names } = this.#broker;
    for (;;) {
      const before = Date.now() - this.#options.visibilityTimeoutMs;
      const found = await client.call((redis) =>
        redis.zrevrangebyscore(names.unackedIndex, before / 1_000, 0, 'WITHSCORES', 'LIMIT', 0, restoredAtOnce),
      );
      let restored = 0;
      for (let i = 0; i < found.length; i += 2) {
        if (await this.#broker.restore(found[i] as string, Number(found[i + 1]))) restored += 1;
      }
      if (restored < restoredAtOnce) return;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#renewal?.cancel();
    this.#restoring?.cancel();
  }
}
