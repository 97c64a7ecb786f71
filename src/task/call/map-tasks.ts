/** Runs one task for each of many inputs, a few at a time, and yields their results. */
import { show } from '../../base/options.ts';
import { Promise } from '../../platform/globals.ts';
import { nextTurnIfSpent } from '../../platform/loop-turn.ts';
import type { TaskHandle } from './handle.ts';

export interface MapOptions {
  /** How many tasks may be submitted whose results were not taken yet. Default: 64. */
  readonly concurrency?: number;
  /** Yields the results in the order of the inputs. Default: false, in the order in which they complete. */
  readonly ordered?: boolean;
}

/** Submits the tasks of `mapTasks`. */
export interface MapTarget<T> {
  submit(...args: unknown[]): TaskHandle<T>;
  hasRoom(): boolean;
  waitForRoom(): Promise<void>;
}

export async function* mapTasks<T>(
  { submit, hasRoom, waitForRoom }: MapTarget<T>,
  items: Iterable<unknown[]> | AsyncIterable<unknown[]>,
  { concurrency = 64, ordered = false }: MapOptions,
): AsyncGenerator<T, void, undefined> {
  const { source, isAsync } = sourceOf(items);
  /** Those whose result was not yielded yet, in the order of the inputs. */
  const handles = new Set<TaskHandle<T>>();
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
      const error = new TypeError(
        `map() takes lists of arguments, such as [path, width]; input ${read} is ${show(args)}`,
      );
      problem = { error };
    }
  }

  function start(args: unknown[]): void {
    read += 1;
    const handle = submit(...args);
    handles.add(handle);
    const complete = () => {
      if (!ordered) completed.push(handle);
      wake();
    };
    handle.then(complete, complete);
  }

  function takeCompleted(): TaskHandle<T> | undefined {
    if (!ordered) return completed.shift();
    const [first] = handles;
    return first?.done ? first : undefined;
  }

  try {
    for (;;) {
      fill();
      if (problem !== undefined) throw problem.error;
      const handle = takeCompleted();
      if (handle !== undefined) {
        handles.delete(handle);
        await nextTurnIfSpent();
        yield await handle;
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
    for (const handle of handles) handle.cancel('the loop over map() was left');
    if (!isExhausted) await closeSource(source, isReading);
    isExhausted = true;
  }
}

/** A generator that is still producing a value ends only after that, so then nobody waits for its end. */
async function closeSource(source: Source, isReading: boolean): Promise<void> {
  const closed = source.return?.();
  if (isReading) Promise.resolve(closed).catch(() => {});
  else await closed;
}

type Source = Iterator<unknown> | AsyncIterator<unknown>;

function sourceOf(items: unknown): { readonly source: Source; readonly isAsync: boolean } {
  const given = Object(items) as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  const async = given[Symbol.asyncIterator]?.();
  const source = async ?? given[Symbol.iterator]?.();
  if (source === undefined) throw new TypeError(`map() takes an iterable or an async iterable; got ${show(items)}`);
  return { source, isAsync: async !== undefined };
}
