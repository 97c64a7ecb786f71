/** The handle: a native promise with extras, that knows whether it is awaited and never is an unhandled rejection. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { TaskHandle } from '../../src/task/call/handle.ts';
import { resolveTaskOptions } from '../../src/task/call/task-options.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';
import { Task } from '../../src/task/record/task.ts';
import { noOwner } from './no-owner.ts';

const cancel = vi.fn((_task: Task, _reason: unknown) => true);
let task: Task;
let handle: TaskHandle<number>;

beforeEach(() => {
  cancel.mockClear();
  const options = resolveTaskOptions({ priority: 'high', type: 'loop' }, 'it');
  const definition = defineBySource('add', () => 1);
  task = new Task({ definition, options }, [], 1, { ...noOwner, assignId: () => 'id', cancel });
  handle = new TaskHandle<number>(task);
});

function complete(value: number): void {
  task.enqueue();
  task.start(undefined);
  task.settle('completed', value);
}

it('is a native promise', () => {
  expect(handle).toBeInstanceOf(Promise);
  expect(Object.prototype.toString.call(handle)).toBe('[object Promise]');
});

it('what is made of it is a plain promise, and not another handle', async () => {
  const made = [handle.then(), handle.catch(() => {}), handle.finally(() => {}), Promise.all([handle])];
  for (const promise of made) expect(promise).not.toBeInstanceOf(TaskHandle);
  complete(5);
  expect(await Promise.all(made)).toEqual([5, 5, 5, [5]]);
});

it('is not wrapped when it is resolved with', () => {
  expect(Promise.resolve(handle)).toBe(handle);
});

it('shows the task', () => {
  expect(handle).toMatchObject({ id: 'id', name: 'add', priority: 'high', type: 'loop', status: 'delayed' });
  expect(handle.info).toEqual({ ...task.info, waitMs: expect.any(Number) });
  task.enqueue();
  expect(handle.status).toBe('queued');
});

describe('done, result and exception', () => {
  it('are false and undefined until the end', () => {
    expect([handle.done, handle.result, handle.exception]).toEqual([false, undefined, undefined]);
  });

  it('tell a result at once, without an await', () => {
    complete(5);
    expect([handle.done, handle.result, handle.exception]).toEqual([true, 5, undefined]);
  });

  it('tell a failure at once', () => {
    const error = new Error('m');
    task.settle('failed', error);
    expect([handle.done, handle.result, handle.exception]).toEqual([true, undefined, error]);
  });
});

describe('a failure', () => {
  it('is no unhandled rejection if nobody awaits it, and the task knows that nobody does', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    task.settle('failed', new Error('m'));
    await nextTurn();
    await nextTurn();
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect(task.isAwaited).toBe(false);
  });

  it('can be awaited later still', async () => {
    const error = new Error('m');
    task.settle('failed', error);
    await nextTurn();
    await expect(handle).rejects.toBe(error);
  });
});

describe('being awaited', () => {
  it.each<[string, (handle: TaskHandle<number>) => unknown]>([
    ['await', async (handle) => await handle],
    ['then()', (handle) => handle.then(() => {})],
    ['catch()', (handle) => handle.catch(() => {})],
    ['finally()', (handle) => handle.finally(() => {}).catch(() => {})],
    ['Promise.all()', (handle) => Promise.all([handle])],
    ['Promise.allSettled()', (handle) => Promise.allSettled([handle])],
    ['Promise.race()', (handle) => Promise.race([handle])],
    ['a return from an async function', async (handle) => handle],
  ])('is noticed with %s', async (_, use) => {
    expect(task.isAwaited).toBe(false);
    const used = use(handle);
    await Promise.resolve();
    expect(task.isAwaited).toBe(true);
    complete(1);
    await used;
  });

  it('looking at it is not awaiting', () => {
    void [handle.id, handle.info, handle.done, handle.result, String(handle), handle instanceof Promise];
    handle.onProgress(() => {});
    expect(task.isAwaited).toBe(false);
  });
});

it('cancel() passes the task and the reason on, and says whether it did something', () => {
  expect(handle.cancel('why')).toBe(true);
  cancel.mockReturnValueOnce(false);
  expect(handle.cancel()).toBe(false);
  expect(cancel.mock.calls).toEqual([
    [task, 'why'],
    [task, undefined],
  ]);
});

it('onProgress() gives the handle back, and calls the listener with each report until the end', () => {
  const listener = vi.fn();
  expect(handle.onProgress(listener) === handle).toBe(true);
  task.enqueue();
  task.start(1);
  task.report({ fraction: 0.5 }, vi.fn());
  task.settle('completed', 1);
  handle.onProgress(listener);
  task.report({ fraction: 1 }, vi.fn());
  expect(listener.mock.calls).toEqual([[{ fraction: 0.5 }]]);
});
