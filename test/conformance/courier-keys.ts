/** What every courier promises of keys, limits and pauses, for all who share a queue. Each courier runs this suite. */
import {
  type AddOptions,
  type ClientWorkerTaskCourier,
  type CourierTask,
  type QueueEvent,
  type QueueLimits,
  TaskwardenError,
} from 'taskwarden';
import { expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import type { CourierUnderTest } from './courier.ts';
import { closedAfterEach, sharedInGroups } from './open-couriers.ts';

const longMs = 20_000;

export function courierKeys({ name, create, shortLeaseMs = 300 }: CourierUnderTest): void {
  let courier: ClientWorkerTaskCourier;
  let queue: string;
  let otherQueue: string;
  const make = closedAfterEach(create);
  const describeSharing = sharedInGroups(create, (given) => {
    ({ courier, queue, otherQueue } = given);
  });

  function add(data: unknown, options?: AddOptions): Promise<string> {
    return courier.addTaskToQueue(queue, data, options);
  }

  async function next(): Promise<CourierTask> {
    const task = await courier.waitForTask(queue, { timeoutMs: longMs });
    if (task === undefined) throw new Error('no task came');
    return task;
  }

  /** The data of all that may start now. */
  async function started(): Promise<unknown[]> {
    return (await courier.bulkGetTasks(queue, 20)).map(({ data }) => data);
  }

  function limit(limits: QueueLimits): Promise<QueueLimits | undefined> {
    return courier.setLimits(queue, limits);
  }

  describeSharing(`${name}: pauses`, {}, () => {
    it('gives no task of a queue that is paused, and takes the results of those that run', async () => {
      await courier.bulkAddTasksToQueue(queue, [1, 2, 3]);
      const task = await next();
      await courier.pauseQueue(queue);
      expect(await started()).toEqual([]);
      expect(await courier.getTask(queue, { minPriority: 'normal' })).toBeUndefined();
      expect(await courier.waitForTask(queue, { timeoutMs: 50 })).toBeUndefined();
      expect(await courier.bulkReturnTaskResults(queue, [[task, 'done']], { next: 1 })).toEqual([]);
      expect(await courier.getTaskResult(queue, task.id)).toBe('done');
      await add(4);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ isPaused: true, waiting: { normal: 3 } });
      await courier.resumeQueue(queue);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ isPaused: false });
      expect(await started()).toEqual([2, 3, 4]);
    });

    it('serves a worker that waits as soon as it is resumed', async () => {
      await courier.pauseQueue(queue);
      const waiting = next();
      await add('kept');
      await courier.resumeQueue(queue);
      expect(await waiting).toMatchObject({ data: 'kept' });
    });

    it('tells those who listen to the queue, once', async () => {
      const seen: QueueEvent[] = [];
      await courier.subscribe(queue, (event) => seen.push(event));
      await courier.pauseQueue(queue);
      await courier.pauseQueue(queue);
      await add('meanwhile');
      await courier.resumeQueue(queue);
      await courier.pauseQueue(otherQueue);
      await add('last');
      await expect.poll(() => seen.map(({ kind }) => kind)).toEqual(['paused', 'added', 'resumed', 'added']);
      expect(seen[0]).toEqual({ kind: 'paused', queue, time: expect.any(Number) });
    });

    it('pauses one queue, and once', async () => {
      await courier.pauseQueue(queue);
      await courier.pauseQueue(queue);
      await courier.addTaskToQueue(otherQueue, 1);
      expect(await courier.getTask(otherQueue)).toMatchObject({ data: 1 });
      await courier.resumeQueue(queue);
      await courier.resumeQueue(otherQueue); // which was not paused
      await add(1);
      expect(await started()).toEqual([1]);
    });
  });

  describeSharing(`${name}: one task of a key`, {}, () => {
    it('is told its key', async () => {
      await add(1, { key: 'a tenant: 1' });
      await courier.bulkAddTasksToQueue(queue, [2], { key: 'b' });
      await add(3);
      expect((await courier.bulkGetTasks(queue, 3)).map(({ key }) => key)).toEqual(['a tenant: 1', 'b', undefined]);
    });

    it.each([
      [{ unique: 'join' }, TypeError],
      [{ uniqueForMs: 5 }, TypeError],
      [{ key: 'k', unique: 'replace', uniqueForMs: 5 }, TypeError],
      [{ key: '' }, TypeError],
      [{ key: 'k', unique: 'often' }, TypeError],
    ])('refuses %j', async (options, kind) => {
      expect(await failure(add(1, options as AddOptions))).toBeInstanceOf(kind);
      expect(await started()).toEqual([]);
    });

    it('join: gives the id of the first, whose result all can wait for', async () => {
      const options = { key: 'k', unique: 'join' } as const;
      const ids = await Promise.all([1, 2, 3, 4, 5].map((n) => add(n, options)));
      const [id] = ids as [string];
      expect(new Set(ids)).toEqual(new Set([id]));
      const results = ids.map((each) => courier.waitForTaskResult(queue, each));
      const task = await next();
      expect(await add(6, options)).toBe(id); // while it runs
      await courier.returnTaskResult(queue, task, 'shared');
      expect(await Promise.all(results)).toEqual(ids.map(() => 'shared'));
      expect(await started()).toEqual([]);
      expect(await add(7, options)).not.toBe(id);
      expect(await started()).toEqual([7]);
    });

    it('join: tells other keys, other queues and tasks that need not be unique apart', async () => {
      const options = { key: 'k', unique: 'join' } as const;
      await add(1, options);
      await add(2, { ...options, key: 'K' });
      await add(3, { key: 'k' });
      await courier.addTaskToQueue(otherQueue, 4, options);
      expect(await started()).toEqual([1, 2, 3]);
      expect(await courier.getTask(otherQueue)).toMatchObject({ data: 4 });
    });

    it('join: goes with an id that is given, and with the first one that is delayed', async () => {
      const first = await add(1, { key: 'k', unique: 'join', id: 'mine', delayMs: longMs });
      expect(first).toBe('mine');
      expect(await add(2, { key: 'k', unique: 'join', id: 'other' })).toBe('mine');
      expect(await courier.getQueueInfo(queue)).toMatchObject({ delayed: 1, waiting: { normal: 0 } });
    });

    it('join: needs no room', async () => {
      courier = await make({ maxQueued: 1 });
      const options = { key: 'k', unique: 'join' } as const;
      const id = await add(1, options);
      expect(await add(2, options)).toBe(id);
      expect(await failure(add(3))).toMatchObject({ code: 'QUEUE_FULL' });
    });

    it('refuse: tells the id of the first', async () => {
      const options = { key: 'k', unique: 'refuse' } as const;
      const id = await add(1, options);
      const refusal = await failure(add(2, options));
      expect(refusal).toBeInstanceOf(TaskwardenError);
      expect(refusal).toMatchObject({ code: 'TASK_EXISTS', taskId: id });
      await courier.cancelTask(queue, id);
      expect(await add(3, options)).not.toBe(id);
      expect(await started()).toEqual([3]);
    });

    it('is unique through its retries, and not after its last failure', async () => {
      const options = { key: 'k', unique: 'join', retries: 1, retryDelayMs: 1 } as const;
      const id = await add(1, options);
      await courier.returnTaskError(queue, await next(), new Error('again'));
      expect(await add(2, options)).toBe(id);
      const second = await next();
      expect(second).toMatchObject({ id, attempt: 2 });
      await courier.returnTaskError(queue, second, new Error('for good'));
      expect(await add(3, { ...options, uniqueForMs: longMs })).not.toBe(id);
    });

    it('replace: ends the first, which waits, and takes its place', async () => {
      const options = { key: 'k', unique: 'replace' } as const;
      const id = await add('old', options);
      await add('other');
      const waiting = failure(courier.waitForTaskResult(queue, id));
      const other = await add('new', options);
      expect(await waiting).toMatchObject({ code: 'TASK_REPLACED', taskId: id });
      expect(await failure(courier.getTaskResult(queue, id))).toMatchObject({ code: 'TASK_REPLACED' });
      expect(await courier.getDeadLetters(queue)).toEqual([]);
      expect(await started()).toEqual(['new', 'other']);
      expect(other).not.toBe(id);
    });

    it('replace: with a delay is a debounce', async () => {
      const options = { key: 'k', unique: 'replace', delayMs: 60 } as const;
      const ids = [await add('o', options), await add('on', options), await add('one', options)];
      expect(await courier.getQueueInfo(queue)).toMatchObject({ delayed: 1, waiting: { normal: 0 } });
      const task = await next();
      expect(task).toMatchObject({ data: 'one', id: ids[2] });
      expect(await failure(courier.getTaskResult(queue, ids[0] as string))).toMatchObject({ code: 'TASK_REPLACED' });
    });

    it('replace: leaves one that runs', async () => {
      const options = { key: 'k', unique: 'replace' } as const;
      await add('old', options);
      const old = await next();
      const id = await add('new', options);
      expect(await started()).toEqual(['new']);
      await courier.returnTaskResult(queue, old, 'ended');
      expect(await courier.getTaskResult(queue, old.id)).toBe('ended');
      expect(await add('joins', { key: 'k', unique: 'join' })).toBe(id);
    });

    it('replace: many at once leave one', async () => {
      const options = { key: 'k', unique: 'replace' } as const;
      const ids = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => add(n, options)));
      const [left] = await courier.bulkGetTasks(queue, 10);
      expect(ids).toContain(left?.id);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 0 }, leased: 1 });
    });

    it('keeps a result for `uniqueForMs`', async () => {
      const options = { key: 'k', unique: 'join', uniqueForMs: longMs } as const;
      const id = await add(1, options);
      await courier.returnTaskResult(queue, await next(), 'kept');
      expect(await add(2, options)).toBe(id);
      expect(await courier.waitForTaskResult(queue, id)).toBe('kept');
      expect(await failure(add(3, { ...options, unique: 'refuse' }))).toMatchObject({ code: 'TASK_EXISTS' });
      expect(await started()).toEqual([]);
      const short = { key: 'short', unique: 'join', uniqueForMs: 30 } as const;
      const first = await add(4, short);
      await courier.bulkReturnTaskResults(queue, [[await next(), 'soon old']]);
      while ((await add(5, short)) === first) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await started()).toEqual([5]);
    });
  });

  describeSharing(`${name}: limits`, {}, () => {
    it('are of the queue, and the last ones hold', async () => {
      const rate = { max: 5, perMs: 1_000, burst: 2 };
      expect(await limit({ maxPerKey: 2 })).toBeUndefined();
      expect(await limit({ rate })).toEqual({ maxPerKey: 2 });
      expect(await courier.getQueueInfo(queue)).toMatchObject({ limits: { rate } });
      expect(await courier.getQueueInfo(otherQueue)).toMatchObject({ limits: undefined });
      expect(await limit({ maxPerKey: Infinity })).toEqual({ rate });
      expect(await courier.getQueueInfo(queue)).toMatchObject({ limits: undefined });
      expect(await limit({})).toBeUndefined();
      expect(await failure(limit({ maxPerKey: 0 }))).toBeInstanceOf(RangeError);
      expect(await failure(limit({ rate: { max: 1 } as never }))).toBeInstanceOf(TypeError);
      const farAway = { max: 1, perMs: 1e300 };
      expect(await failure(limit({ rate: farAway }))).toMatchObject({
        message: expect.stringMatching(/1000000000000 ms/),
      });
      expect(await failure(limit({ rate: { max: 1, perMs: 1e9, burst: 1e6 } }))).toBeInstanceOf(RangeError);
    });

    it('lists tasks that are held back among those that wait, in the order in which they will be delivered', async () => {
      const listed = async (state: 'waiting' | 'delayed', offset = 0, max = 10) =>
        (await courier.listTasks(queue, { state, offset, max })).map(({ id }) => id);
      await limit({ maxPerKey: 1 });
      await add('first', { key: 'a' });
      const held = [await add('a1', { key: 'a' }), await add('a2', { key: 'a' })];
      const delayed = await add('later', { key: 'a', delayMs: 3_600_000 });
      expect(await started()).toEqual(['first']);
      const plain = await add('plain');
      const urgent = await add('urgent', { key: 'a', priority: 'high' });
      expect(await listed('waiting')).toEqual([urgent, ...held, plain]);
      expect(await listed('waiting', 1, 2)).toEqual(held);
      expect(await listed('waiting', 3, 5)).toEqual([plain]);
      expect(await listed('delayed')).toEqual([delayed]);
      expect(await started()).toEqual(['plain']);
      expect(await listed('waiting')).toEqual([urgent, ...held]); // now it has been looked at
      expect(await courier.listTasks(queue, { state: 'waiting' })).toMatchObject([
        { state: 'waiting', key: 'a', attempts: 0 },
        { state: 'waiting' },
        { state: 'waiting' },
      ]);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting: { high: 1, normal: 2 }, delayed: 1 });
    });

    it('maxPerKey: holds back the tasks of a key, and no others', async () => {
      await limit({ maxPerKey: 1 });
      for (const data of ['a1', 'a2', 'a3', 'b1', 'b2']) await add(data, { key: data.slice(0, 1) });
      await courier.bulkAddTasksToQueue(queue, ['x1', 'x2']);
      expect(await started()).toEqual(['a1', 'b1', 'x1', 'x2']);
      expect(await started()).toEqual([]);
      const waiting = { critical: 0, high: 0, normal: 3, low: 0 };
      expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting, delayed: 0, leased: 4 });
    });

    it.each([
      ['completed', (task: CourierTask) => courier.returnTaskResult(queue, task, 1)],
      ['failed', (task: CourierTask) => courier.returnTaskError(queue, task, new Error('no'))],
      ['canceled', (task: CourierTask) => courier.cancelTask(queue, task.id)],
    ])('maxPerKey: starts the next one as soon as one is %s', async (_, end) => {
      await limit({ maxPerKey: 1 });
      for (const n of [1, 2, 3]) await add(n, { key: 'k' });
      const first = await next();
      expect(await started()).toEqual([]);
      const waiting = next();
      await end(first);
      const second = await waiting;
      expect(second).toMatchObject({ data: 2, attempt: 1 });
      expect(await started()).toEqual([]);
      await end(second);
      expect(await next()).toMatchObject({ data: 3 });
    });

    it('maxPerKey: starts the most urgent one of a key first', async () => {
      await limit({ maxPerKey: 1 });
      await add('first', { key: 'k' });
      const first = await next();
      await add('low', { key: 'k', priority: 'low' });
      await add('normal', { key: 'k' });
      expect(await started()).toEqual([]);
      await add('critical', { key: 'k', priority: 'critical' });
      await add('normal too', { key: 'k' });
      expect(await started()).toEqual([]);
      const order: unknown[] = [];
      for (let task = first; order.length < 4; ) {
        await courier.returnTaskResult(queue, task, 1);
        task = await next();
        order.push(task.data);
      }
      expect(order).toEqual(['critical', 'normal', 'normal too', 'low']);
    });

    it('maxPerKey: gives one that a limit held back its place', async () => {
      await limit({ maxPerKey: 1 });
      await add('a1', { key: 'a' });
      const first = await next();
      await add('a2', { key: 'a' });
      expect(await started()).toEqual([]);
      await add('b1', { key: 'b' });
      await courier.returnTaskResult(queue, first, 1);
      expect(await started()).toEqual(['a2', 'b1']);
    });

    it('maxPerKey: counts no more what is given back, which is next', async () => {
      await limit({ maxPerKey: 1 });
      for (const n of [1, 2]) await add(n, { key: 'k' });
      const first = await next();
      expect(await started()).toEqual([]);
      await courier.releaseTask(queue, first);
      expect(await next()).toMatchObject({ data: 1, attempt: 1 });
      expect(await started()).toEqual([]);
    });

    it('maxPerKey: frees the slot of a worker that is gone when its lease runs out', async () => {
      courier = await make({ leaseMs: 3 * shortLeaseMs }); // what is fetched below is returned in time on a busy machine, too
      await limit({ maxPerKey: 1 });
      for (const n of [1, 2]) await add(n, { key: 'k' });
      await next();
      const order: unknown[] = [];
      while (order.length < 2) {
        const task = await next();
        order.push(task.data);
        expect(await started()).toEqual([]);
        await courier.returnTaskResult(queue, task, 1);
      }
      expect(order.sort()).toEqual([1, 2]);
    });

    it('maxPerKey: forgets one that is held back and canceled', async () => {
      await limit({ maxPerKey: 1 });
      const ids = [];
      for (const n of [1, 2, 3]) ids.push(await add(n, { key: 'k' }));
      const first = await next();
      expect(await started()).toEqual([]);
      expect(await courier.cancelTask(queue, ids[1] as string)).toBe(true);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 1 }, delayed: 0 });
      await courier.returnTaskResult(queue, first, 1);
      expect(await started()).toEqual([3]);
    });

    it('maxPerKey: holds for tasks that come with results, for delayed ones, retries, and a bulk', async () => {
      await limit({ maxPerKey: 2 });
      await courier.bulkAddTasksToQueue(queue, ['a1', 'a2', 'a3', 'a4'], { key: 'a', retries: 1, retryDelayMs: 1 });
      await add('late', { key: 'a', delayMs: 1 });
      const running = await courier.bulkGetTasks(queue, 10);
      expect(running.map(({ data }) => data)).toEqual(['a1', 'a2']);
      const [a1, a2] = running as [CourierTask, CourierTask];
      const more = await courier.bulkReturnTaskResults(queue, [[a1, 1]], { next: 3 });
      expect(more.map(({ data }) => data)).toEqual(['a3']);
      await courier.returnTaskError(queue, a2, new Error('again'));
      await courier.bulkReturnTaskResults(queue, [[more[0] as CourierTask, 1]]);
      const last = [await next(), await next()] as [CourierTask, CourierTask];
      expect(await started()).toEqual([]);
      await courier.returnTaskResult(queue, last[0], 1);
      last.push(await next());
      expect(last.map(({ data }) => data).sort()).toEqual(['a2', 'a4', 'late']);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ leased: 2, delayed: 0 });
    });

    it('gives all that was held back when the limits are removed', async () => {
      await limit({ maxPerKey: 1 });
      for (const data of ['a1', 'a2', 'b1', 'a3']) await add(data, { key: data.slice(0, 1) });
      expect(await started()).toEqual(['a1', 'b1']);
      await limit({});
      expect(await started()).toEqual(['a2', 'a3']);
      for (const data of ['a4', 'a5']) await add(data, { key: 'a' });
      expect(await started()).toEqual(['a4', 'a5']);
    });

    it('serves a worker that waits when limits are set, raised and removed', async () => {
      await add('before');
      const before = await next();
      const waiting = next();
      await limit({ maxPerKey: 1 });
      await add('a1', { key: 'a' });
      expect(await waiting).toMatchObject({ data: 'a1' });
      const more = next();
      await add('a2', { key: 'a' });
      await limit({ maxPerKey: 2 });
      expect(await more).toMatchObject({ data: 'a2' });
      const last = next();
      await add('a3', { key: 'a' });
      await limit({});
      expect(await last).toMatchObject({ data: 'a3' });
      await courier.returnTaskResult(queue, before, 1);
    });

    it('rate: gives so many tasks, whoever asks', async () => {
      await limit({ rate: { max: 1, perMs: longMs } });
      await courier.bulkAddTasksToQueue(queue, [1, 2]);
      await add(3, { priority: 'critical' });
      expect(await started()).toEqual([3]);
      expect(await started()).toEqual([]);
      expect(await courier.getTask(queue, { minPriority: 'normal' })).toBeUndefined();
      expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 2 }, leased: 1 });
    });

    it('rate: gives `burst` at once', async () => {
      await limit({ rate: { max: 1, perMs: longMs, burst: 3 } });
      await courier.bulkAddTasksToQueue(queue, [1, 2, 3, 4]);
      expect(await started()).toEqual([1, 2, 3]);
      expect(await started()).toEqual([]);
    });

    it('rate: gives the next one in time to who waits', async () => {
      await limit({ rate: { max: 1, perMs: 60 } });
      await courier.bulkAddTasksToQueue(queue, [1, 2, 3]);
      await next();
      const first = performance.now();
      expect(await next()).toMatchObject({ data: 2 });
      expect(await next()).toMatchObject({ data: 3 });
      expect(performance.now() - first).toBeGreaterThan(60); // 120, but for the way to here of the first
    });

    it('rate: per key, holds for each key, and for no task without one', async () => {
      await limit({ rate: { max: 1, perMs: longMs, perKey: true } });
      for (const data of ['a1', 'a2', 'b1', 'b2']) await add(data, { key: data.slice(0, 1) });
      await courier.bulkAddTasksToQueue(queue, ['x1', 'x2']);
      expect(await started()).toEqual(['a1', 'b1', 'x1', 'x2']);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 2 }, delayed: 0, leased: 4 });
    });

    it('rate: per key, gives the next one of a key in time', async () => {
      await limit({ rate: { max: 1, perMs: 50, perKey: true } });
      for (const data of ['a1', 'a2', 'b1']) await add(data, { key: data.slice(0, 1) });
      expect(await started()).toEqual(['a1', 'b1']);
      expect(await next()).toMatchObject({ data: 'a2' });
    });

    it('hold back nothing while the queue is paused, and hold after it', async () => {
      await limit({ maxPerKey: 1 });
      for (const n of [1, 2]) await add(n, { key: 'k' });
      const first = await next();
      expect(await started()).toEqual([]);
      await courier.pauseQueue(queue);
      await courier.returnTaskResult(queue, first, 1);
      expect(await started()).toEqual([]);
      const waiting = next();
      await courier.resumeQueue(queue);
      expect(await waiting).toMatchObject({ data: 2 });
    });
  });
}
