/** The memory courier to the millisecond, and what it leaves behind. */
import { type CourierTask, type MemoryCourierOptions, MemoryTaskCourier, type TaskCommand } from 'taskwarden';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { failure } from '../fixtures/listening.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function info(courier: MemoryTaskCourier) {
  return courier.getQueueInfo('work');
}

async function got(courier: MemoryTaskCourier): Promise<CourierTask> {
  const task = await courier.getTask('work');
  if (task === undefined) throw new Error('no task waits');
  return task;
}

describe('options', () => {
  it.each<[unknown, typeof TypeError | typeof RangeError, string]>([
    [{ leaseMs: 0 }, RangeError, 'leaseMs'],
    [{ resultTtlMs: -1 }, RangeError, 'resultTtlMs'],
    [{ maxQueued: 0 }, RangeError, 'maxQueued'],
    [{ maxStalls: 0.5 }, RangeError, 'maxStalls'],
    [{ maxDeadLetters: -1 }, RangeError, 'maxDeadLetters'],
    [{ copies: 1 }, TypeError, 'copies'],
    [{ name: '' }, TypeError, 'name'],
    [{ leaseMS: 1 }, TypeError, 'leaseMS'],
  ])('refuses %j', (options, type, named) => {
    expect(() => new MemoryTaskCourier(options as MemoryCourierOptions)).toThrow(type);
    expect(() => new MemoryTaskCourier(options as MemoryCourierOptions)).toThrow(named);
  });

  it('refuses a name that another has, until that is closed', async () => {
    const first = new MemoryTaskCourier({ name: 'one of a kind' });
    expect(() => new MemoryTaskCourier({ name: 'one of a kind' })).toThrow(/one of a kind.*memory-courier\.test/);
    await first.close();
    await new MemoryTaskCourier({ name: 'one of a kind' }).close();
  });

  it.each([
    ['', 'queue'],
    [1, 'queue'],
  ])('refuses %j as the name of a queue', async (queue, named) => {
    const error = await failure(new MemoryTaskCourier().addTaskToQueue(queue as string, 1));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ message: expect.stringContaining(named) });
  });
});

it('refuses data for a bulk that are no array', async () => {
  const error = await failure(new MemoryTaskCourier().bulkAddTasksToQueue('work', 'abc' as never));
  expect(error).toBeInstanceOf(TypeError);
  expect(error).toMatchObject({ message: expect.stringContaining('bulkAddTasksToQueue()') });
});

