/**
 * A chunk: inputs of one `all()` that are sent together, and run one after the other as one task. That task gets the header,
 * and then the arguments of all inputs in a row, because Buffers stay Buffers only at the top level of arguments.
 */
import { isInstance } from '../../base/foreign-value.ts';
import { Buffer, structuredClone } from '../../platform/globals.ts';

/** The arguments of one call. */
export type Input = readonly unknown[];

/** How many arguments each input has: one number if all have the same. */
export type Arity = number | readonly number[];

export interface ChunkHeader {
  /** The id of the `all()`. */
  readonly bulkId: string;
  /** The index of the first input. */
  readonly first: number;
  readonly count: number;
  readonly arity: Arity;
  /** After so many milliseconds no further input begins. */
  readonly chunkMs: number;
  /** No further input begins after one that failed. */
  readonly endsAtFailure: boolean;
  /** Memory for short results, where it can be shared; see `ResultBlock`. */
  readonly results?: SharedArrayBuffer | undefined;
}

/** What `currentTask().id` is for an input. */
export function inputId(bulkId: string, index: number): string {
  return `${bulkId}:${index}`;
}

/** Adds the arguments of all inputs in a row to `values`. Throws what an input throws as it is read, such as a proxy. */
export function joinInputs(inputs: readonly Input[], values: unknown[]): Arity {
  const arities: number[] = [];
  let areSame = true;
  for (const input of inputs) {
    const { length } = input;
    for (let at = 0; at < length; at += 1) values.push(input[at]);
    arities.push(length);
    areSame &&= length === arities[0];
  }
  return areSame ? (arities[0] ?? 0) : arities;
}

/**
 * Replaces an object that is there before by a copy. What is sent together is copied together, so that inputs would share
 * the object where they run.
 */
export function separate(values: unknown[]): void {
  const seen = new Set<unknown>();
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at];
    if (typeof value !== 'object' || value === null) continue;
    if (seen.has(value)) values[at] = copyOf(value);
    else seen.add(value);
  }
}

/** Buffers stay Buffers. What can't be copied fails as it is sent. */
function copyOf(value: object): unknown {
  try {
    return isInstance(value, Buffer) ? Buffer.from(value) : structuredClone(value);
  } catch {
    return value;
  }
}

/** The inputs that `joinInputs` has joined. */
export function splitInputs(values: readonly unknown[], arity: Arity, count: number): Input[] {
  const inputs: Input[] = [];
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    const length = typeof arity === 'number' ? arity : (arity[index] ?? 0);
    inputs.push(values.slice(at, at + length));
    at += length;
  }
  return inputs;
}
