/**
 * Detects tasks that wait for too long, at two levels, with one timer for all: queues are in the order of waiting, so
 * that only tasks behind the bookmark of a level can be newly late.
 */
import { now, Timer } from '../../platform/clock.ts';
import type { Fifo, FifoItem } from '../order/fifo.ts';

export interface WaitItem<T> extends FifoItem<T> {
  /** On the clock of `now()`. */
  readonly queuedAt: number;
  /** Which levels were reported, one bit each. */
  warnings: number;
}

export class WaitWatch<T extends WaitItem<T>> {
  readonly #queues: () => Iterable<Fifo<T>>;
  readonly #notice: (level: number, late: readonly T[]) => void;
  #levelsMs: readonly number[];
  #firstLevelMs: number;
  #timer: Timer | undefined;
  #sweptAt = -Infinity;
  /** When the timer fires, on the clock of `now()`. */
  #dueAt = Infinity;

  /** @param queues Gives queues that have a bookmark for each level. */
  constructor(
    queues: () => Iterable<Fifo<T>>,
    levelsMs: readonly number[],
    notice: (level: number, late: readonly T[]) => void,
  ) {
    this.#queues = queues;
    this.#levelsMs = levelsMs;
    this.#firstLevelMs = Math.min(...levelsMs);
    this.#notice = notice;
  }

  configure(levelsMs: readonly number[]): void {
    this.#levelsMs = levelsMs;
    this.#firstLevelMs = Math.min(...levelsMs);
    this.rearm();
  }

  /** Sets the timer anew: another task may be due first. */
  rearm(): void {
    this.stop();
    this.#arm();
  }

  /** A task waits since `queuedAt`. */
  watch(queuedAt: number): void {
    if (this.#timer === undefined || queuedAt + this.#firstLevelMs < this.#dueAt) this.rearm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    if (this.#firstLevelMs === Infinity) return;
    let dueAt = Infinity;
    for (const queue of this.#queues()) {
      this.#levelsMs.forEach((levelMs, level) => {
        dueAt = Math.min(dueAt, (queue.bookmark(level)?.queuedAt ?? Infinity) + levelMs);
      });
    }
    if (dueAt === Infinity) return;
    dueAt = Math.max(dueAt, this.#sweptAt + this.#firstLevelMs / 10); // when many tasks come, several are checked at a time
    this.#dueAt = dueAt;
    this.#timer = new Timer(Math.max(dueAt - now(), 1), () => {
      this.#timer = undefined;
      this.#sweep();
      this.#arm();
    });
  }

  #sweep(): void {
    const sweptAt = now();
    this.#sweptAt = sweptAt;
    this.#levelsMs.forEach((levelMs, level) => {
      const late: T[] = [];
      for (const queue of this.#queues()) {
        for (
          let item = queue.bookmark(level);
          item && sweptAt - item.queuedAt >= levelMs;
          item = queue.bookmark(level)
        ) {
          queue.pass(level);
          if (item.warnings & (1 << level)) continue; // put back after it was reported
          item.warnings |= 1 << level;
          late.push(item);
        }
      }
      if (late.length > 0) this.#notice(level, late);
    });
  }
}
