/**
 * Memory that the program and a thread share while the thread runs a chunk: how far it is, and those results that are a
 * number or a constant. Other outcomes are posted before the next input begins. So no result of an input is lost when the
 * thread dies in a later one.
 */

/** How an outcome is told: by a message, as a number, or as one of the constants. */
const posted = 0;
const numeric = 1;
const firstConstant = 2;
const constants: readonly unknown[] = [undefined, null, false, true];

const beginsIndex = 0;
const endsIndex = 1;
const words = 2;

/** In the word of begins: no further input may begin. */
const recalled = 2 ** 30;

export class ResultBlock {
  readonly buffer: SharedArrayBuffer;
  /** How many inputs it has room for. */
  readonly capacity: number;
  readonly #numbers: Float64Array;
  readonly #words: Int32Array;
  readonly #kinds: Uint8Array;

  constructor(capacity: number, buffer?: SharedArrayBuffer) {
    const numberBytes = capacity * Float64Array.BYTES_PER_ELEMENT;
    const wordBytes = words * Int32Array.BYTES_PER_ELEMENT;
    this.buffer = buffer ?? new SharedArrayBuffer(numberBytes + wordBytes + capacity);
    this.capacity = capacity;
    this.#numbers = new Float64Array(this.buffer, 0, capacity);
    this.#words = new Int32Array(this.buffer, numberBytes, words);
    this.#kinds = new Uint8Array(this.buffer, numberBytes + wordBytes, capacity);
  }

  static from(buffer: SharedArrayBuffer): ResultBlock {
    const { BYTES_PER_ELEMENT: wordBytes } = Int32Array;
    return new ResultBlock((buffer.byteLength - words * wordBytes) / (Float64Array.BYTES_PER_ELEMENT + 1), buffer);
  }

  /** For another chunk, when no thread uses the memory. */
  reset(): void {
    this.#words.fill(0);
  }

  /** The next input begins. False if it was recalled: then it must not run. */
  begin(index: number): boolean {
    return Atomics.compareExchange(this.#words, beginsIndex, index, index + 1) === index;
  }

  /** No further input begins. Returns how many have begun. */
  recall(): number {
    return Atomics.or(this.#words, beginsIndex, recalled) & ~recalled;
  }

  /** The input has this result. Returns false, and changes nothing, if it has to be posted. */
  put(index: number, result: unknown): boolean {
    if (typeof result === 'number') {
      this.#numbers[index] = result;
      this.#kinds[index] = numeric;
    } else {
      const constant = constants.indexOf(result);
      if (constant < 0) return false;
      this.#kinds[index] = firstConstant + constant;
    }
    Atomics.store(this.#words, endsIndex, index + 1);
    return true;
  }

  /** The outcome of the input was posted. */
  notePosted(index: number): void {
    this.#kinds[index] = posted;
    Atomics.store(this.#words, endsIndex, index + 1);
  }

  /** How many inputs have begun. */
  get begun(): number {
    return Atomics.load(this.#words, beginsIndex) & ~recalled;
  }

  /** How many inputs have ended. */
  get ended(): number {
    return Atomics.load(this.#words, endsIndex);
  }

  /** Of an input that has ended. */
  isPosted(index: number): boolean {
    return this.#kinds[index] === posted;
  }

  /** Of an input that has ended, and whose outcome was not posted. */
  result(index: number): unknown {
    const kind = this.#kinds[index] as number;
    return kind === numeric ? this.#numbers[index] : constants[kind - firstConstant];
  }
}
