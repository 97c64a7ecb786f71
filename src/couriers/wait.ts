/**
 * One wait in a list of waits. It ends once: by what it waits for, by its time-out, or by its signal. Then it is removed from
 * the list, with its timer and its listener.
 */
import { Timer } from '../platform/clock.ts';
import { Promise } from '../platform/globals.ts';
import { onAbort } from '../platform/on-abort.ts';
import { Fifo, type FifoItem } from '../queue/order/fifo.ts';
import { type Priority, priorities } from '../queue/priority.ts';
import type { WaitOptions } from './courier.ts';

let waitCount = 0;

export class Wait<T> implements FifoItem<Wait<T>> {
  next: Wait<T> | undefined = undefined;
  previous: Wait<T> | undefined = undefined;
  readonly promise: Promise<T>;
  readonly #sequence: number;
  readonly #waits: Fifo<Wait<T>>;
  #resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;
  #isOver = false;
  #timer: Timer | undefined;
  #unsubscribe: (() => void) | undefined;
  readonly #onEnd: (() => void) | undefined;

  /**
   * Adds itself to the list.
   * @param onGiveUp Called at the time-out, to end the wait; and after the signal has ended it.
   * @param onEnd Called once, when the wait was removed from the list.
   */
  constructor(waits: Fifo<Wait<T>>, { timeoutMs, signal }: WaitOptions, onGiveUp: () => void, onEnd?: () => void) {
    waitCount += 1;
    this.#onEnd = onEnd;
    this.#sequence = waitCount;
    this.#waits = waits;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    waits.push(this);
    if (signal?.aborted) {
      this.reject(signal.reason);
      return;
    }
    if (signal !== undefined) {
      this.#unsubscribe = onAbort(signal, () => {
        this.reject(signal.reason);
        onGiveUp();
      });
    }
    if (timeoutMs !== undefined) this.#timer = new Timer(timeoutMs, onGiveUp);
  }

  isBefore(other: Wait<T>): boolean {
    return this.#sequence < other.#sequence;
  }

  resolve(value: T): void {
    if (this.#leave()) this.#resolve(value);
  }

  reject(error: unknown): void {
    if (this.#leave()) this.#reject(error);
  }

  #leave(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#waits.remove(this);
    this.#timer?.cancel();
    this.#unsubscribe?.();
    this.#onEnd?.();
    return true;
  }
}

/** Rejects all waits of a list. */
export function rejectAll<T>(waits: Fifo<Wait<T>>, error: unknown): void {
  for (let wait = waits.first; wait !== undefined; wait = waits.first) wait.reject(error);
}

/** The wait of a task for room in its queue; gives the id of what was added. */
export class AddWait<T> extends Wait<string> {
  readonly task: T;

  constructor(waits: Fifo<Wait<string>>, task: T, options: WaitOptions, onGiveUp: () => void) {
    super(waits, options, onGiveUp);
    this.task = task;
  }
}

/** The wait of a worker for at most `max` tasks of a priority or above. */
export class WorkerWait<T> extends Wait<T[]> {
  readonly max: number;
  readonly minPriority: Priority;

  constructor(
    waits: WorkerWaits<T>,
    max: number,
    minPriority: Priority,
    options: WaitOptions,
    { onGiveUp, onEnd }: { readonly onGiveUp: () => void; readonly onEnd: () => void },
  ) {
    const resolve = () => {
      this.resolve([]);
      onGiveUp();
    };
    super(waits.of(minPriority), options, resolve, onEnd);
    this.max = max;
    this.minPriority = minPriority;
  }
}

/** The waits of workers, by their `minPriority`. */
export class WorkerWaits<T> {
  readonly #waits: Readonly<Record<Priority, Fifo<Wait<T[]>>>> = {
    critical: new Fifo(),
    high: new Fifo(),
    normal: new Fifo(),
    low: new Fifo(),
  };

  of(minPriority: Priority): Fifo<Wait<T[]>> {
    return this.#waits[minPriority];
  }

  get isEmpty(): boolean {
    return priorities.every((each) => this.#waits[each].size === 0);
  }

  /** The oldest wait of a worker that takes tasks of this priority. */
  first(priority: Priority): WorkerWait<T> | undefined {
    let first: Wait<T[]> | undefined;
    for (let i = priorities.indexOf(priority); i < priorities.length; i += 1) {
      const wait = this.#waits[priorities[i] as Priority].first;
      if (wait !== undefined && (first === undefined || wait.isBefore(first))) first = wait;
    }
    return first as WorkerWait<T> | undefined;
  }

  rejectAll(error: unknown): void {
    for (const each of priorities) rejectAll(this.#waits[each], error);
  }
}
