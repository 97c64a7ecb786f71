/** The idle slots of a lane that tasks may take, with a timer that retires hosts that have been idle for too long. */
import { now, Timer } from '../../platform/clock.ts';
import type { HostConnection } from '../hosts/host-connection.ts';
import type { LaneTask } from '../lane.ts';

export class IdleHosts<T extends LaneTask> {
  /** A stack: of the hosts, the two that were busy last are used, so that the others can retire. */
  readonly #connections: HostConnection<T>[] = [];
  readonly #retire: () => void;
  #timer: Timer | undefined;

  constructor(retire: () => void) {
    this.#retire = retire;
  }

  /**
   * The slot that is used next: of the hosts with one, one in which the fewest tasks run.
   * @param isUrgent Given if it is to be in a host for urgent tasks, or in another.
   */
  next(isUrgent?: boolean): HostConnection<T> | undefined {
    // That which was busy last is still going to sleep. Of tasks one by one, where each goes to the other of two threads, the
    // way there and back takes a fifth less time.
    const rested = this.#connections.at(-2);
    if (rested?.owner.busySlots === 0 && (isUrgent === undefined || rested.owner.isUrgent === isUrgent)) return rested;
    let best: HostConnection<T> | undefined;
    let fewest = Infinity;
    for (let index = this.#connections.length - 1; index >= 0 && fewest > 0; index -= 1) {
      const connection = this.#connections[index] as HostConnection<T>;
      const { owner } = connection;
      const { busySlots } = owner;
      if (busySlots >= fewest || (isUrgent !== undefined && owner.isUrgent !== isUrgent)) continue;
      best = connection;
      fewest = busySlots;
    }
    return best;
  }

  [Symbol.iterator](): Iterator<HostConnection<T>> {
    return [...this.#connections].values();
  }

  push(connection: HostConnection<T>): void {
    this.#connections.push(connection);
  }

  /** Tasks may not take it any more, if they could. */
  delete(connection: HostConnection<T>): void {
    const index = this.#connections.lastIndexOf(connection);
    if (index < 0) return;
    if (index === this.#connections.length - 1)
      this.#connections.pop(); // most are
    else this.#connections.splice(index, 1);
  }

  /** Calls back when the longest idle host has been idle for that long. */
  watch(idleTimeoutMs: number): void {
    if (this.#timer !== undefined || idleTimeoutMs === Infinity) return;
    const longest = this.#longest;
    if (longest === Infinity) return;
    this.#timer = new Timer(Math.max(longest + idleTimeoutMs - now(), 1), () => {
      this.#timer = undefined;
      this.#retire();
    });
  }

  /** Since when the longest idle host is idle; Infinity if none is. */
  get #longest(): number {
    let longest = Infinity;
    for (const { owner } of this.#connections) {
      if (owner.state === 'idle' && owner.since < longest) longest = owner.since;
    }
    return longest;
  }

  unwatch(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
