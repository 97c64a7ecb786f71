/** map(): the order of results, how far it reads and submits ahead, and what is left when it ends early. */
import { getEventListeners } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { TaskHandle } from '../../src/task/call/handle.ts';
import { type MapOptions, type MapTarget, mapTasks } from '../../src/task/call/map-tasks.ts';
import { resolveTaskOptions } from '../../src/task/call/task-options.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';
import { Task } from '../../src/task/record/task.ts';
import { noOwner } from './no-owner.ts';

const definition = defineBySource('it', () => {});
const options = resolveTaskOptions({}, 'it');

/** Submitted tasks by their argument, to be ended by the test. */
let tasks: Map<unknown, Task>;
let submitted: unknown[][];
let canceled: unknown[];
/** Whether one more task can wait; `makeRoom` tells those who wait for that. */
let isFull: boolean;
/** The task that takes the last room. */
let fillsRoom: unknown;
let makeRoom: () => void;
let waits: number;

beforeEach(() => {
  isFull = false;
  fillsRoom = undefined;
  makeRoom = () => {};
  waits = 0;
  tasks = new Map();
  submitted = [];
  canceled = [];
});

function submit(...args: unknown[]): TaskHandle<string> {
  const task = new Task({ definition, options }, args, submitted.push(args), {
    ...noOwner,
    cancel(each, reason) {
      if (each.isSettled) return false;
      canceled.push(args[0]);
      return each.settle('canceled', reason);
    },
  });
  tasks.set(args[0], task);
  isFull ||= args[0] === fillsRoom;
  return new TaskHandle<string>(task);
}

function end(key: unknown, error?: Error): void {
  const task = tasks.get(key);
  if (task === undefined) throw new Error(`${key} was not submitted`);
  task.enqueue();
  task.start(undefined);
  if (error === undefined) task.settle('completed', `result ${key}`);
  else task.settle('failed', error);
}

const target: MapTarget<string> = {
  submit,
  hasRoom: () => !isFull,
  waitForRoom() {
    waits += 1;
    return new Promise((resolve) => {
      makeRoom = resolve;
    });
  },
};

const map = (
  items: Iterable<unknown[]> | AsyncIterable<unknown[]>,
  mapOptions: MapOptions & { readonly settle?: false } = {},
) => mapTasks(target, items, mapOptions);

const keys = () => submitted.map(([key]) => key);

