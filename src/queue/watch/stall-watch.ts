/**
 * Detects stalls: tasks of one pool and priority wait, and none of them has started for as long as a level says. Many
 * waiting tasks are no stall while some start, and paused tasks are none. One timer serves all pools, and runs only while tasks wait.
 */
import { now, Timer } from '../../platform/clock.ts';
import { type Priority, priorities } from '../priority.ts';

interface WatchedPool<T> {
  /** How many tasks of that priority have started. */
  starts(priority: Priority): number;
  queues(priority: Priority): readonly Iterable<T>[];
  /** Whether the task is not to start for now. */
  isPaused(task: T): boolean;
}

interface WaitingTask {
  /** On the clock of `now()`. */
  readonly queuedAt: number;
  /** Whether it was submitted ahead of its turn, and so is expected to wait. */
  readonly isSubmittedAhead: boolean;
}

/** The tasks of one pool and priority. */
interface Flow {
  readonly starts: number;
  /** Since when none is known to have started, on the clock of `now()`. */
  readonly since: number;
  /** The levels that were reported. */
  readonly noticed: Set<number>;
}

/** The shortest interval between two checks, in milliseconds. */
const shortestMs = 10;

export class StallWatch<T extends WaitingTask, P extends WatchedPool<T>> {
  readonly #pools: () => Iterable<P>;
  readonly #notice: (level: number, late: readonly T[], pool: P) => void;
  readonly #flows = new Map<P, Map<Priority, Flow>>();
  #levelsMs: readonly number[];
  #timer: Timer | undefined;

  constructor(
    pools: () => Iterable<P>,
    levelsMs: readonly number[],
    notice: (level: number, late: readonly T[], pool: P) => void,
  ) {
    this.#pools = pools;
    this.#levelsMs = levelsMs;
    this.#notice = notice;
  }

  configure(levelsMs: readonly number[]): void {
    this.#levelsMs = levelsMs;
    this.stop();
    this.watch();
  }

  /** A task waits. */
  watch(): void {
    if (this.#timer === undefined && this.#levelsMs.some((levelMs) => levelMs !== Infinity)) this.#look();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#flows.clear();
  }

  #look(): void {
    this.#timer = undefined;
    let nextMs = Infinity;
    for (const pool of this.#pools()) {
      for (const priority of priorities) nextMs = Math.min(nextMs, this.#lookAt(pool, priority));
    }
    if (nextMs === Infinity) this.#flows.clear();
    else this.#timer = new Timer(Math.max(nextMs, shortestMs), () => this.#look());
  }

  /** Returns in how many milliseconds to check again. */
  #lookAt(pool: P, priority: Priority): number {
    const flows = this.#flows.get(pool) ?? new Map<Priority, Flow>();
    this.#flows.set(pool, flows);
    if (waiting<T>(pool, priority).next().done === true) {
      flows.delete(priority);
      return Infinity;
    }
    const starts = pool.starts(priority);
    let flow = flows.get(priority);
    if (flow?.starts !== starts) {
      flow = { starts, since: now(), noticed: new Set() };
      flows.set(priority, flow);
    }
    return Math.min(...this.#levelsMs.map((levelMs, level) => this.#lookFor(level, levelMs, flow, pool, priority)));
  }

  #lookFor(level: number, levelMs: number, { since, noticed }: Flow, pool: P, priority: Priority): number {
    if (noticed.has(level)) return levelMs;
    const leftMs = since + levelMs - now();
    if (leftMs > 0) return leftMs;
    const late = [...waiting<T>(pool, priority)].filter(({ queuedAt }) => now() - queuedAt >= levelMs);
    if (late.length === 0) return levelMs / 4;
    noticed.add(level);
    this.#notice(level, late, pool);
    return levelMs;
  }
}

/** The tasks that wait, and are not expected to. Few of them are looked at, as there may be a million. */
function* waiting<T extends WaitingTask>(pool: WatchedPool<T>, priority: Priority): Generator<T, void> {
  for (const queue of pool.queues(priority)) {
    for (const task of queue) if (!task.isSubmittedAhead && !pool.isPaused(task)) yield task;
  }
}
