/**
 * Tasks that are for one host each: such a task waits for a slot of that host, behind what runs there, and runs there or not at
 * all. It takes a slot of its own in the pool, whatever the limits, so that no other task is given a host that it keeps busy.
 */
import type { Exit } from '../../base/exit.ts';
import { thisMoment } from '../../platform/clock.ts';
import { queueMicrotask } from '../../platform/globals.ts';
import type { HostConnection } from '../hosts/host-connection.ts';
import type { LaneHost, LaneHosts, LaneListener, LaneTask } from '../lane.ts';
import type { PooledHost } from './pooled-host.ts';

type Hosted<T extends LaneTask> = PooledHost<HostConnection<T>>;

interface HostTasksParts<T extends LaneTask> {
  /** Those that have not exited. */
  readonly hosts: ReadonlySet<Hosted<T>>;
  readonly listener: () => LaneListener<T>;
  /** No other task may take the idle slot any more. */
  readonly takeIdle: (connection: HostConnection<T>) => void;
  /** Sends what the slot was given. */
  readonly begin: (connection: HostConnection<T>) => void;
}

export class HostTasks<T extends LaneTask> implements LaneHosts<T> {
  readonly #parts: HostTasksParts<T>;
  /** Those that wait, by their host. */
  readonly #waiting = new Map<Hosted<T>, T[]>();
  readonly #listeners = new Set<(host: LaneHost) => void>();

  constructor(parts: HostTasksParts<T>) {
    this.#parts = parts;
  }

  [Symbol.iterator](): Iterator<LaneHost> {
    return [...this.#parts.hosts].filter(({ isEnding }) => !isEnding).values();
  }

  subscribe(listener: (host: LaneHost) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  onOpened(host: Hosted<T>): void {
    if (!host.isEnding) for (const listener of this.#listeners) listener(host); // else it could not be started
  }

  /** The tasks that wait for their host. */
  *waiting(): Generator<T> {
    for (const tasks of this.#waiting.values()) yield* tasks;
  }

  has(task: T): boolean {
    return [...this.waiting()].includes(task);
  }

  run(given: LaneHost, task: T): void {
    const host = given as Hosted<T>;
    this.#waiting.set(host, [...(this.#waiting.get(host) ?? []), task]);
    for (const slot of host.slots) {
      if (slot.state !== 'busy') continue;
      slot.dropPrefetched();
      const recalled = slot.recall();
      if (recalled.length > 0) this.#parts.listener().returned(recalled);
    }
    queueMicrotask(() => {
      for (const slot of host.slots) {
        if (slot.state !== 'idle' || !this.#waiting.has(host)) continue;
        this.#parts.takeIdle(slot);
        this.begin(slot);
      }
    });
  }

  /** Whether a task waits for that host. */
  isAwaited(host: Hosted<T>): boolean {
    return this.#waiting.size > 0 && this.#waiting.has(host);
  }

  /** A slot is free: begins a task that waits for its host. Returns false if there is none. */
  begin(connection: HostConnection<T>): boolean {
    const { owner } = connection;
    if (!this.isAwaited(owner)) return false;
    const [task, ...others] = this.#waiting.get(owner) as [T, ...T[]];
    if (others.length > 0) this.#waiting.set(owner, others);
    else this.#waiting.delete(owner);
    this.#parts.listener().slotTaken(task);
    connection.take([task]);
    this.#parts.begin(connection);
    return true;
  }

  /** Takes back one that waits. */
  withdraw(task: T): boolean {
    for (const [host, tasks] of this.#waiting) {
      if (!tasks.includes(task)) continue;
      const others = tasks.filter((other) => other !== task);
      if (others.length > 0) this.#waiting.set(host, others);
      else this.#waiting.delete(host);
      this.#parts.listener().ended(task, { kind: 'withdrawn' }, thisMoment());
      return true;
    }
    return false;
  }

  onExited(host: Hosted<T>, exit: Exit): void {
    const tasks = this.#waiting.get(host) ?? [];
    this.#waiting.delete(host);
    for (const task of tasks) this.#parts.listener().ended(task, { kind: 'died', ...exit }, thisMoment());
  }
}
