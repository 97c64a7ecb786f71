/**
 * Memory that a lane and one of its threads share: the state of each item of the batch, when it began and ended, whether it
 * is asked to stop, and its result, if that is a number or a constant. Other results are posted before the next item
 * begins. So the outcome of a finished item survives the death of the thread, and an item that a dead thread had not begun
 * is known to have never run.
 *
 *   0 ── begin() ──▶ begun ── finish() ──▶ begun and finished
 *   └── withdraw() ──▶ withdrawn: never begins
 *
 * and at any time requestStop(). An item that was asked to stop can still begin, but can't be withdrawn any more.
 *
 * Both sides may act at the same moment: the one that changes the state word first wins.
 */

const begun = 1;
const stopRequested = 2;
const withdrawn = 4;
const finished = 8;

/** How the result of a finished item is sent, in the higher bits: it was posted, or is one of these constants, or a number. */
const kindShift = 4;
const posted = 0;
const constants: readonly unknown[] = [undefined, null, false, true];
const firstConstant = 1;
const numeric = firstConstant + constants.length;
/** It was posted after other messages of the item. */
const postedLast = numeric + 1;

/** Instead of `begun`, in the state word of loading. */
const settingUp = 2;

const capacity = 512;
/** After the state words of the items: whether the definition is loaded, the count of the bell, and the number of the batch. */
const loadingIndex: number = capacity;
const bellIndex: number = capacity + 1;
const batchIndex: number = capacity + 2;

/** The state of an item. `posted`: it has ended, and its outcome is in a message; `finished`: its outcome is in `result`. */
export type ItemState = 'waiting' | 'withdrawn' | 'running' | 'posted' | 'finished';

/** The columns of numbers in the memory, before the state words: results, begin times, end times. */
const columns = 3;

export class ControlBlock {
  /** How many items a batch may have. */
  static readonly capacity: number = capacity;

  readonly buffer: SharedArrayBuffer;
  readonly #results: Float64Array;
  readonly #begunAt: Float64Array;
  readonly #endedAt: Float64Array;
  readonly #words: Int32Array;

  constructor(buffer?: SharedArrayBuffer) {
    const columnBytes = capacity * Float64Array.BYTES_PER_ELEMENT;
    this.buffer =
      buffer ?? new SharedArrayBuffer(columns * columnBytes + (batchIndex + 1) * Int32Array.BYTES_PER_ELEMENT);
    this.#results = new Float64Array(this.buffer, 0, capacity);
    this.#begunAt = new Float64Array(this.buffer, columnBytes, capacity);
    this.#endedAt = new Float64Array(this.buffer, 2 * columnBytes, capacity);
    this.#words = new Int32Array(this.buffer, columns * columnBytes);
  }

  /** For a new batch, while no one runs the old one. */
  reset(items: number, batch: number = this.batch + 1): void {
    this.#words.fill(0, 0, items);
    this.#words[loadingIndex] = 0;
    Atomics.store(this.#words, batchIndex, batch);
  }

  /** The number of the batch; 0 before the first. */
  get batch(): number {
    return Atomics.load(this.#words, batchIndex);
  }

  /** The host begins to load the definition of the batch, or to set up its module. */
  beginLoading(isSetup = false): void {
    Atomics.store(this.#words, loadingIndex, isSetup ? settingUp : begun);
  }

  get hasBegunLoading(): boolean {
    return Atomics.load(this.#words, loadingIndex) !== 0;
  }

  get isSettingUp(): boolean {
    return Atomics.load(this.#words, loadingIndex) === settingUp;
  }

  /** False if the item was withdrawn: then it must not run. Times are those of `now()` in `clock.ts`. */
  begin(item: number, at: number): boolean {
    this.#begunAt[item] = at;
    return (Atomics.or(this.#words, item, begun) & (withdrawn | begun)) === 0;
  }

  /** True if the item had not begun, and now never will. */
  withdraw(item: number): boolean {
    return Atomics.compareExchange(this.#words, item, 0, withdrawn) === 0;
  }

  requestStop(item: number): void {
    Atomics.or(this.#words, item, stopRequested);
  }

  /** The item has ended. False, and nothing changes, if its result can't be kept here. */
  finish(item: number, result: unknown, at: number): boolean {
    const isNumber = typeof result === 'number';
    const kind = isNumber ? numeric : firstConstant + constants.indexOf(result);
    if (kind < firstConstant) return false;
    if (isNumber) this.#results[item] = result;
    this.#finish(item, kind, at);
    return true;
  }

  /** The item has ended. Its outcome is in a message that is posted next. `hasPosted`: it has posted other messages before. */
  finishByMessage(item: number, at: number, hasPosted = false): void {
    this.#finish(item, hasPosted ? postedLast : posted, at);
  }

  /** Whether the item has ended, and its next message is its outcome. */
  isOutcomeNext(item: number): boolean {
    const word = Atomics.load(this.#words, item);
    return (word & finished) !== 0 && word >> kindShift === posted;
  }

  #finish(item: number, kind: number, at: number): void {
    this.#endedAt[item] = at;
    Atomics.or(this.#words, item, finished | (kind << kindShift));
  }

  isStopRequested(item: number): boolean {
    return (Atomics.load(this.#words, item) & stopRequested) !== 0;
  }

  /** For a thread that is busy: something was posted to it. */
  ring(): void {
    Atomics.add(this.#words, bellIndex, 1);
    Atomics.notify(this.#words, bellIndex);
  }

  /** How often the bell has rung. */
  get rings(): number {
    return Atomics.load(this.#words, bellIndex);
  }

  /** Blocks the thread until the bell has rung more than `rings` times, or the time is over. */
  waitForRing(rings: number, timeoutMs: number): void {
    Atomics.wait(this.#words, bellIndex, rings, timeoutMs);
  }

  state(item: number): ItemState {
    const word = Atomics.load(this.#words, item);
    if ((word & withdrawn) !== 0) return 'withdrawn';
    if ((word & begun) === 0) return 'waiting';
    if ((word & finished) === 0) return 'running';
    const kind = word >> kindShift;
    return kind === posted || kind === postedLast ? 'posted' : 'finished';
  }

  /** Of a finished item. */
  result(item: number): unknown {
    const kind = Atomics.load(this.#words, item) >> kindShift;
    return kind === numeric ? this.#results[item] : constants[kind - firstConstant];
  }

  begunAt(item: number): number {
    return this.#begunAt[item] ?? Number.NaN;
  }

  endedAt(item: number): number {
    return this.#endedAt[item] ?? Number.NaN;
  }
}