describe('times', () => {
  it('loses a lease when it is over, and not before', async () => {
    const courier = new MemoryTaskCourier({ leaseMs: 1_000 });
    await courier.addTaskToQueue('work', 1);
    const task = await got(courier);
    const heard: TaskCommand[] = [];
    await courier.subscribeToClient('work', task, (order) => heard.push(order));
    vi.advanceTimersByTime(999);
    expect(heard).toEqual([]);
    expect(await info(courier)).toMatchObject({ leased: 1 });
    vi.advanceTimersByTime(1);
    expect(heard).toEqual([{ kind: 'lost' }]);
    expect(await info(courier)).toMatchObject({ leased: 0, waiting: { normal: 1 } });
  });

  it('begins a lease anew from when it is extended', async () => {
    const courier = new MemoryTaskCourier({ leaseMs: 1_000 });
    await courier.bulkAddTasksToQueue('work', [1, 2]);
    const first = await got(courier);
    await got(courier);
    vi.advanceTimersByTime(600);
    await courier.extendLease('work', first);
    vi.advanceTimersByTime(999);
    expect(await info(courier)).toMatchObject({ leased: 1, waiting: { normal: 1 } });
    vi.advanceTimersByTime(1);
    expect(await info(courier)).toMatchObject({ leased: 0, waiting: { normal: 2 } });
    expect((await courier.bulkGetTasks('work', 2)).map(({ data }) => data)).toEqual([1, 2]);
  });

  it('takes the result of a worker that has blocked the event loop for longer than its lease', async () => {
    const courier = new MemoryTaskCourier({ leaseMs: 1_000 });
    const id = await courier.addTaskToQueue('work', 1);
    const task = await got(courier);
    const before = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => before + 1_500);
    await courier.returnTaskResult('work', task, 'late');
    expect(await courier.getTaskResult('work', id)).toBe('late');
  });

  it('hears who extends a lease before a late timer loses it', async () => {
    const courier = new MemoryTaskCourier({ leaseMs: 1_000 });
    await courier.addTaskToQueue('work', 1);
    const task = await got(courier);
    const before = performance.now();
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => before + 1_500);
    vi.advanceTimersByTime(1_000);
    await courier.extendLease('work', task);
    vi.advanceTimersByTime(1);
    expect(await info(courier)).toMatchObject({ leased: 1 });
    clock.mockImplementation(() => before + 2_500);
    vi.advanceTimersByTime(1_000);
    vi.advanceTimersByTime(1);
    expect(await info(courier)).toMatchObject({ leased: 0, waiting: { normal: 1 } });
  });

  it('puts leases that are lost together back in their order', async () => {
    const courier = new MemoryTaskCourier({ leaseMs: 1_000 });
    await courier.bulkAddTasksToQueue('work', [1, 2, 3, 4]);
    const [first, second, third] = (await courier.bulkGetTasks('work', 3)) as [CourierTask, CourierTask, CourierTask];
    await courier.extendLease('work', first);
    await courier.releaseTask('work', second);
    await courier.extendLease('work', third);
    vi.advanceTimersByTime(1_000);
    expect((await courier.bulkGetTasks('work', 4)).map(({ data }) => data)).toEqual([1, 2, 3, 4]);
  });

  it('puts a task back to its place, though the one that came back before was taken again', async () => {
    const courier = new MemoryTaskCourier();
    await courier.bulkAddTasksToQueue('work', [1, 2, 3]);
    const [first, second] = (await courier.bulkGetTasks('work', 2)) as [CourierTask, CourierTask];
    await courier.releaseTask('work', first);
    await got(courier);
    await courier.releaseTask('work', second);
    expect((await courier.bulkGetTasks('work', 3)).map(({ data }) => data)).toEqual([2, 3]);
  });

  it('fails a task at its last lease, and not before', async () => {
    const courier = new MemoryTaskCourier({ leaseMs: 10 });
    const id = await courier.addTaskToQueue('work', 1);
    for (let lease = 1; lease <= 3; lease += 1) {
      expect(await courier.checkForDone('work', id)).toBe(false);
      expect((await got(courier)).attempt).toBe(lease);
      vi.advanceTimersByTime(10);
    }
    expect(await failure(courier.getTaskResult('work', id))).toMatchObject({ code: 'TASK_STALLED' });
  });

  it.each(['completed', 'failed', 'canceled'])(
    'forgets how a task that was %s has ended after an hour',
    async (end) => {
      const courier = new MemoryTaskCourier();
      const id = await courier.addTaskToQueue('work', 1);
      const task = await got(courier);
      if (end === 'completed') await courier.returnTaskResult('work', task, 1);
      if (end === 'failed') await courier.returnTaskError('work', task, new Error('no'));
      if (end === 'canceled') await courier.cancelTask('work', id);
      vi.advanceTimersByTime(3_599_999);
      expect(await courier.checkForDone('work', id)).toBe(true);
      vi.advanceTimersByTime(1);
      expect(await failure(courier.checkForDone('work', id))).toMatchObject({ code: 'TASK_NOT_FOUND' });
    },
  );

  it('keeps no more dead letters than it may: the oldest goes, and its result as any', async () => {
    const courier = new MemoryTaskCourier({ maxDeadLetters: 2, resultTtlMs: 1_000 });
    const ids = await courier.bulkAddTasksToQueue('work', [1, 2, 3]);
    for (const _ of ids) await courier.returnTaskError('work', await got(courier), new Error('dead'));
    expect((await courier.getDeadLetters('work')).map(({ id }) => id)).toEqual(ids.slice(1));
    expect(await failure(courier.getTaskResult('work', ids[0] as string))).toMatchObject({ message: 'dead' });
    vi.advanceTimersByTime(1_001);
    expect(await failure(courier.getTaskResult('work', ids[0] as string))).toMatchObject({ code: 'TASK_NOT_FOUND' });
    await courier.addTaskToQueue('work', 4, { id: ids[0] as string });
    await courier.returnTaskError('work', await got(courier), new Error('dead'));
    expect((await courier.getDeadLetters('work')).map(({ data }) => data)).toEqual([3, 4]);
  });

  it('delivers what is added when all results are too old, though a busy event loop has not fired the timer', async () => {
    const courier = new MemoryTaskCourier({ resultTtlMs: 1_000 });
    await courier.addTaskToQueue('work', 1);
    await courier.returnTaskResult('work', await got(courier), 1);
    const before = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => before + 1_000);
    await courier.addTaskToQueue('work', 2);
    expect(await got(courier)).toMatchObject({ data: 2 });
  });

  it('keeps a dead letter for ever; redriven it is kept as long as any', async () => {
    const courier = new MemoryTaskCourier({ resultTtlMs: 100 });
    const id = await courier.addTaskToQueue('work', 'data');
    await courier.returnTaskError('work', await got(courier), new Error('no'));
    vi.advanceTimersByTime(100);
    expect(await courier.getDeadLetters('work')).toMatchObject([{ id, data: 'data', error: { message: 'no' } }]);
    expect(await failure(courier.addTaskToQueue('work', 1, { id }))).toMatchObject({ code: 'DUPLICATE_TASK_ID' });
    await courier.redriveTasks('work');
    await courier.returnTaskResult('work', await got(courier), 'well');
    vi.advanceTimersByTime(99);
    expect(await courier.getTaskResult('work', id)).toBe('well');
    vi.advanceTimersByTime(1);
    expect(await failure(courier.getTaskResult('work', id))).toMatchObject({ code: 'TASK_NOT_FOUND' });
    await courier.addTaskToQueue('work', 1, { id });
  });

  it('holds a task back for longer than a timer can be', async () => {
    const courier = new MemoryTaskCourier();
    const delayMs = 2 ** 31 + 5;
    await courier.addTaskToQueue('work', 1, { delayMs });
    vi.advanceTimersByTime(delayMs - 1);
    expect(await info(courier)).toMatchObject({ delayed: 1 });
    vi.advanceTimersByTime(1);
    expect(await info(courier)).toMatchObject({ delayed: 0, waiting: { normal: 1 } });
  });

  it('pauses before a retry for twice as long each time, and a random part more', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const courier = new MemoryTaskCourier();
    await courier.addTaskToQueue('work', 1, { retries: 3, retryDelayMs: 100 });
    for (const pauseMs of [125, 250, 500]) {
      await courier.returnTaskError('work', await got(courier), new Error('no'));
      vi.advanceTimersByTime(pauseMs - 1);
      expect(await info(courier)).toMatchObject({ delayed: 1 });
      vi.advanceTimersByTime(1);
      expect(await info(courier)).toMatchObject({ delayed: 0, waiting: { normal: 1 } });
    }
  });

  it('ends waits to the millisecond', async () => {
    const courier = new MemoryTaskCourier();
    const ended: string[] = [];
    const id = await courier.addTaskToQueue('other', 1);
    void courier.waitForTask('work', { timeoutMs: 10 }).then(() => ended.push('task'));
    void courier.waitForTaskResult('other', id, { timeoutMs: 20 }).catch(() => ended.push('result'));
    await vi.advanceTimersByTimeAsync(9);
    expect(ended).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toEqual(['task']);
    await vi.advanceTimersByTimeAsync(10);
    expect(ended).toEqual(['task', 'result']);
  });
});