/** Enough turns for everything that can go on by itself. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await nextTurn();
}

function* numbers(count = Infinity): Generator<[number], void, undefined> {
  for (let i = 1; i <= count; i += 1) yield [i];
}

async function* later<T>(items: Iterable<T>): AsyncGenerator<T, void, undefined> {
  for (const item of items) {
    await nextTurn();
    yield item;
  }
}

const sources = [
  ['a sync source', (count?: number) => numbers(count)],
  ['an async source', (count?: number) => later(numbers(count))],
] as const;

describe.each(sources)('with %s', (_, source) => {
  it('gives each result, and passes all arguments on', async () => {
    const seen = (async () => {
      const results: string[] = [];
      for await (const result of map([
        ['a', 1],
        ['b', 2, 3],
      ])) {
        results.push(result);
      }
      return results;
    })();
    await settle();
    end('a');
    end('b');
    expect(await seen).toEqual(['result a', 'result b']);
    expect(submitted).toEqual([
      ['a', 1],
      ['b', 2, 3],
    ]);
  });

  it('gives results as they complete', async () => {
    const results = map(source(3));
    const first = results.next();
    await settle();
    end(3);
    expect(await first).toEqual({ done: false, value: 'result 3' });
    end(1);
    expect((await results.next()).value).toBe('result 1');
    end(2);
    expect((await results.next()).value).toBe('result 2');
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  it('ordered, it gives them in the order of the inputs', async () => {
    const results = map(source(3), { ordered: true });
    const taken: string[] = [];
    const reading = (async () => {
      for await (const result of results) taken.push(result);
    })();
    await settle();
    end(3);
    end(2);
    await settle();
    expect(taken).toEqual([]);
    end(1);
    await reading;
    expect(taken).toEqual(['result 1', 'result 2', 'result 3']);
  });

  it.each([true, false])('submits no more than concurrency ahead of what was taken (ordered: %s)', async (ordered) => {
    const results = map(source(), { concurrency: 3, ordered });
    const first = results.next();
    await settle();
    expect(keys()).toEqual([1, 2, 3]);
    end(1);
    expect((await first).value).toBe('result 1');
    end(2);
    end(3);
    await settle();
    const submittedUntilAsked = keys().length;
    expect(submittedUntilAsked).toBeLessThanOrEqual(4); // one was taken
    await results.next();
    await results.next();
    await settle();
    expect(keys().length).toBeLessThanOrEqual(6);
    await results.return();
  });

  it('reads nothing before it is asked for the first result', async () => {
    const results = map(source());
    await settle();
    expect(keys()).toEqual([]);
    await results.return();
    expect(keys()).toEqual([]);
  });

  it('reads 64 ahead by default', async () => {
    const results = map(source(200));
    void results.next();
    await vi.waitFor(() => expect(keys()).toHaveLength(64));
    await settle();
    expect(keys()).toHaveLength(64);
    end(1);
    await settle();
    await results.return();
  });

  it('ends with a source that is empty', async () => {
    expect(await map(source(0)).next()).toEqual({ done: true, value: undefined });
  });

  it.each([true, false])('throws the first failure, and cancels what is left (ordered: %s)', async (ordered) => {
    const results = map(source(), { concurrency: 3, ordered });
    const first = results.next();
    await settle();
    const error = new Error('task 1');
    end(1, error);
    await expect(first).rejects.toBe(error);
    expect(canceled).toEqual([2, 3]);
    expect(await results.next()).toEqual({ done: true, value: undefined });
    expect(keys()).toEqual([1, 2, 3]);
  });

  it.each([true, false])('settled, gives each outcome with its input, and goes on (ordered: %s)', async (ordered) => {
    const outcomes = mapTasks(target, source(3), { settle: true, ordered });
    const first = outcomes.next();
    await settle();
    const reason = new Error('task 2');
    end(2, reason);
    await settle();
    end(1);
    end(3);
    const expected = [
      { input: [1], index: 0, status: 'fulfilled', value: 'result 1' },
      { input: [2], index: 1, status: 'rejected', reason },
      { input: [3], index: 2, status: 'fulfilled', value: 'result 3' },
    ];
    const taken = [(await first).value, (await outcomes.next()).value, (await outcomes.next()).value];
    expect(taken).toEqual(ordered ? expected : [expected[1], expected[0], expected[2]]);
    expect(await outcomes.next()).toEqual({ done: true, value: undefined });
    expect(canceled).toEqual([]);
  });

  it('settled, never holds more outcomes than concurrency', async () => {
    const outcomes = mapTasks(target, source(), { settle: true, concurrency: 3 });
    const first = outcomes.next();
    await settle();
    for (const key of [1, 2, 3]) end(key, new Error(`task ${key}`));
    await first;
    await settle();
    expect(keys().length).toBeLessThanOrEqual(4);
    await outcomes.return();
  });

  it.each([true, false])('a signal cancels what is left, and the loop throws (settled: %s)', async (isSettled) => {
    const controller = new AbortController();
    const results = mapTasks(target, source(), { concurrency: 3, settle: isSettled, signal: controller.signal });
    const first = results.next();
    await settle();
    controller.abort('enough');
    await expect(first).rejects.toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
    expect(canceled).toEqual([1, 2, 3]);
    expect(await results.next()).toEqual({ done: true, value: undefined });
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  it('a signal that was aborted before lets nothing be submitted', async () => {
    const results = mapTasks(target, source(), { signal: AbortSignal.abort('enough') });
    await expect(results.next()).rejects.toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
    expect(keys()).toEqual([]);
  });

  it('a break cancels what is left, and closes the source', async () => {
    let isClosed = false;
    const watched = async function* () {
      try {
        yield* source();
      } finally {
        isClosed = true;
      }
    };
    const reading = (async () => {
      for await (const _ of map(watched(), { concurrency: 3 })) break;
    })();
    await settle();
    end(2);
    await reading;
    expect([canceled, isClosed]).toEqual([[1, 3], true]);
    await settle();
    expect(keys()).toEqual([1, 2, 3]);
  });

  it('refuses an input that is no list of arguments, and says which', async () => {
    const mixed = async function* () {
      for await (const item of source(2)) yield item;
      yield 'path' as unknown as [number];
    };
    const first = map(mixed()).next();
    await expect(first).rejects.toThrow(
      new TypeError(`map() takes lists of arguments, such as [path, width]; input 2 is 'path'`),
    );
    expect(canceled).toEqual([1, 2]);
  });
});

describe.each(sources)('where no task can wait, with %s', (_, source) => {
  let read: number;

  /** Counts what is read. */
  function watched(): AsyncIterable<unknown[]> | Iterable<unknown[]> {
    const count = (item: [number]) => {
      read += 1;
      return item;
    };
    const items = source(3);
    if (!(Symbol.asyncIterator in items)) {
      return (function* () {
        for (const item of items) yield count(item);
      })();
    }
    return (async function* () {
      for await (const item of items) yield count(item);
    })();
  }

  beforeEach(() => {
    read = 0;
  });

  it('reads nothing, and goes on once one can', async () => {
    isFull = true;
    const results = map(watched());
    const first = results.next();
    await settle();
    expect([read, keys(), waits]).toEqual([0, [], 1]);
    isFull = false;
    makeRoom();
    await vi.waitFor(() => expect(keys()).toEqual([1, 2, 3]));
    expect(waits).toBe(1);
    end(1);
    expect((await first).value).toBe('result 1');
    await results.return();
  });

  it('waits again if the room was taken by another before it could go on', async () => {
    isFull = true;
    const results = map(watched());
    const first = results.next();
    await settle();
    makeRoom();
    await settle();
    expect([read, keys(), waits]).toEqual([0, [], 2]);
    isFull = false;
    makeRoom();
    await vi.waitFor(() => expect(keys()).toEqual([1, 2, 3]));
    end(3);
    expect((await first).value).toBe('result 3');
    await results.return();
  });

  it('gives the results of those submitted before meanwhile, and the rest afterwards', async () => {
    fillsRoom = 1;
    const results = map(watched());
    const first = results.next();
    await vi.waitFor(() => expect(waits).toBe(1));
    expect([read, keys()]).toEqual([1, [1]]);
    end(1);
    expect((await first).value).toBe('result 1');
    const second = results.next();
    await settle();
    expect([read, keys(), waits]).toEqual([1, [1], 1]);
    isFull = false;
    makeRoom();
    await vi.waitFor(() => expect(keys()).toEqual([1, 2, 3]));
    end(2);
    end(3);
    expect((await second).value).toBe('result 2');
    expect((await results.next()).value).toBe('result 3');
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  it('submits nothing once the loop was left', async () => {
    fillsRoom = 1;
    const results = map(watched());
    const first = results.next();
    await vi.waitFor(() => expect(waits).toBe(1));
    end(1);
    await first;
    await results.return();
    isFull = false;
    makeRoom();
    await settle();
    expect([read, keys()]).toEqual([1, [1]]);
  });

  it('throws a failure while it waits', async () => {
    fillsRoom = 1;
    const results = map(watched());
    const first = results.next();
    await vi.waitFor(() => expect(waits).toBe(1));
    const error = new Error('task 1');
    end(1, error);
    await expect(first).rejects.toBe(error);
    isFull = false;
    makeRoom();
    await settle();
    expect([read, keys()]).toEqual([1, [1]]);
  });
});

