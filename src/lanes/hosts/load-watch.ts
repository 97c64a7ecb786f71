/**
 * Sees from outside how long hosts load what tasks need: a module that keeps its thread busy, or in a host where nothing
 * settles any more, can't be told by that host's own timers.
 */
import { now } from '../../platform/clock.ts';
import { clearTimeout, setImmediate, setTimeout } from '../../platform/globals.ts';
import type { LaneTask } from '../lane.ts';
import type { HostConnection } from './host-connection.ts';

/** How long a module may load, or set up, in milliseconds. */
export interface LoadLimits {
  /** Then it is told of. */
  readonly warnMs: number;
  /** Then its task fails, and the host is ended. */
  readonly failMs: number;
}

export const loadLimits: LoadLimits = { warnMs: 5_000, failMs: 60_000 };

interface WatchParts<T extends LaneTask> {
  readonly limits: LoadLimits;
  readonly connections: Iterable<HostConnection<T>>;
  readonly slow: (connection: HostConnection<T>) => void;
  readonly late: (connection: HostConnection<T>) => void;
}

export class LoadWatch<T extends LaneTask> {
  readonly #parts: WatchParts<T>;
  /** Those that were told of, and since when they load. */
  readonly #slow = new WeakMap<HostConnection<T>, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: WatchParts<T>) {
    this.#parts = parts;
  }

  /** One loads now. */
  watch(): void {
    // What a host has said while this thread was busy is heard first: in the turn after that of the timer.
    this.#timer ??= setTimeout(() => setImmediate(() => this.#check()), this.#parts.limits.warnMs / 5).unref();
  }

  unwatch(): void {
    clearTimeout(this.#timer);
  }

  #check(): void {
    this.#timer = undefined;
    const { limits, connections, slow, late } = this.#parts;
    for (const connection of [...connections]) {
      if (connection.state !== 'busy' || !connection.isLoading) continue;
      const ms = now() - connection.since;
      if (ms >= limits.failMs) {
        late(connection);
        continue;
      }
      this.watch();
      if (ms < limits.warnMs || this.#slow.get(connection) === connection.since) continue;
      this.#slow.set(connection, connection.since);
      slow(connection);
    }
  }
}

/** What the host of a connection that loads is at: its module, or the setup of that; undefined: it has not come to either. */
export function loadOf<T extends LaneTask>({ host }: HostConnection<T>): 'module' | 'setup' | undefined {
  if (!host?.control.hasBegunLoading) return undefined;
  return host.control.isSettingUp ? 'setup' : 'module';
}