describe('order among those who wait', () => {
  it('serves workers in the order in which they came', async () => {
    const courier = new MemoryTaskCourier();
    const workers = [courier.waitForTask('work'), courier.waitForTask('work'), courier.waitForTask('work')];
    await courier.bulkAddTasksToQueue('work', ['a', 'b', 'c']);
    expect((await Promise.all(workers)).map((task) => task?.data)).toEqual(['a', 'b', 'c']);
  });

  it('passes over a worker for whom a task is not urgent enough, who then is the first for one that is', async () => {
    const courier = new MemoryTaskCourier();
    const urgent = courier.waitForTask('work', { minPriority: 'high' });
    const any = courier.waitForTask('work');
    const next = courier.waitForTask('work');
    await courier.addTaskToQueue('work', 'normal');
    await courier.addTaskToQueue('work', 'high', { priority: 'high' });
    await courier.addTaskToQueue('work', 'critical', { priority: 'critical' });
    const tasks = await Promise.all([urgent, any, next]);
    expect(tasks.map((task) => task?.data)).toEqual(['high', 'normal', 'critical']);
  });
});

it('delivers a task whole, though it is canceled in the moment in which a worker that waits gets it', async () => {
  const courier = new MemoryTaskCourier();
  const delivered = courier.waitForTask('work');
  const added = courier.addTaskToQueue('work', { n: 1 }, { id: 'a' });
  const canceled = courier.cancelTask('work', 'a');
  expect(await Promise.all([delivered, added, canceled])).toMatchObject([{ id: 'a', data: { n: 1 } }, 'a', true]);
});

