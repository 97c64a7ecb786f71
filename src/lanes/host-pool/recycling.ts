/**
 * Recycling: hosts that have done enough, hold too much memory or are too old get a successor. Only when that is warm,
 * with all loaded that its predecessor had, does the old one leave, after the batch that runs in it.
 *
 *   (in use) ── due ──▶ a successor starts ── it is warm ──▶ leaves as soon as it is idle
 *                └── the successor has died: due again after the next batch
 */
import { Timer } from '../../platform/clock.ts';
import type { HostConnection } from '../hosts/host-connection.ts';
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

interface RecyclingParts<T extends LaneTask> {
  options(): RecycleOptions;
  /** Starts a successor, if one can be started. */
  open(old: HostConnection<T>): HostConnection<T> | undefined;
  /** Lets an idle one go. */
  dismiss(old: HostConnection<T>): void;
}

export class Recycling<T extends LaneTask> {
  readonly #parts: RecyclingParts<T>;
  /** Those that are due, and their successor. */
  readonly #due = new Map<HostConnection<T>, HostConnection<T> | undefined>();
  /** Those whose successor is warm. */
  readonly #replaced = new Set<HostConnection<T>>();
  readonly #tasks = new Map<HostConnection<T>, number>();
  readonly #ages = new Map<HostConnection<T>, Timer>();

  constructor(parts: RecyclingParts<T>) {
    this.#parts = parts;
  }

  /** How many hosts there are beside their successor. */
  get doubles(): number {
    return [...this.#due.values()].filter((successor) => successor !== undefined).length + this.#replaced.size;
  }

  isReplaced(connection: HostConnection<T>): boolean {
    return this.#replaced.has(connection);
  }

  /** It is up. */
  onUp(connection: HostConnection<T>): void {
    const { afterMs } = this.#parts.options();
    if (afterMs !== undefined) this.#ages.set(connection, new Timer(afterMs, () => this.replace(connection)));
  }

  /** It has run so many tasks more. */
  onTasksDone(connection: HostConnection<T>, tasks: number): void {
    const { afterTasks = Infinity } = this.#parts.options();
    const sum = (this.#tasks.get(connection) ?? 0) + tasks;
    this.#tasks.set(connection, sum);
    if (sum >= afterTasks || this.#due.has(connection)) this.replace(connection);
  }

  /** It is to be replaced. */
  replace(connection: HostConnection<T>): void {
    if (connection.state === 'ending' || this.#replaced.has(connection) || this.#due.get(connection) !== undefined)
      return;
    this.#due.set(connection, undefined);
    this.#due.set(connection, this.#parts.open(connection));
  }

  /** It is warm. */
  onWarm(successor: HostConnection<T>): void {
    const old = this.#predecessorOf(successor);
    if (old === undefined) return;
    this.#due.delete(old);
    this.#replaced.add(old);
    if (old.state === 'idle') this.#parts.dismiss(old);
  }

  /** It leaves, or has died. */
  onLeft(connection: HostConnection<T>): void {
    const old = this.#predecessorOf(connection);
    if (old !== undefined) this.#due.set(old, undefined);
    this.#due.delete(connection);
    this.#replaced.delete(connection);
    this.#tasks.delete(connection);
    this.#ages.get(connection)?.cancel();
    this.#ages.delete(connection);
  }

  #predecessorOf(successor: HostConnection<T>): HostConnection<T> | undefined {
    for (const [old, other] of this.#due) if (other === successor) return old;
    return undefined;
  }
}
