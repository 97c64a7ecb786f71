/**
 * Takes back what a batch has not begun when something in it runs longer than was estimated, so that other hosts can run
 * it. One timer is shared by all hosts of a lane.
 */
import { now } from '../../platform/clock.ts';
import { clearTimeout, setTimeout } from '../../platform/globals.ts';
import { batchMs } from '../../queue/run-time-estimate.ts';
import type { LaneTask } from '../lane.ts';
import type { HostConnection } from './host-connection.ts';

/** How long after it was sent a batch is recalled, in milliseconds. */
export const recallMs: number = 2 * batchMs;

export class RecallWatch<T extends LaneTask> {
  readonly #connections: Iterable<HostConnection<T>>;
  readonly #recall: (connection: HostConnection<T>) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(connections: Iterable<HostConnection<T>>, recall: (connection: HostConnection<T>) => void) {
    this.#connections = connections;
    this.#recall = recall;
  }

  /** A batch of more than one task was sent. */
  watch(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#check();
    }, recallMs).unref();
  }

  unwatch(): void {
    clearTimeout(this.#timer);
  }

  #check(): void {
    for (const connection of this.#connections) {
      if (connection.state !== 'busy' || connection.size === 1) continue;
      if (now() - connection.since < recallMs) this.watch();
      else this.#recall(connection);
    }
  }
}