describe('copies', () => {
  it('keeps the classes that the structured clone keeps, and Buffers', async () => {
    const courier = new MemoryTaskCourier();
    await courier.addTaskToQueue('work', new Map([[1, new Date(5)]]));
    await courier.addTaskToQueue('work', Buffer.from('abc'));
    expect((await got(courier)).data).toEqual(new Map([[1, new Date(5)]]));
    const { data } = await got(courier);
    expect(data).toEqual(Buffer.from('abc'));
    expect(Buffer.isBuffer(data)).toBe(true);
  });

  it('gives each worker and each client a copy of its own', async () => {
    const courier = new MemoryTaskCourier();
    const id = await courier.addTaskToQueue('work', { list: [1] });
    const first = (await courier.getTask('work')) as CourierTask<{ list: number[] }>;
    first.data.list.push(2);
    await courier.releaseTask('work', first);
    const second = (await courier.getTask('work')) as CourierTask<{ list: number[] }>;
    expect(second.data).toEqual({ list: [1] });
    await courier.returnTaskResult('work', second, second.data);
    const result = await courier.getTaskResult<{ list: number[] }>('work', id);
    result.list.push(3);
    second.data.list.push(4);
    expect(await courier.getTaskResult('work', id)).toEqual({ list: [1] });
  });

  it('gives each who hears a message a copy of its own, and the worker of the next attempt, too', async () => {
    const courier = new MemoryTaskCourier();
    const heard: unknown[] = [];
    const spoils = (said: { kind: string; data?: unknown }) => {
      heard.push(structuredClone(said.data));
      (said.data as number[]).push(0);
    };
    await courier.addTaskToQueue('work', 1, { id: 'a' });
    await courier.subscribeToTask('work', 'a', spoils);
    await courier.subscribeToTask('work', 'a', spoils);
    await courier.sendToTask('work', 'a', { kind: 'message', data: [1] });
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const task = await got(courier);
      await courier.subscribeToClient('work', task, (order) => spoils(order as { kind: string }));
      await courier.sendToClient('work', task, { kind: 'message', data: [2] });
      await courier.releaseTask('work', task);
    }
    expect(heard).toEqual([[1], [2], [2], [1], [2], [2]]);
  });

  it('keeps what it is given, with `copies: false`, functions too', async () => {
    const courier = new MemoryTaskCourier({ copies: false });
    const data = { call: () => 1 };
    const id = await courier.addTaskToQueue('work', data);
    const task = await got(courier);
    expect(task.data).toBe(data);
    await courier.returnTaskResult('work', task, data);
    expect(await courier.getTaskResult('work', id)).toBe(data);
  });

  it('rejects with the error itself', async () => {
    const courier = new MemoryTaskCourier();
    const id = await courier.addTaskToQueue('work', 1);
    const error = new (class Own extends Error {})('own');
    await courier.returnTaskError('work', await got(courier), error);
    expect(await failure(courier.getTaskResult('work', id))).toBe(error);
  });

  it.each(['sendToTask', 'sendToClient'] as const)('refuses a message in %s that can not be copied', async (method) => {
    const courier = new MemoryTaskCourier();
    const id = await courier.addTaskToQueue('work', 1);
    const task = await got(courier);
    const message = { kind: 'message', data: () => {} } as const;
    const told =
      method === 'sendToTask' ? courier.sendToTask('work', id, message) : courier.sendToClient('work', task, message);
    expect(await failure(told)).toMatchObject({ code: 'MESSAGE_NOT_CLONEABLE' });
  });
});

