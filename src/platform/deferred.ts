/** A promise that is resolved from outside. */
import { Promise } from './globals.ts';

/** The result of `Promise.withResolvers`, which Node 20 does not have. */
export interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export function defer(): Deferred {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
