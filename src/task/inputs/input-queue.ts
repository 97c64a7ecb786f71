/**
 * The inputs of an `all()` that have not begun: those that are still to be read, and those that came back. It reads no
 * more than is taken; of an async source, which delivers later, as many ahead as are taken at a time.
 */
import { isArray } from '../../base/foreign-value.ts';
import { Promise } from '../../platform/globals.ts';
import type { Input } from './chunk.ts';
import { type BulkInputs, type InputSource, notAnInput, sourceOf } from './input-source.ts';

/** Inputs that follow one another. */
export interface InputRange {
  /** The index of the first. */
  readonly first: number;
  readonly inputs: readonly Input[];
  /** They must not be sent together. */
  readonly areSingle?: boolean;
}

interface InputQueueParts extends BulkInputs {
  /** An async source has delivered, ended or failed. */
  readonly onChange: () => void;
}

export class InputQueue {
  readonly #parts: InputQueueParts;
  readonly #array: readonly unknown[] | undefined;
  readonly #source: InputSource | undefined;
  /** How many inputs there are, as soon as that is known. */
  total: number | undefined;
  /** Why no more inputs can be read. */
  problem: { readonly error: unknown } | undefined;
  /** How many were read. */
  #read = 0;
  /** Read from an async source, and not taken yet. */
  #buffer: Input[] = [];
  readonly #returned: InputRange[] = [];
  #isReading = false;
  #wanted = 0;

  /** @throws TypeError if the items are not iterable. */
  constructor(parts: InputQueueParts) {
    this.#parts = parts;
    if (isArray(parts.items)) {
      this.#array = parts.items;
      this.total = parts.items.length;
    } else {
      this.#source = sourceOf(parts.items, parts.call);
    }
  }

  /** How many inputs are known. */
  get known(): number {
    return this.total ?? this.#read;
  }

  /** How many have not been taken yet, if that is known. */
  get left(): number | undefined {
    if (this.total === undefined) return undefined;
    return this.#returned.reduce((sum, { inputs }) => sum + inputs.length, this.total - this.#taken);
  }

  get #taken(): number {
    return this.#read - this.#buffer.length;
  }

  get isEmpty(): boolean {
    return this.left === 0;
  }

  /** The next inputs, as many as `most` at most; undefined if there are none now. */
  take(most: number): InputRange | undefined {
    const returned = this.#returned.shift();
    if (returned !== undefined) return this.#split(returned, most);
    const first = this.#taken;
    const inputs = this.#source?.isAsync ? this.#takeRead(most) : this.#readNow(most);
    return inputs.length === 0 ? undefined : { first, inputs };
  }

  #split(range: InputRange, most: number): InputRange {
    const { first, inputs, areSingle = false } = range;
    const count = areSingle ? 1 : most;
    if (inputs.length <= count) return range;
    this.#returned.unshift({ first: first + count, inputs: inputs.slice(count), areSingle });
    return { first, inputs: inputs.slice(0, count) };
  }

  /** They have not begun, and come first. */
  giveBack(range: InputRange): void {
    if (range.inputs.length > 0) this.#returned.push(range);
  }

  /** Reads nothing more. */
  close(): void {
    const isOpen = this.total === undefined && this.problem === undefined;
    this.total ??= this.#read;
    if (!isOpen) return;
    try {
      // What it throws or rejects with would come after the end.
      void Promise.resolve(this.#source?.source.return?.()).catch(() => {});
    } catch {
      // the same
    }
  }

  #readNow(most: number): Input[] {
    const inputs: Input[] = [];
    try {
      while (inputs.length < most && this.problem === undefined && this.#taken !== this.total) {
        this.#take(this.#next(), inputs);
      }
    } catch (error) {
      this.problem = { error };
    }
    return inputs;
  }

  #next(): IteratorResult<unknown> {
    if (this.#array !== undefined) return { value: this.#array[this.#read] };
    return (this.#source as { readonly source: Iterator<unknown> }).source.next();
  }

  #take({ done, value }: IteratorResult<unknown>, inputs: Input[]): void {
    if (done) {
      this.total = this.#read;
    } else if (isArray(value)) {
      const { argsOf } = this.#parts;
      inputs.push(argsOf === undefined ? value : argsOf(value));
      this.#read += 1;
    } else {
      const error = notAnInput(this.#parts.call, this.#read, value);
      this.close();
      this.problem = { error };
    }
  }

  #takeRead(most: number): Input[] {
    this.#wanted = Math.max(this.#wanted, most);
    const inputs = this.#buffer.splice(0, most);
    if (!this.#isReading) void this.#readAhead();
    return inputs;
  }

  async #readAhead(): Promise<void> {
    this.#isReading = true;
    const source = this.#source?.source as AsyncIterator<unknown>;
    while (this.total === undefined && this.problem === undefined && this.#buffer.length < this.#wanted) {
      try {
        const next = await source.next();
        if (this.total === undefined) this.#take(next, this.#buffer);
      } catch (error) {
        if (this.total === undefined) this.problem = { error };
      }
      this.#parts.onChange();
    }
    this.#isReading = false;
  }
}
