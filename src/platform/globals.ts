/**
 * What the library needs of the platform to go on, taken when it loads: timers, the microtask queue, clocks and some more. Who fakes
 * or replaces them later, as fake timers of tests do, changes what user code sees, and stops nothing here. Other files
 * take these from here, and never from `globalThis`; the architecture test looks.
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
/** With its methods, which that of a library may lack. */
export const Promise: PromiseConstructor = globalThis.Promise;

/** `Date.now()`: epoch milliseconds. */
export const timeOfDay: () => number = Date.now.bind(Date);
/** `performance.now()`: milliseconds since this thread began. */
export const elapsed: () => number = performance.now.bind(performance);

const cryptography = Object.getOwnPropertyDescriptor(globalThis, 'crypto');

/** Node loads what makes it when it is first asked for, and that takes long. */
export function randomUUID(): string {
  const { get, value } = cryptography as PropertyDescriptor;
  return ((get === undefined ? value : get.call(globalThis)) as typeof globalThis.crypto).randomUUID();
}

/** Of `node:timers/promises`: resolves in the next turn of the event loop. */
export const nextTurn: typeof turn = turn;
/** Of `node:timers/promises`: resolves after so many milliseconds. */
export const sleep: typeof sleepFor = sleepFor;
