/**
 * Recycling: a host that has run enough tasks, uses too much memory or is too old gets a successor. The old host ends after
 * its batch, when the successor is warm: when it has loaded all that the old one had loaded.
 *
 *   (in use) ── due ──▶ a successor starts ── it is warm ──▶ ends as soon as it is idle
 *                └── the successor has died: due again after the next batch
 */
import { Timer } from '../../platform/clock.ts';
import type { HostConnection } from '../hosts/host-connection.ts';
import type { LaneTask } from '../lane.ts';

/** When a host is replaced. An absent option gives no reason. */
export interface RecycleOptions {
  /** After it has run this many tasks. */
  readonly afterTasks?: number;
  /** When its heap is larger than this after a batch, in megabytes, with garbage that is not collected yet. */
  readonly maxHeapMb?: number;
  /** When it is this old, in milliseconds. */
  readonly afterMs?: number;
}

interface RecyclingParts<T extends LaneTask> {
  options(): RecycleOptions;
  /** Starts a successor, if one can be started. */
  open(old: HostConnection<T>): HostConnection<T> | undefined;
  /** Ends an idle host. */
  dismiss(old: HostConnection<T>): void;
}

export class Recycling<T extends LaneTask> {
  readonly #parts: RecyclingParts<T>;
  /** The hosts that are due, with their successor, if it could be started. */
  readonly #due = new Map<HostConnection<T>, HostConnection<T> | undefined>();
  /** The hosts whose successor is warm. */
  readonly #replaced = new Set<HostConnection<T>>();
  readonly #tasks = new Map<HostConnection<T>, number>();
  readonly #ages = new Map<HostConnection<T>, Timer>();

  constructor(parts: RecyclingParts<T>) {
    this.#parts = parts;
  }

  /** How many hosts exist beside their successor. */
  get doubles(): number {
    return [...this.#due.values()].filter((successor) => successor !== undefined).length + this.#replaced.size;
  }

  isReplaced(connection: HostConnection<T>): boolean {
    return this.#replaced.has(connection);
  }

  /** Whether it is not due, and would not be before it has run so many more tasks. */
  mayGoOn(connection: HostConnection<T>, tasks: number): boolean {
    if (this.#due.has(connection) || this.#replaced.has(connection)) return false;
    const { afterTasks = Infinity } = this.#parts.options();
    return (this.#tasks.get(connection) ?? 0) + tasks <= afterTasks;
  }

  /** A host is up. */
  onUp(connection: HostConnection<T>): void {
    const { afterMs } = this.#parts.options();
    if (afterMs !== undefined) this.#ages.set(connection, new Timer(afterMs, () => this.replace(connection)));
  }

  /** A host has completed a batch. */
  onTasksDone(connection: HostConnection<T>, tasks: number): void {
    const { afterTasks = Infinity } = this.#parts.options();
    const sum = (this.#tasks.get(connection) ?? 0) + tasks;
    this.#tasks.set(connection, sum);
    if (sum >= afterTasks || this.#due.has(connection)) this.replace(connection);
  }

  /** Starts a successor, unless there is one. */
  replace(connection: HostConnection<T>): void {
    if (connection.state === 'ending' || this.#replaced.has(connection) || this.#due.get(connection) !== undefined)
      return;
    this.#due.set(connection, undefined);
    this.#due.set(connection, this.#parts.open(connection));
  }

  /** A host is warm; it may be a successor. */
  onWarm(successor: HostConnection<T>): void {
    const old = this.#predecessorOf(successor);
    if (old === undefined) return;
    this.#due.delete(old);
    this.#replaced.add(old);
    if (old.state === 'idle') this.#parts.dismiss(old);
  }

  /** A host ends, or has died. */
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