describe('the source', () => {
  it('may throw: the loop throws it, and what was submitted is canceled', async () => {
    const error = new Error('from the source');
    function* broken(): Generator<[number]> {
      yield [1];
      throw error;
    }
    await expect(map(broken()).next()).rejects.toBe(error);
    await expect(map(later(broken())).next()).rejects.toBe(error);
    expect(canceled).toEqual([1, 1]);
  });

  it('is not closed again when it has come to its end, or thrown', async () => {
    const calls: string[] = [];
    const source = (outcome: () => IteratorResult<unknown[]>): Iterable<unknown[]> => ({
      [Symbol.iterator]: () => ({
        next: outcome,
        return() {
          calls.push('return');
          return { done: true, value: undefined };
        },
      }),
    });
    await map(source(() => ({ done: true, value: undefined }))).next();
    const broken = map(
      source(() => {
        throw new Error('m');
      }),
    );
    await expect(broken.next()).rejects.toThrow('m');
    expect(calls).toEqual([]);
  });

  it('is closed after an input that is refused', async () => {
    let isClosed = false;
    function* bad(): Generator<unknown[]> {
      try {
        yield 5 as unknown as unknown[];
      } finally {
        isClosed = true;
      }
    }
    await expect(map(bad()).next()).rejects.toThrow(TypeError);
    expect(isClosed).toBe(true);
  });

  it('may give its next input by any thenable', async () => {
    const source: AsyncIterable<unknown[]> = {
      [Symbol.asyncIterator]() {
        const inputs = numbers(1);
        // biome-ignore lint/suspicious/noThenProperty: a promise of another library
        return { next: () => ({ then: (resolve: (value: unknown) => void) => resolve(inputs.next()) }) as never };
      },
    };
    const first = map(source).next();
    await settle();
    end(1);
    expect((await first).value).toBe('result 1');
  });

  it.each([
    [undefined, 'undefined'],
    [5, '5'],
    [{ length: 0 }, 'an object'],
  ])('%o is none', async (items, shown) => {
    await expect(map(items as unknown as unknown[][]).next()).rejects.toThrow(
      new TypeError(`map() takes an iterable or an async iterable; got ${shown}`),
    );
  });
});

