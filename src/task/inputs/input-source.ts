/** Where the inputs of `map()` and `all()` come from: an array or another iterable, or an async one. */
import { show } from '../../base/options.ts';
import type { Input } from './chunk.ts';

export type Inputs<T> = Iterable<T> | AsyncIterable<T>;

export interface InputSource {
  readonly source: Iterator<unknown> | AsyncIterator<unknown>;
  readonly isAsync: boolean;
}

/** The inputs of a call of `all()`. */
export interface BulkInputs {
  readonly items: unknown;
  /** How errors name the call. */
  readonly call: string;
  /** Makes the arguments of an input; absent if it is them. */
  readonly argsOf?: ((input: Input) => Input) | undefined;
}

/** @throws TypeError if it is not iterable. */
export function sourceOf(items: unknown, call: string): InputSource {
  const given = Object(items) as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  const async = given[Symbol.asyncIterator]?.();
  const source = async ?? given[Symbol.iterator]?.();
  if (source === undefined) throw new TypeError(`${call} takes an iterable or an async iterable; got ${show(items)}`);
  return { source, isAsync: async !== undefined };
}

export function notAnInput(call: string, index: number, value: unknown): TypeError {
  return new TypeError(`${call} takes lists of arguments, such as [path, width]; input ${index} is ${show(value)}`);
}
