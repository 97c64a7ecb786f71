/** Runs one task for each of many inputs, a few at a time, and yields their results or outcomes. */
import { TaskwardenError } from '../../base/errors.ts';
import { checkOptions, type Rule, rules } from '../../base/options.ts';
import { Promise } from '../../platform/globals.ts';
import { nextTurnIfSpent } from '../../platform/loop-turn.ts';
import { onAbort } from '../../platform/on-abort.ts';
import { type InputSource, type Inputs, notAnInput, sourceOf } from '../inputs/input-source.ts';
import type { TaskHandle } from './handle.ts';

export interface MapOptions {
  /** How many tasks may be submitted whose results were not taken yet. Default: 64. */
  readonly concurrency?: number;
  /** Yields the results in the order of the inputs. Default: false, in the order in which they complete. */
  readonly ordered?: boolean;
  /** Yields the outcome of each input, and no failure ends the others. Default: false. */
  readonly settle?: boolean;
  /** Cancels all tasks that have not ended, when it aborts; the loop then throws `TASK_CANCELED`. */
  readonly signal?: AbortSignal;
}

/** The outcome of an input, which `map()` yields with `settle: true`. */
export type MapOutcome<I, R> = { readonly input: I; readonly index: number } & Readonly<PromiseSettledResult<R>>;

const mapRules: Readonly<Record<keyof MapOptions, Rule>> = {
  concurrency: rules.positiveCount,
  ordered: rules.boolean,
  settle: rules.boolean,
  signal: rules.signal,
};

/** @throws TypeError or RangeError that names the bad option. */
export function checkMapOptions(options: MapOptions, owner: string): void {
  checkOptions(options, mapRules, owner);
}

/** Submits the tasks of `mapTasks`. */
export interface MapTarget<T> {
  submit(...args: unknown[]): TaskHandle<T>;
  hasRoom(): boolean;
  waitForRoom(): Promise<void>;
}

export function mapTasks<T>(
  target: MapTarget<T>,
  items: Inputs<unknown[]>,
  options: MapOptions & { readonly settle?: false },
): AsyncGenerator<T, void, undefined>;
export function mapTasks<T>(
  target: MapTarget<T>,
  items: Inputs<unknown[]>,
  options: MapOptions,
): AsyncGenerator<T | MapOutcome<unknown[], T>, void, undefined>;
export async function* mapTasks<T>(
  { submit, hasRoom, waitForRoom }: MapTarget<T>,
  items: Inputs<unknown[]>,
  { concurrency = 64, ordered = false, settle = false, signal }: MapOptions,
): AsyncGenerator<T | MapOutcome<unknown[], T>, void, undefined> {
  const from = sourceOf(items, 'map()');
  const { source, isAsync } = from;
  /** Those whose result was not yielded yet, in the order of the inputs. */
  const handles = new Map<TaskHandle<T>, { readonly index: number; readonly input: unknown[] }>();
  const completed: TaskHandle<T>[] = [];
  let read = 0;
  let isReading = false;
  let isWaiting = false;
  let isExhausted = false;
  let isClosed = false;
  let problem: { readonly error: unknown } | undefined;
  let wake = () => {};

  function fill(): void {
    while (!isReading && !isWaiting && !isExhausted && problem === undefined && handles.size < concurrency) {
      const later = nextTurnIfSpent() ?? (hasRoom() ? undefined : waitForRoom());
      if (later !== undefined) void waitUntil(later);
      else if (isAsync) void readLater();
      else readNow();
    }
  }

  function readNow(): void {
    try {
      take((source as Iterator<unknown>).next());
    } catch (error) {
      fail(error);
    }
  }

  /** Waits for room, because only what can be submitted is read; or for a later turn of the event loop. */
  async function waitUntil(ready: Promise<void>): Promise<void> {
    isWaiting = true;
    await ready;
    isWaiting = false;
    if (!isClosed) fill();
    wake();
  }

  async function readLater(): Promise<void> {
    isReading = true;
    try {
      const next = await source.next();
      while (!next.done && !isClosed && !hasRoom()) await waitForRoom(); // other submitters may have taken the room
      take(next);
    } catch (error) {
      fail(error);
    }
    isReading = false;
    if (!isClosed) fill();
    wake();
  }

  function fail(error: unknown): void {
    isExhausted = true; // a source that threw yields nothing more
    problem = { error };
  }

  function take({ done, value: args }: IteratorResult<unknown>): void {
    if (isClosed) return;
    if (done) {
      isExhausted = true;
    } else if (Array.isArray(args)) {
      start(args);
    } else {
      problem = { error: notAnInput('map()', read, args) };
    }
  }

  function start(input: unknown[]): void {
    const handle = submit(...input);
    handles.set(handle, { index: read, input });
    read += 1;
    const complete = () => {
      if (!ordered) completed.push(handle);
      wake();
    };
    handle.then(complete, complete);
  }

  function takeCompleted(): TaskHandle<T> | undefined {
    if (!ordered) return completed.shift();
    const [first] = handles.keys();
    return first?.done ? first : undefined;
  }

  async function outcomeOf(handle: TaskHandle<T>, input: unknown[], index: number): Promise<MapOutcome<unknown[], T>> {
    try {
      return { input, index, status: 'fulfilled', value: await handle };
    } catch (reason) {
      return { input, index, status: 'rejected', reason };
    }
  }

  const abort = () => {
    problem ??= { error: new TaskwardenError('TASK_CANCELED', 'map() was canceled', { cause: signal?.reason }) };
    wake();
  };
  const unlisten = signal && onAbort(signal, abort);
  try {
    if (signal?.aborted) abort();
    for (;;) {
      fill();
      if (problem !== undefined) throw problem.error;
      const handle = takeCompleted();
      if (handle !== undefined) {
        const { input, index } = handles.get(handle) as { index: number; input: unknown[] };
        handles.delete(handle);
        await nextTurnIfSpent();
        yield settle ? await outcomeOf(handle, input, index) : await handle;
      } else if (isExhausted && handles.size === 0) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    isClosed = true;
    unlisten?.();
    for (const handle of handles.keys()) handle.cancel('the loop over map() was left');
    if (!isExhausted) await closeSource(from, isReading);
    isExhausted = true;
  }
}

/** A generator that is still producing a value ends only after that, so then nobody waits for its end. */
async function closeSource({ source }: InputSource, isReading: boolean): Promise<void> {
  const closed = source.return?.();
  if (isReading) Promise.resolve(closed).catch(() => {});
  else await closed;
}