describe('a source that gives its next input only later', () => {
  let give: (key: string) => void;
  let isClosed: boolean;

  function slow(): AsyncIterable<unknown[]> {
    let first = true;
    isClosed = false;
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          if (first) {
            first = false;
            return Promise.resolve({ done: false, value: ['first'] });
          }
          return new Promise((resolve) => {
            give = (key) => resolve({ done: false, value: [key] });
          });
        },
        return: () => {
          isClosed = true;
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
  }

  it('its input is not submitted before there is room, if that went while it was read', async () => {
    const results = map(slow());
    const first = results.next();
    await settle();
    isFull = true;
    give('late');
    await settle();
    expect(keys()).toEqual(['first']);
    isFull = false;
    makeRoom();
    await settle();
    expect(keys()).toEqual(['first', 'late']);
    end('late');
    expect((await first).value).toBe('result late');
    await results.return();
  });

  it('does not hold back results', async () => {
    const results = map(slow());
    const first = results.next();
    await settle();
    end('first');
    expect((await first).value).toBe('result first');
    await results.return();
  });

  it('its input comes to nothing once the loop was left: no task of it is submitted', async () => {
    const results = map(slow());
    const first = results.next();
    await settle();
    end('first');
    await first;
    await results.return();
    expect(isClosed).toBe(true);
    give('late');
    await settle();
    expect(keys()).toEqual(['first']);
  });

  it('does not hold the loop when it is left', async () => {
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    async function* waits(): AsyncGenerator<unknown[]> {
      yield ['first'];
      await gate;
    }
    const results = map(waits());
    const first = results.next();
    await settle();
    end('first');
    await first;
    const left = vi.fn();
    void results.return().then(left);
    await settle();
    expect(left).toHaveBeenCalled();
    open();
  });
});

it.each(sources)('a submit that throws is thrown by the loop, with %s', async (_, source) => {
  const error = new TypeError('refused');
  const results = mapTasks<string>(
    {
      ...target,
      submit(key) {
        if (key === 2) throw error;
        return submit(key);
      },
    },
    source(3),
    {},
  );
  const outcome = results.next().catch((problem: unknown) => problem);
  await settle();
  expect(await Promise.race([outcome, nextTurn('nothing yet')])).toBe(error);
  expect(canceled).toEqual([1]);
});
