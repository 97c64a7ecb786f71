/**
 * The load phase of a task module in a thread or child. The file that defines a task may also be the program. Tasks that
 * it submits, starts, waits for or stops while it loads in a thread must not run a second time. So such calls are ignored:
 * they return promises that never settle. A module that waits for one gets no further, so that is noted.
 *
 *   (imports) ── waits for an ignored call ──▶ waits: only what it has defined by then can be used
 *       └── has been evaluated ──▶ loaded
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { isReferenceError, messageOf, setMessage } from '../../base/foreign-value.ts';
import { Promise } from '../../platform/globals.ts';
import { isInTask } from '../inside/context.ts';

/** The load of a module, with all that it imports. */
interface Load {
  /** The module waits for an ignored call. */
  waits: boolean;
  readonly listeners: (() => void)[];
}

interface ThreadState {
  /** This thread runs tasks for a supervisor elsewhere. */
  isHost: boolean;
  /** Whether any module waits. */
  readonly any: Load;
  /** By the URL of each module that is imported, or that defines tasks meanwhile. */
  readonly loads: Map<string, Load>;
  readonly current: AsyncLocalStorage<Load>;
}

// Shared by all copies of the package in a thread.
const stateSymbol = Symbol.for('taskwarden.side');
const holder = globalThis as { [stateSymbol]?: ThreadState };
holder[stateSymbol] ??= { isHost: false, any: newLoad(), loads: new Map(), current: new AsyncLocalStorage() };
const state: ThreadState = holder[stateSymbol];

function newLoad(): Load {
  return { waits: false, listeners: [] };
}

/** Marks this thread as one that runs tasks for a supervisor elsewhere. */
export function becomeHost(): void {
  state.isHost = true;
}

export function isHost(): boolean {
  return state.isHost;
}

/** Whether this code belongs to a module that a thread or child loads, and not to the program or to a task. */
export function isLoadingModule(): boolean {
  return isHost() && !isInTask();
}

/** Runs the import of a module. Its waits are noted for that module, however late they begin. */
export function whileLoading<R>(moduleUrl: string, load: () => R): R {
  return state.current.run(loadOf(moduleUrl), load);
}

/** Notes that a module is evaluated as part of the current load. */
export function noteModule(moduleUrl: string): void {
  const load = state.current.getStore();
  if (load !== undefined && !state.loads.has(moduleUrl)) state.loads.set(moduleUrl, load);
}

function loadOf(moduleUrl: string): Load {
  const load = state.loads.get(moduleUrl) ?? newLoad();
  state.loads.set(moduleUrl, load);
  return load;
}

/** Notes that the module which loads here waits for an ignored call; if that is not known, that all of them do. */
export function noteModuleWait(): void {
  if (!state.isHost) return;
  const load = state.current.getStore();
  for (const each of [state.any, ...(load === undefined ? state.loads.values() : [load])]) {
    each.waits = true;
    for (const listener of each.listeners.splice(0)) listener();
  }
}

/** Calls back when a module of this thread, or the given one, has begun to wait for an ignored call. */
export function onModuleWait(callback: () => void, moduleUrl?: string): void {
  const { waits, listeners } = moduleUrl === undefined ? state.any : loadOf(moduleUrl);
  if (waits) callback();
  else if (state.isHost) listeners.push(callback);
}

/** Adds a hint to an error that a task threw, if it used a variable that its module defines only after such a wait. */
export function explainModuleWait(error: unknown): unknown {
  if (state.any.waits && isReferenceError(error) && /before initialization$/.test(messageOf(error))) {
    const hint =
      'in a thread, the module of this task stops at the first task, or call of the supervisor, that it awaits; ' +
      'define what tasks need above that line';
    setMessage(error, `${messageOf(error)}: ${hint}`);
  }
  return error;
}

/** A promise that never settles, and notes that its module waits when it is awaited. */
export function foreverPendingPromise<T>(): Promise<T> {
  return new ForeverPendingPromise<T>(() => {});
}

class ForeverPendingPromise<T> extends Promise<T> {
  // biome-ignore lint/suspicious/noThenProperty: to notice that it is awaited.
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    noteModuleWait();
    return super.then(onFulfilled, onRejected);
  }
}
