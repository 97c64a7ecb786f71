/**
 * Watches how long hosts load the modules of tasks. It runs in the program, because the timers of a host don't help when
 * the module blocks its thread, or when nothing settles there any more.
 */
import { TaskwardenError } from '../../base/errors.ts';
import { now } from '../../platform/clock.ts';
import { clearTimeout, setImmediate, setTimeout } from '../../platform/globals.ts';
import type { LaneTask } from '../lane.ts';
import type { HostConnection } from './host-connection.ts';

/** How long a module may load, or set up, in milliseconds. */
export interface LoadLimits {
  /** After that a warning is logged. */
  readonly warnMs: number;
  /** After that the task fails, and the host is ended. */
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
  /** Those that were reported, and since when they load. */
  readonly #slow = new WeakMap<HostConnection<T>, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: WatchParts<T>) {
    this.#parts = parts;
  }

  /** A host has begun to load. */
  watch(): void {
    // Replies that arrived while this thread was busy are handled first, in the turn after that of the timer.
    this.#timer ??= setTimeout(() => setImmediate(() => this.#check()), this.#parts.limits.warnMs / 5).unref();
  }

  /** A host has ended its tasks: without one that loads, no timer is left. */
  review(): void {
    if (this.#timer === undefined) return;
    for (const { state, isLoading } of this.#parts.connections) if (state === 'busy' && isLoading) return;
    this.unwatch();
  }

  unwatch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #check(): void {
    this.#timer = undefined;
    const { limits, connections, slow, late } = this.#parts;
    for (const connection of [...connections]) {
      if (connection.state !== 'busy' || !connection.isLoading) continue;
      const [task] = connection;
      if (task !== undefined && connection.isBehindOthers(task)) {
        this.watch();
        continue;
      }
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

/** What a host that loads is at: the module, or its setup; undefined if it has begun with neither. */
export function loadOf<T extends LaneTask>({ host }: HostConnection<T>): 'module' | 'setup' | undefined {
  if (!host?.control.hasBegunLoading) return undefined;
  return host.control.isSettingUp ? 'setup' : 'module';
}

/** A host that loads for a task that was withdrawn may hang there: calls back if it still does after the grace time. */
export function onStuckLoad<T extends LaneTask>(
  connection: HostConnection<T>,
  graceMs: number,
  callback: () => void,
): void {
  const { since } = connection;
  const isStuck = () => connection.state === 'busy' && connection.since === since && connection.isLoading;
  setTimeout(() => isStuck() && callback(), graceMs).unref();
}

/** What a host loads, in words. */
export function whatLoads<T extends LaneTask>([task]: Iterable<T>): string {
  return task?.definition.moduleUrl ?? task?.carried?.definition.moduleUrl ?? `task "${task?.name}"`;
}

export function unfinishedLoad(load: 'module' | 'setup', what: string, ms: number): TaskwardenError {
  const rest = `after ${ms / 1_000} s: its event loop is blocked, or what it awaits may never come`;
  return load === 'setup'
    ? new TaskwardenError(
        'LANE_SETUP_FAILED',
        `what ${what} gives laneSetup() to do before its tasks has not ended ${rest}`,
      )
    : new TaskwardenError('MODULE_LOAD_FAILED', `${what} is still loading ${rest}`);
}
