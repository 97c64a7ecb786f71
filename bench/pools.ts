/**
 * What the contestants of the rows on tasks have in common: a pool that runs one function of `work/work.mjs` in threads,
 * and gives a promise for each call. The threads are two, run without the loader that the bench itself is run with, and
 * are up before anything is measured.
 */
export const threads = 2;

export const work: URL = new URL('./work/work.mjs', import.meta.url);

/** The functions of `work/work.mjs`. */
export interface Work {
  tiny(n: number): number;
  tinyOrHeld(value: number | Int32Array): number;
  tinyMany(numbers: readonly number[]): number[];
  echo(value: unknown): unknown;
  spin(iterations: number): number;
  spinMany(times: { iterations: number; times: number }): number;
  spinLow(work: { iterations: number }): number;
  clock(): number;
}

export interface Pool {
  readonly name: string;
  /** Those that matter, as its documentation names them. */
  readonly settings: string;
  run(value: unknown): PromiseLike<unknown>;
  /** The same, and a way to take the call back; where the library has one. */
  runCancelable?(value: unknown): Cancelable;
  /** Calls with each of these lists of arguments, where the library has a way to many calls at once. */
  all?(argumentLists: readonly [unknown][]): PromiseLike<readonly unknown[]>;
  close(): Promise<unknown>;
}

export interface Cancelable {
  readonly ended: PromiseLike<unknown>;
  cancel(): unknown;
}

export type OpenPool = (fn: keyof Work) => Pool;

/** For libraries that cancel by a signal. */
export function cancelableBySignal(run: (signal: AbortSignal) => PromiseLike<unknown>): Cancelable {
  const controller = new AbortController();
  return { ended: run(controller.signal), cancel: () => controller.abort() };
}
