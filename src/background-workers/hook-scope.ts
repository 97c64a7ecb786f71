/**
 * Which hooks and runs of workers the present code is part of. Whoever awaits `stop()` there can't have the end: the worker
 * ends after its hooks and runs, so it would wait for itself.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { isThenable } from '../base/foreign-value.ts';
import { Promise } from '../platform/globals.ts';
import { currentRun } from '../task/inside/context.ts';
import type { WorkerStopOptions } from './worker-options.ts';

interface HookScope {
  readonly worker: object;
  /** The hook or run of another worker that has caused this one. */
  readonly outer: HookScope | undefined;
  /** What it has left behind, such as a timer, is no part of it. */
  isOver: boolean;
}

const storage = new AsyncLocalStorage<HookScope>();

/** Calls a hook of the worker, or begins a run. It is over when what it gives has settled. */
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
    // A hook that gives the end it has asked for awaits it.
    if (isThenable(promise)) storage.run(own, () => void promise.then(end, end));
    else end();
  }
}

/** Calls something that is part of none. */
export function callOutsideScopes<R>(call: () => R): R {
  return storage.exit(call);
}

/** Those of which a hook or a run goes on that the present code is part of. */
export function* workersInScope(): Generator<object> {
  for (let own = storage.getStore(); own !== undefined; own = own.outer) if (!own.isOver) yield own.worker;
}

/**
 * An end for all who await it; but for code that has to end before, it has come as soon as that awaits it. `await`, `then`
 * and `Promise.all` read `constructor` first, and so say where they are (https://tc39.es/ecma262/#sec-promise-resolve).
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
 * The end of a worker, for those who stop it.
 * @param runs Those that go on: one in a thread or child calls by a task of its own, here.
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
