/** The idle hosts of a lane, and when those that have been idle for too long retire. */
import { now, Timer } from '../../platform/clock.ts';
import type { Seat } from '../hosts/host-slot.ts';
import type { LaneTask } from '../lane.ts';

export class IdleHosts<T extends LaneTask> {
  /** The one that was busy last at the end: it goes first, so that the others can retire. */
  readonly #seats: Seat<T>[] = [];
  readonly #retire: () => void;
  #timer: Timer | undefined;

  constructor(retire: () => void) {
    this.#retire = retire;
  }

  get size(): number {
    return this.#seats.length;
  }

  /** The next to be used. */
  get next(): Seat<T> | undefined {
    return this.#seats.at(-1);
  }

  [Symbol.iterator](): Iterator<Seat<T>> {
    return [...this.#seats].values();
  }

  push(seat: Seat<T>): void {
    this.#seats.push(seat);
  }

  pop(): Seat<T> | undefined {
    return this.#seats.pop();
  }

  delete(seat: Seat<T>): void {
    this.#seats.splice(this.#seats.indexOf(seat), 1);
  }

  /** Calls back when the one that is idle for longest has been so for that long. */
  watch(idleTimeoutMs: number): void {
    const [longest] = this.#seats;
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
