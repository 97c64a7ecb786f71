/**
 * Recycling: hosts that have done enough, hold too much memory or are too old get a successor. Only when that is warm,
 * with all loaded that its predecessor had, does the old one leave, after the batch that runs in it.
 *
 *   (in use) ── due ──▶ a successor starts ── it is warm ──▶ leaves as soon as it is idle
 *                └── the successor has died: due again after the next batch
 */
import { Timer } from '../../platform/clock.ts';
import type { Seat } from '../hosts/host-slot.ts';
import type { LaneTask } from '../lane.ts';

/** When a host is replaced. What is left out is no reason. */
export interface RecycleOptions {
  /** After it has run so many tasks. */
  readonly afterTasks?: number;
  /** When its heap is larger than that after a batch, in megabytes; what is not yet collected counts. */
  readonly maxHeapMb?: number;
  /** When it is so old. */
  readonly afterMs?: number;
}

interface RenewalParts<T extends LaneTask> {
  options(): RecycleOptions;
  /** Starts a successor, if one can be started. */
  open(old: Seat<T>): Seat<T> | undefined;
  /** Lets an idle one go. */
  dismiss(old: Seat<T>): void;
}

export class Renewal<T extends LaneTask> {
  readonly #parts: RenewalParts<T>;
  /** Those that are due, and their successor. */
  readonly #due = new Map<Seat<T>, Seat<T> | undefined>();
  /** Those whose successor is warm. */
  readonly #replaced = new Set<Seat<T>>();
  readonly #tasks = new Map<Seat<T>, number>();
  readonly #ages = new Map<Seat<T>, Timer>();

  constructor(parts: RenewalParts<T>) {
    this.#parts = parts;
  }

  /** How many hosts there are beside their successor. */
  get doubles(): number {
    return [...this.#due.values()].filter((successor) => successor !== undefined).length + this.#replaced.size;
  }

  isReplaced(seat: Seat<T>): boolean {
    return this.#replaced.has(seat);
  }

  /** It is up. */
  born(seat: Seat<T>): void {
    const { afterMs } = this.#parts.options();
    if (afterMs !== undefined) this.#ages.set(seat, new Timer(afterMs, () => this.renew(seat)));
  }

  /** It has run so many tasks more. */
  worked(seat: Seat<T>, tasks: number): void {
    const { afterTasks = Infinity } = this.#parts.options();
    const sum = (this.#tasks.get(seat) ?? 0) + tasks;
    this.#tasks.set(seat, sum);
    if (sum >= afterTasks || this.#due.has(seat)) this.renew(seat);
  }

  /** It is to be replaced. */
  renew(seat: Seat<T>): void {
    if (seat.state === 'ending' || this.#replaced.has(seat) || this.#due.get(seat) !== undefined) return;
    this.#due.set(seat, undefined);
    this.#due.set(seat, this.#parts.open(seat));
  }

  /** It is warm. */
  warm(successor: Seat<T>): void {
    const old = this.#predecessorOf(successor);
    if (old === undefined) return;
    this.#due.delete(old);
    this.#replaced.add(old);
    if (old.state === 'idle') this.#parts.dismiss(old);
  }

  /** It leaves, or has died. */
  gone(seat: Seat<T>): void {
    const old = this.#predecessorOf(seat);
    if (old !== undefined) this.#due.set(old, undefined);
    this.#due.delete(seat);
    this.#replaced.delete(seat);
    this.#tasks.delete(seat);
    this.#ages.get(seat)?.cancel();
    this.#ages.delete(seat);
  }

  #predecessorOf(successor: Seat<T>): Seat<T> | undefined {
    for (const [old, other] of this.#due) if (other === successor) return old;
    return undefined;
  }
}
