/**
 * Globals as they were when the library was loaded: timers, the microtask queue, clocks and some more. If they are
 * faked or replaced later, for example by the fake timers of a test, user code sees that and the library goes on. Other
 * files import these, and never use those of `globalThis`; the architecture test checks that.
 */
import { setTimeout as sleepFor, setImmediate as turn } from 'node:timers/promises';

export const setTimeout: typeof globalThis.setTimeout = globalThis.setTimeout;
export const clearTimeout: typeof globalThis.clearTimeout = globalThis.clearTimeout;
export const setInterval: typeof globalThis.setInterval = globalThis.setInterval;
export const clearInterval: typeof globalThis.clearInterval = globalThis.clearInterval;
export const setImmediate: typeof globalThis.setImmediate = globalThis.setImmediate;
export const clearImmediate: typeof globalThis.clearImmediate = globalThis.clearImmediate;
export const queueMicrotask: typeof globalThis.queueMicrotask = globalThis.queueMicrotask;
export const structuredClone: typeof globalThis.structuredClone = globalThis.structuredClone;
export { Buffer } from 'node:buffer';
/** With all its methods: a Promise that a library puts in its place may lack some. */
export const Promise: PromiseConstructor = globalThis.Promise;

/** `Date.now()`: epoch milliseconds. */
export const timeOfDay: () => number = Date.now.bind(Date);
/** `performance.now()`: milliseconds since this thread began. */
export const elapsed: () => number = performance.now.bind(performance);

const cryptography = Object.getOwnPropertyDescriptor(globalThis, 'crypto');

/** Node loads the generator when it is first used, which takes long. */
export function randomUUID(): string {
  const { get, value } = cryptography as PropertyDescriptor;
  return ((get === undefined ? value : get.call(globalThis)) as typeof globalThis.crypto).randomUUID();
}

/** Of `node:timers/promises`: resolves in the next turn of the event loop. */
export const nextTurn: typeof turn = turn;
/** Of `node:timers/promises`: resolves after so many milliseconds. */
export const sleep: typeof sleepFor = sleepFor;
