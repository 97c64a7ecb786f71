/** The idle hosts of a lane, with a timer that retires those that have been idle for too long. */
import { now, Timer } from '../../platform/clock.ts';
import type { HostConnection } from '../hosts/host-connection.ts';
import type { LaneTask } from '../lane.ts';

export class IdleHosts<T extends LaneTask> {
  /** A stack: the host that was busy last is used first, so that the others can retire. */
  readonly #connections: HostConnection<T>[] = [];
  readonly #retire: () => void;
  #timer: Timer | undefined;

  constructor(retire: () => void) {
    this.#retire = retire;
  }

  get size(): number {
    return this.#connections.length;
  }

  /** The host that is used next. */
  get next(): HostConnection<T> | undefined {
    return this.#connections.at(-1);
  }

  /** The one that is used next of those for urgent tasks, or of the others. */
  nextOf(isUrgent: boolean): HostConnection<T> | undefined {
    return this.#connections.findLast((each) => each.isUrgent === isUrgent);
  }

  [Symbol.iterator](): Iterator<HostConnection<T>> {
    return [...this.#connections].values();
  }

  push(connection: HostConnection<T>): void {
    this.#connections.push(connection);
  }

  delete(connection: HostConnection<T>): void {
    this.#connections.splice(this.#connections.indexOf(connection), 1);
  }

  /** Calls back when the longest idle host has been idle for that long. */
  watch(idleTimeoutMs: number): void {
    const [longest] = this.#connections;
    if (this.#timer !== undefined || longest === undefined || idleTimeoutMs === Infinity) return;
    this.#timer = new Timer(Math.max(longest.since + idleTimeoutMs - now(), 1), () => {
      this.#timer = undefined;
      this.#retire();
    });
  }

  unwatch(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
