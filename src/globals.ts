/**
 * What the library needs of the platform to go on, taken when it loads: timers, the microtask queue and clocks. Who fakes
 * or replaces them later, as fake timers of tests do, changes what user code sees, and stops nothing here. Other files
 * take these from here, and never from `globalThis`; the architecture test looks.
 */
import { setTimeout as sleepFor, setImmediate as turn } from 'node:timers/promises';

export let setTimeout: typeof globalThis.setTimeout;
export let clearTimeout: typeof globalThis.clearTimeout;
export let setInterval: typeof globalThis.setInterval;
export let clearInterval: typeof globalThis.clearInterval;
export let setImmediate: typeof globalThis.setImmediate;
export let clearImmediate: typeof globalThis.clearImmediate;
export let queueMicrotask: typeof globalThis.queueMicrotask;
/** `Date.now()`: epoch milliseconds. */
export let timeOfDay: () => number;
/** `performance.now()`: milliseconds since this thread began. */
export let elapsed: () => number;

/** Of `node:timers/promises`: resolves in the next turn of the event loop. */
export const nextTurn: typeof turn = turn;
/** Of `node:timers/promises`: resolves after so many milliseconds. */
export const sleep: typeof sleepFor = sleepFor;

/** Takes them as they are now. For tests of the library itself, which move its time. */
export function takeGlobals(): void {
  ({ setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate, queueMicrotask } = globalThis);
  timeOfDay = Date.now.bind(Date);
  elapsed = performance.now.bind(performance);
}

takeGlobals();
