/**
 * Memory that a lane and one of its threads share: how far each item of the batch is, and whether it is asked to stop.
 * Both sides may act at the same moment; the one that changes the word first wins:
 *
 *   0 ── begin() ──▶ begun ── requestStop() ──▶ begun and asked to stop
 *   └── withdraw() ──▶ withdrawn: never begins
 *
 * So an item that a dead thread had not begun is known to have never run.
 */

const begun = 1;
const stopRequested = 2;
const withdrawn = 4;

export class ControlBlock {
  /** How many items a batch may have. */
  static readonly capacity: number = 512;

  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer((ControlBlock.capacity + 1) * Int32Array.BYTES_PER_ELEMENT);
    this.#words = new Int32Array(this.buffer);
  }

  /** For a new batch, while no one runs the old one. */
  reset(items: number): void {
    this.#words.fill(0, 0, items);
    this.#words[ControlBlock.capacity] = 0;
  }

  /** The definition of the batch begins to be loaded. */
  beginLoading(): void {
    Atomics.store(this.#words, ControlBlock.capacity, begun);
  }

  get hasBegunLoading(): boolean {
    return Atomics.load(this.#words, ControlBlock.capacity) === begun;
  }

  /** False if the item was withdrawn: then it must not run. */
  begin(item: number): boolean {
    return Atomics.compareExchange(this.#words, item, 0, begun) === 0;
  }

  /** True if the item had not begun, and now never will. */
  withdraw(item: number): boolean {
    return Atomics.compareExchange(this.#words, item, 0, withdrawn) === 0;
  }

  requestStop(item: number): void {
    Atomics.or(this.#words, item, stopRequested);
  }

  isStopRequested(item: number): boolean {
    return (Atomics.load(this.#words, item) & stopRequested) !== 0;
  }

  hasBegun(item: number): boolean {
    return (Atomics.load(this.#words, item) & begun) !== 0;
  }
}
