/**
 * Calls that do nothing. A thread imports the file that defines a task, and that file may also be the program: what it
 * submits, starts, blocks on or stops while it loads there must not happen twice. Such calls never settle, and the
 * thread is told when the module begins to wait for one, because the module then comes no further.
 */
import { isInTask } from './context.ts';

interface Side {
  /** This thread runs tasks for a supervisor elsewhere. */
  isHost: boolean;
  waits: boolean;
  readonly listeners: (() => void)[];
}

// One for all copies of the package in a thread.
const sideSymbol = Symbol.for('taskwarden.side');
const holder = globalThis as { [sideSymbol]?: Side };
holder[sideSymbol] ??= { isHost: false, waits: false, listeners: [] };
const side: Side = holder[sideSymbol];

/** Makes this thread one that runs tasks for a supervisor elsewhere. */
export function becomeHost(): void {
  side.isHost = true;
}

export function isHost(): boolean {
  return side.isHost;
}

/** Whether this code runs in a task module that loads in a thread, and not in the program or in a task. */
export function isInert(): boolean {
  return isHost() && !isInTask();
}

/** Says that the module waits for an inert call. */
export function noteInertWait(): void {
  if (!side.isHost || side.waits) return;
  side.waits = true;
  for (const listener of side.listeners.splice(0)) listener();
}

/** Calls back when a module of this thread has begun to wait for an inert call. */
export function whenInertWait(callback: () => void): void {
  if (side.waits) callback();
  else if (side.isHost) side.listeners.push(callback);
}

/** What a task threw; with a hint, if it missed what its module would define after a wait that never ends here. */
export function explainInertWait(error: unknown): unknown {
  const isEarly = error instanceof ReferenceError && /before initialization$/.test(error.message);
  if (isEarly && side.waits) {
    error.message +=
      ': in a thread, the module of this task stops at the first task, or call of the supervisor, that it awaits; ' +
      'define what tasks need above that line';
  }
  return error;
}

/** A promise that never settles and notes who waits for it. */
export function inertPromise<T>(): Promise<T> {
  return new InertPromise<T>(() => {});
}

class InertPromise<T> extends Promise<T> {
  // biome-ignore lint/suspicious/noThenProperty: to see who waits.
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    noteInertWait();
    return super.then(onFulfilled, onRejected);
  }
}
