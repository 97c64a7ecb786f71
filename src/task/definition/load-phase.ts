/**
 * Calls that do nothing. A thread imports the file that defines a task, and that file may also be the program: what it
 * submits, starts, blocks on or stops while it loads there must not happen twice. Such calls never settle, and it is
 * noted which module begins to wait for one, because that module then comes no further.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { isReferenceError, messageOf, sayInstead } from '../../base/foreign-value.ts';
import { Promise } from '../../platform/globals.ts';
import { isInTask } from '../inside/context.ts';

/** What happens while a module is imported, with all that it imports. */
interface Load {
  /** It waits for an inert call. */
  waits: boolean;
  readonly listeners: (() => void)[];
}

interface ThreadState {
  /** This thread runs tasks for a supervisor elsewhere. */
  isHost: boolean;
  /** Of any module. */
  readonly any: Load;
  /** By the URL of each module that is imported, or that defines tasks meanwhile. */
  readonly loads: Map<string, Load>;
  readonly current: AsyncLocalStorage<Load>;
}

// One for all copies of the package in a thread.
const sideSymbol = Symbol.for('taskwarden.side');
const holder = globalThis as { [sideSymbol]?: ThreadState };
holder[sideSymbol] ??= { isHost: false, any: newLoad(), loads: new Map(), current: new AsyncLocalStorage() };
const side: ThreadState = holder[sideSymbol];

function newLoad(): Load {
  return { waits: false, listeners: [] };
}

/** Makes this thread one that runs tasks for a supervisor elsewhere. */
export function becomeHost(): void {
  side.isHost = true;
}

export function isHost(): boolean {
  return side.isHost;
}

/** Whether this code runs in a task module that loads in a thread, and not in the program or in a task. */
export function isLoadingModule(): boolean {
  return isHost() && !isInTask();
}

/** Imports a module: what it waits for, however late, is noted as its own. */
export function whileLoading<R>(moduleUrl: string, load: () => R): R {
  return side.current.run(loadOf(moduleUrl), load);
}

/** Takes note that a module is evaluated, by whoever imports it. */
export function noteModule(moduleUrl: string): void {
  const load = side.current.getStore();
  if (load !== undefined && !side.loads.has(moduleUrl)) side.loads.set(moduleUrl, load);
}

function loadOf(moduleUrl: string): Load {
  const load = side.loads.get(moduleUrl) ?? newLoad();
  side.loads.set(moduleUrl, load);
  return load;
}

/** Says that a module waits for an inert call: the one that loads here, or any, where that can't be told. */
export function noteModuleWait(): void {
  if (!side.isHost) return;
  const load = side.current.getStore();
  for (const each of [side.any, ...(load === undefined ? side.loads.values() : [load])]) {
    each.waits = true;
    for (const listener of each.listeners.splice(0)) listener();
  }
}

/** Calls back when that module, or any, of this thread has begun to wait for an inert call. */
export function onModuleWait(callback: () => void, moduleUrl?: string): void {
  const { waits, listeners } = moduleUrl === undefined ? side.any : loadOf(moduleUrl);
  if (waits) callback();
  else if (side.isHost) listeners.push(callback);
}

/** What a task threw; with a hint, if it missed what its module would define after a wait that never ends here. */
export function explainModuleWait(error: unknown): unknown {
  if (side.any.waits && isReferenceError(error) && /before initialization$/.test(messageOf(error))) {
    const hint =
      'in a thread, the module of this task stops at the first task, or call of the supervisor, that it awaits; ' +
      'define what tasks need above that line';
    sayInstead(error, `${messageOf(error)}: ${hint}`);
  }
  return error;
}

/** A promise that never settles and notes who waits for it. */
export function foreverPendingPromise<T>(): Promise<T> {
  return new ForeverPendingPromise<T>(() => {});
}

class ForeverPendingPromise<T> extends Promise<T> {
  // biome-ignore lint/suspicious/noThenProperty: to see who waits.
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    noteModuleWait();
    return super.then(onFulfilled, onRejected);
  }
}
