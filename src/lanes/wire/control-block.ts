/**
 * Memory that a lane and one of its threads share: the state of each item, when it began and ended, whether it is asked to
 * stop, and its result, if that is a number or a constant. Other results are posted before the next item begins. So the
 * outcome of a finished item survives the death of the thread, and an item that a dead thread had not begun is known to
 * have never run.
 *
 *   0 ── begin() ──▶ begun ── finish() ──▶ begun and finished
 *   └── withdraw() ──▶ withdrawn: never begins
 *
 * and at any time requestStop(). An item that was asked to stop can still begin, but can't be withdrawn any more.
 *
 * Both sides may act at the same moment: the one that changes the state word first wins.
 *
 * Items are numbered for the whole life of the host, and the memory is a ring. A state word holds the lap of its item, so
 * nothing is reset: a word of an earlier lap means that the item waits, and one of a later lap that it is long over.
 */

const begun = 1;
const stopRequested = 2;
const withdrawn = 4;
const finished = 8;

/** How the result of a finished item is sent, in three bits: it was posted, or is one of these constants, or a number. */
const kindShift = 4;
const posted = 0;
const constants: readonly unknown[] = [undefined, null, false, true];
const firstConstant = 1;
const numeric = firstConstant + constants.length;
/** It was posted after other messages of the item. */
const postedLast = numeric + 1;

const lapShift = 7;
const flagBits: number = (1 << lapShift) - 1;

/** Instead of `begun`, in the state word of loading. */
const settingUp = 2;

const capacity = 512;
/** Twice as many, because a message about withdrawn items may still be on its way when others are sent. A power of two. */
const ring: number = 2 * capacity;
/** After the state words of the items: whether the definition is loaded, and the count of the bell. */
const loadingIndex: number = ring;
const bellIndex: number = ring + 1;

/** The state of an item. `posted`: it has ended, and its outcome is in a message; `finished`: its outcome is in `result`. */
export type ItemState = 'waiting' | 'withdrawn' | 'running' | 'posted' | 'finished';

/** The columns of numbers in the memory, before the state words: results, begin times, end times. */
const columns = 3;

export class ControlBlock {
  /** How many items a batch may have. */
  static readonly capacity: number = capacity;
  /** How many items may be in use at the same time. */
  static readonly window: number = ring;

  readonly buffer: SharedArrayBuffer;
  readonly #results: Float64Array;
  readonly #begunAt: Float64Array;
  readonly #endedAt: Float64Array;
  readonly #words: Int32Array;

  constructor(buffer?: SharedArrayBuffer) {
    const columnBytes = ring * Float64Array.BYTES_PER_ELEMENT;
    this.buffer =
      buffer ?? new SharedArrayBuffer(columns * columnBytes + (bellIndex + 1) * Int32Array.BYTES_PER_ELEMENT);
    this.#results = new Float64Array(this.buffer, 0, ring);
    this.#begunAt = new Float64Array(this.buffer, columnBytes, ring);
    this.#endedAt = new Float64Array(this.buffer, 2 * columnBytes, ring);
    this.#words = new Int32Array(this.buffer, columns * columnBytes);
  }

  /** For a new batch, while nothing runs. */
  resetLoading(): void {
    Atomics.store(this.#words, loadingIndex, 0);
  }

  /** The host comes to a batch. `isAhead`: until it begins, the lane may take it back. */
  beginBatch(_isAhead: boolean): void {}

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
    this.#begunAt[item % ring] = at;
    return this.#set(item, begun, withdrawn | begun);
  }

  /** True if the item had not begun, and now never will. */
  withdraw(item: number): boolean {
    return this.#set(item, withdrawn, flagBits);
  }

  requestStop(item: number): void {
    this.#set(item, stopRequested);
  }

  /** The item has ended. False, and nothing changes, if its result can't be kept here. */
  finish(item: number, result: unknown, at: number): boolean {
    const isNumber = typeof result === 'number';
    const kind = isNumber ? numeric : firstConstant + constants.indexOf(result);
    if (kind < firstConstant) return false;
    if (isNumber) this.#results[item % ring] = result;
    this.#finish(item, kind, at);
    return true;
  }

  /** The item has ended. Its outcome is in a message that is posted next. `hasPosted`: it has posted other messages before. */
  finishByMessage(item: number, at: number, hasPosted = false): void {
    this.#finish(item, hasPosted ? postedLast : posted, at);
  }

  /** Whether the item has ended, and its next message is its outcome. */
  isOutcomeNext(item: number): boolean {
    const flags = this.#flags(item);
    return (flags & finished) !== 0 && flags >> kindShift === posted;
  }

  #finish(item: number, kind: number, at: number): void {
    this.#endedAt[item % ring] = at;
    this.#set(item, finished | (kind << kindShift));
  }

  isStopRequested(item: number): boolean {
    return (this.#flags(item) & stopRequested) !== 0;
  }

  /** Sets flags of an item, unless it has one of the others. Returns whether they were set. */
  #set(item: number, flags: number, unless = 0): boolean {
    const index = item % ring;
    const lap = lapOf(item);
    for (;;) {
      const word = Atomics.load(this.#words, index);
      const old = flagsIn(word, lap);
      if ((old & unless) !== 0) return false;
      if (Atomics.compareExchange(this.#words, index, word, lap | old | flags) === word) return true;
    }
  }

  #flags(item: number): number {
    return flagsIn(Atomics.load(this.#words, item % ring), lapOf(item));
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
    const flags = this.#flags(item);
    if ((flags & withdrawn) !== 0) return 'withdrawn';
    if ((flags & begun) === 0) return 'waiting';
    if ((flags & finished) === 0) return 'running';
    const kind = flags >> kindShift;
    return kind === posted || kind === postedLast ? 'posted' : 'finished';
  }

  /** Of a finished item. */
  result(item: number): unknown {
    const kind = this.#flags(item) >> kindShift;
    return kind === numeric ? this.#results[item % ring] : constants[kind - firstConstant];
  }

  begunAt(item: number): number {
    return this.#begunAt[item % ring] ?? Number.NaN;
  }

  endedAt(item: number): number {
    return this.#endedAt[item % ring] ?? Number.NaN;
  }
}

/** The lap of an item, as it stands in its state word. It wraps around after some 30 million laps. */
function lapOf(item: number): number {
  return ((item / ring) | 0) << lapShift;
}

function flagsIn(word: number, lap: number): number {
  const ahead = ((word & ~flagBits) - lap) | 0;
  if (ahead === 0) return word & flagBits;
  return ahead > 0 ? withdrawn : 0;
}
