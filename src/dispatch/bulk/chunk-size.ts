/**
 * How many inputs of an `all()` make the next chunk: as many as run in about `chunkMs`, by the measured run times, and few
 * enough to leave the other slots their share. Pure data.
 */

/** More inputs are not sent together. Larger chunks gain hardly anything, and the program is busy with each for a while. */
const maxInputs = 4_096;

/** More arguments are not sent together: they are those of one call, and take its stack. */
const maxArguments = 12_288;

/** What runs no longer than this together is not worth dividing among the slots, in milliseconds. */
const quantumMs = 0.1;

/** The weight of the newest input in the average. */
const weight = 1 / 16;

/** On the event loop, what takes longer than this waits for something, in milliseconds: the others run meanwhile. */
export const longestOnLoopMs = 0.1;

export class ChunkSize {
  readonly #chunkMs: number;
  readonly #longestMs: number;
  #averageMs: number | undefined;
  /** How many arguments an input has had at most. */
  #width = 1;

  /** @param longestMs Inputs that run longer than this are sent one by one. */
  constructor(chunkMs: number, longestMs: number = Infinity) {
    this.#chunkMs = chunkMs;
    this.#longestMs = longestMs;
  }

  /** So many inputs have run for so long together. */
  record(inputs: number, runMs: number): void {
    if (inputs === 0) return;
    const averageMs = Math.max(runMs / inputs, 1e-6);
    this.#averageMs ??= averageMs;
    this.#averageMs += (averageMs - this.#averageMs) * (1 - (1 - weight) ** inputs);
  }

  /** An input with so many arguments was read. */
  noteWidth(args: number): void {
    this.#width = Math.max(this.#width, args);
  }

  /**
   * At least 1, and no more than that until an input has run.
   * @param left How many inputs are left; undefined if that is not known.
   * @param slots Among how many slots they are divided.
   */
  next(left: number | undefined, slots: number): number {
    const averageMs = this.#averageMs;
    if (averageMs === undefined || averageMs > this.#longestMs) return 1;
    const share = left === undefined ? Infinity : Math.max(Math.ceil(left / slots), quantumMs / averageMs);
    return Math.max(Math.floor(Math.min(this.#chunkMs / averageMs, share, maxInputs, maxArguments / this.#width)), 1);
  }
}
