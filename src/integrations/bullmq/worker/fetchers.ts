/** The fetchers of a worker side, one for each queue, and when the server last answered one. */
import { courierKit } from '../../../index.ts';
import type { DeadlineWatch } from '../deadlines/deadline-watch.ts';
import type { Asked } from '../server/link.ts';
import type { OutageListeners } from '../server/outage-listeners.ts';
import { Fetcher } from './fetcher.ts';

const { courierUnreachable } = courierKit;

export class Fetchers {
  readonly #stalledIntervalMs: number;
  readonly #outages: OutageListeners;
  readonly #watch: DeadlineWatch;
  readonly #byQueue = new Map<string, Fetcher>();
  /** In epoch milliseconds; undefined if it has not yet. */
  timeAnswered: number | undefined;

  constructor(stalledIntervalMs: number, outages: OutageListeners, watch: DeadlineWatch) {
    this.#watch = watch;
    this.#stalledIntervalMs = stalledIntervalMs;
    this.#outages = outages;
  }

  /** Undefined if nothing was fetched from the queue yet. */
  find(queue: string): Fetcher | undefined {
    return this.#byQueue.get(queue);
  }

  of({ server, queue }: Asked): Fetcher {
    let fetcher = this.#byQueue.get(queue.name);
    if (fetcher === undefined) {
      fetcher = new Fetcher(queue, server, this.#stalledIntervalMs, {
        answered: () => {
          this.timeAnswered = Date.now();
        },
        looksForStalled: () => this.#watch.lookIn(queue.name, 0),
        failed: (error) => this.#outages.report(courierUnreachable('no task was fetched', error)),
      });
      this.#byQueue.set(queue.name, fetcher);
      this.#watch.lookIn(queue.name, 0);
    }
    return fetcher;
  }

  close(): void {
    for (const fetcher of this.#byQueue.values()) fetcher.close();
    this.#byQueue.clear();
  }
}
