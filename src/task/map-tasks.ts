/** One task for each of many inputs, a few at a time, their results as they come. */
import { show } from '../options.ts';
import type { TaskHandle } from './handle.ts';

export interface MapOptions {
  /** How many tasks are submitted ahead of the results that were taken. Default: 64. */
  readonly concurrency?: number;
  /** Results in the order of the inputs. Default: as they complete. */
  readonly ordered?: boolean;
}

export async function* mapTasks<T>(
  submit: (...args: unknown[]) => TaskHandle<T>,
  items: Iterable<unknown[]> | AsyncIterable<unknown[]>,
  { concurrency = 64, ordered = false }: MapOptions,
): AsyncGenerator<T, void, undefined> {
  const source = sourceOf(items);
  /** Submitted and not yet given out, in the order of the inputs. */
  const handles = new Set<TaskHandle<T>>();
  const completed: TaskHandle<T>[] = [];
  let read = 0;
  let isReading = false;
  let isExhausted = false;
  let problem: { readonly error: unknown } | undefined;
  let wake = () => {};

  function fill(): void {
    while (!isReading && !isExhausted && problem === undefined && handles.size < concurrency) readOne();
  }

  function readOne(): void {
    try {
      const next = source.next();
      if (next instanceof Promise) void readLater(next);
      else take(next);
    } catch (error) {
      fail(error);
    }
  }

  async function readLater(next: Promise<IteratorResult<unknown>>): Promise<void> {
    isReading = true;
    await next.then(take, fail);
    isReading = false;
    fill();
    wake();
  }

  function fail(error: unknown): void {
    isExhausted = true; // a source that threw gives no more
    problem = { error };
  }

  function take({ done, value: args }: IteratorResult<unknown>): void {
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
    for (const handle of handles) handle.cancel('the loop over map() was left');
    if (!isExhausted) await source.return?.();
  }
}

function sourceOf<T>(items: Iterable<T> | AsyncIterable<T>): Iterator<T> | AsyncIterator<T> {
  if (Symbol.asyncIterator in items) return items[Symbol.asyncIterator]();
  if (Symbol.iterator in items) return items[Symbol.iterator]();
  throw new TypeError(`map() takes an iterable or an async iterable; got ${show(items)}`);
}
