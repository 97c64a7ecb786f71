/**
 * Recycling: a host that has run enough tasks, uses too much memory or is too old gets a successor. The old host ends after
 * its batches, when the successor is warm: when it has loaded all that the old one had loaded.
 *
 *   (in use) ── due ──▶ a successor starts ── it is warm ──▶ ends as soon as it is idle
 *                └── the successor has died: due again after the next batch
 */
import { Timer } from '../../platform/clock.ts';
import type { HostConnection } from '../hosts/host-connection.ts';
import type { LaneTask } from '../lane.ts';
import type { PooledHost } from './pooled-host.ts';

type Hosted<T extends LaneTask> = PooledHost<HostConnection<T>>;

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
  open(old: Hosted<T>): Hosted<T> | undefined;
  /** Ends a host that is due as soon as it is idle. */
  leave(old: Hosted<T>): void;
}

export class Recycling<T extends LaneTask> {
  readonly #parts: RecyclingParts<T>;
  /** The hosts that are due, with their successor, if it could be started. */
  readonly #due = new Map<Hosted<T>, Hosted<T> | undefined>();
  /** The hosts that take no more tasks: their successor is warm, or they have none. */
  readonly #replaced = new Set<Hosted<T>>();
  readonly #tasks = new Map<Hosted<T>, number>();
  readonly #ages = new Map<Hosted<T>, Timer>();

  constructor(parts: RecyclingParts<T>) {
    this.#parts = parts;
  }

  /** How many hosts exist beside their successor. */
  get doubles(): number {
    return [...this.#due.values()].filter((successor) => successor !== undefined).length + this.#replaced.size;
  }

  isReplaced(host: Hosted<T>): boolean {
    return this.#replaced.has(host);
  }

  /** Whether it is not due, and would not be before it has run so many more tasks. */
  mayGoOn(host: Hosted<T>, tasks: number): boolean {
    if (this.#due.has(host) || this.#replaced.has(host)) return false;
    const { afterTasks = Infinity } = this.#parts.options();
    return (this.#tasks.get(host) ?? 0) + tasks <= afterTasks;
  }

  /** A host is up. */
  onUp(host: Hosted<T>): void {
    const { afterMs } = this.#parts.options();
    if (afterMs !== undefined) this.#ages.set(host, new Timer(afterMs, () => this.replace(host)));
  }

  /** A host has completed a batch. */
  onTasksDone(host: Hosted<T>, tasks: number): void {
    const { afterTasks = Infinity } = this.#parts.options();
    const sum = (this.#tasks.get(host) ?? 0) + tasks;
    this.#tasks.set(host, sum);
    if (sum >= afterTasks || this.#due.has(host)) this.replace(host);
  }

  /** Starts a successor, unless there is one. */
  replace(host: Hosted<T>): void {
    if (host.state === 'ending' || this.#replaced.has(host) || this.#due.get(host) !== undefined) return;
    this.#due.set(host, undefined);
    this.#due.set(host, this.#parts.open(host));
  }

  /** A host is warm; it may be a successor. */
  onWarm(successor: Hosted<T>): void {
    const old = this.#predecessorOf(successor);
    if (old !== undefined) this.retire(old);
  }

  /** It takes no more tasks, whether it has a successor or not. */
  retire(old: Hosted<T>): void {
    this.#due.delete(old);
    this.#replaced.add(old);
    this.#parts.leave(old);
  }

  /** A host ends, or has died. */
  onLeft(host: Hosted<T>): void {
    const old = this.#predecessorOf(host);
    if (old !== undefined) this.#due.set(old, undefined);
    this.#due.delete(host);
    this.#replaced.delete(host);
    this.#tasks.delete(host);
    this.#ages.get(host)?.cancel();
    this.#ages.delete(host);
  }

  #predecessorOf(successor: Hosted<T>): Hosted<T> | undefined {
    for (const [old, other] of this.#due) if (other === successor) return old;
    return undefined;
  }
}
