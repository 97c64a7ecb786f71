/**
 * Tracks which hooks and runs of workers the present code belongs to. Such code must not wait for the end of its worker: the
 * worker ends after its hooks and runs, so the code would wait for itself.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { isThenable } from '../base/foreign-value.ts';
import { Promise } from '../platform/globals.ts';
import { currentRun } from '../task/inside/context.ts';
import type { WorkerStopOptions } from './worker-options.ts';

interface HookScope {
  readonly worker: object;
  /** The hook or run of another worker that called this one. */
  readonly outer: HookScope | undefined;
  /** Set at the end of the hook or run: what it leaves behind, such as a timer, does not belong to it. */
  isOver: boolean;
}

const storage = new AsyncLocalStorage<HookScope>();

/** Calls a hook of the worker, or starts a run. The scope ends when the returned promise has settled. */
export function callInScope<R>(worker: object, call: () => R): R {
  const own: HookScope = { worker, outer: storage.getStore(), isOver: false };
  const end = () => {
    own.isOver = true;
  };
  let given: R | undefined;
  try {
    given = storage.run(own, call);
    return given;
  } finally {
    const promise = given;
    // Reads `then` inside the scope: a hook that returns the promise of `stop()` counts as awaiting it.
    if (isThenable(promise)) storage.run(own, () => void promise.then(end, end));
    else end();
  }
}

/** Calls a function outside of all scopes. */
export function callOutsideScopes<R>(call: () => R): R {
  return storage.exit(call);
}

/** The workers whose present hook or run the calling code belongs to. */
export function* workersInScope(): Generator<object> {
  for (let own = storage.getStore(); own !== undefined; own = own.outer) if (!own.isOver) yield own.worker;
}

/**
 * A promise of an end that resolves early when it is awaited by code that has to end before. `await`, `then` and `Promise.all`
 * read `constructor` first, so the getter runs in the code that awaits (https://tc39.es/ecma262/#sec-promise-resolve).
 */
export function avoidSelfWait<T>(end: Promise<T>, isOwn: () => boolean, early: () => T): Promise<T> {
  let settleEarly: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve, reject) => {
    settleEarly = resolve;
    end.then(resolve, reject);
  });
  return Object.defineProperty(promise, 'constructor', {
    get() {
      if (isOwn()) settleEarly(early());
      return Promise;
    },
  });
}

/**
 * The end of a worker, for callers of `stop()`.
 * @param runs The runs that are going on: a run in a thread or child calls `stop()` by a task of its own in the program.
 */
export function workerEnd(
  worker: object,
  runs: Iterable<{ readonly id: string }>,
  end: Promise<boolean>,
  { wait = true }: WorkerStopOptions,
): Promise<boolean> {
  if (wait !== true && wait !== Infinity) return end;
  const caller = (currentRun()?.task as { readonly parentId?: string } | undefined)?.parentId;
  if (caller !== undefined) for (const { id } of runs) if (id === caller) return Promise.resolve(true);
  return avoidSelfWait(
    end,
    () => [...workersInScope()].includes(worker),
    () => true,
  );
}