describe('what it leaves behind', () => {
  it('has no timer when nothing is due', async () => {
    const courier = new MemoryTaskCourier({ resultTtlMs: 100 });
    const [id = ''] = await courier.bulkAddTasksToQueue('work', [1, 2]);
    expect(vi.getTimerCount()).toBe(0);
    for (const task of await courier.bulkGetTasks('work', 2)) await courier.returnTaskResult('work', task, 1);
    expect(vi.getTimerCount()).toBe(1);
    await courier.waitForTaskResult('work', id, { timeoutMs: 1_000 });
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(100);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('has one timer for all leases, and one for all results', async () => {
    const courier = new MemoryTaskCourier();
    await courier.bulkAddTasksToQueue('work', Array.from({ length: 100 }));
    const tasks = await courier.bulkGetTasks('work', 50);
    expect(vi.getTimerCount()).toBe(1);
    await courier.bulkGetTasks('work', 50);
    await courier.bulkReturnTaskResults(
      'work',
      tasks.map((task) => [task, 1] as const),
    );
    expect(vi.getTimerCount()).toBe(2);
  });

  it('takes its listeners off signals, and its timers, when waits end', async () => {
    const courier = new MemoryTaskCourier({ maxQueued: 1 });
    const { signal } = new AbortController();
    const on = vi.spyOn(signal, 'addEventListener');
    const off = vi.spyOn(signal, 'removeEventListener');
    const task = courier.waitForTask('work', { signal, timeoutMs: 1_000 });
    const id = await courier.addTaskToQueue('work', 1);
    const result = courier.waitForTaskResult('work', id, { signal, timeoutMs: 1_000 });
    await courier.returnTaskResult('work', (await task) as CourierTask, 1);
    await result;
    await courier.addTaskToQueue('work', 2);
    const added = courier.addTaskToQueue('work', 3, { signal, wait: true });
    await got(courier);
    await added;
    expect(on).toHaveBeenCalledTimes(3);
    expect(off).toHaveBeenCalledTimes(3);
    await courier.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('has no timer left when it is closed', async () => {
    const courier = new MemoryTaskCourier();
    await courier.addTaskToQueue('work', 1, { delayMs: 10 });
    await courier.bulkAddTasksToQueue('work', [2, 3]);
    await courier.returnTaskResult('work', await got(courier), 1);
    await got(courier);
    void courier.waitForTask('other', { timeoutMs: 50 }).catch(() => {});
    expect(vi.getTimerCount()).toBe(5); // and the one that keeps the process alive meanwhile
    await courier.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('goes on when a listener throws', async () => {
    const complaint = vi.spyOn(console, 'error').mockImplementation(() => {});
    const courier = new MemoryTaskCourier();
    const id = await courier.addTaskToQueue('work', 1);
    const heard: unknown[] = [];
    await courier.subscribeToTask('work', id, () => {
      throw new Error('bad listener');
    });
    await courier.subscribeToTask('work', id, (news) => heard.push(news));
    await courier.sendToClient('work', await got(courier), { kind: 'message', data: 1 });
    expect(heard).toHaveLength(1);
    expect(complaint).toHaveBeenCalledOnce();
  });
});
