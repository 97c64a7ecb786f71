/** What every courier promises, in its contract's order. Each courier runs this suite; what it carries survives JSON. */
import {
  type AddOptions,
  type ClientWorkerTaskCourier,
  type CourierTask,
  type ListedTask,
  type Priority,
  type QueueEvent,
  type QueueSubscription,
  type TaskCommand,
  type TaskUpdate,
  TaskwardenError,
} from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { closedAfterEach, sharedInGroups } from './open-couriers.ts';

interface CourierKnobs {
  readonly leaseMs?: number;
  readonly resultTtlMs?: number;
  readonly maxQueued?: number;
  readonly maxStalls?: number;
}

export interface CourierUnderTest {
  readonly name: string;
  /** A new one. It may know the queues of others. Who makes it closes it. */
  readonly create: (options: CourierKnobs) => Promise<ClientWorkerTaskCourier>;
  /** One that knows no queue yet. Default: `create`. */
  readonly createEmpty?: (options: CourierKnobs) => Promise<ClientWorkerTaskCourier>;
  /** A lease that is short, and still long enough for some calls, in milliseconds. */
  readonly shortLeaseMs?: number;
  /** It tells that data, results and messages can't be carried. Default: true. */
  readonly refusesUncloneable?: boolean;
}

const longMs = 20_000;

export function courierConformance({
  name,
  create,
  createEmpty = create,
  shortLeaseMs = 300,
  refusesUncloneable = true,
}: CourierUnderTest): void {
  let courier: ClientWorkerTaskCourier;
  let queue: string;
  let otherQueue: string;
  const make = closedAfterEach(create);
  const makeEmpty = closedAfterEach(createEmpty);
  const describeSharing = sharedInGroups(create, (given) => {
    ({ courier, queue, otherQueue } = given);
  });

  async function add(data: unknown, options?: AddOptions): Promise<string> {
    return courier.addTaskToQueue(queue, data, options);
  }

  /** The next task, which is there or comes. */
  async function next(from: ClientWorkerTaskCourier = courier): Promise<CourierTask> {
    const task = await from.waitForTask(queue, { timeoutMs: longMs });
    if (task === undefined) throw new Error('no task came');
    return task;
  }

  async function dataOf(tasks: readonly CourierTask[] | Promise<readonly CourierTask[]>): Promise<unknown[]> {
    return (await tasks).map(({ data }) => data);
  }

  /** Waits until it is so: what others do may be seen a little later. */
  async function until(isSo: () => Promise<boolean>): Promise<void> {
    while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** Lets a task fail for good. */
  async function bury(data: unknown, options?: AddOptions): Promise<string> {
    const id = await add(data, options);
    await courier.returnTaskError(queue, await next(), new Error(`buried ${String(data)}`));
    return id;
  }

  describeSharing(`${name}: adding and getting`, {}, () => {
    it('delivers what was added, with all that a worker is to know', async () => {
      const before = Date.now();
      const id = await add({ path: 'a.png', sizes: [1, 2] }, { priority: 'high' });
      const task = await courier.getTask(queue);
      expect(task).toMatchObject({
        id,
        queue,
        data: { path: 'a.png', sizes: [1, 2] },
        priority: 'high',
        attempt: 1,
      });
      expect(task?.lease).toEqual(expect.any(String));
      expect(task?.timeQueued).toBeGreaterThanOrEqual(before - 1_000);
      expect(task?.timeQueued).toBeLessThanOrEqual(Date.now() + 1_000);
    });

    it('gives undefined, or none, if none waits', async () => {
      expect(await courier.getTask(queue)).toBeUndefined();
      expect(await courier.bulkGetTasks(queue, 3)).toEqual([]);
    });

    it('delivers a task to one worker', async () => {
      await add(1);
      const got = await Promise.all([courier.getTask(queue), courier.getTask(queue), courier.getTask(queue)]);
      expect(got.filter((task) => task !== undefined)).toHaveLength(1);
    });

    it('keeps queues apart', async () => {
      await courier.addTaskToQueue(otherQueue, 1);
      expect(await courier.getTask(queue)).toBeUndefined();
      expect(await courier.getTask(otherQueue)).toMatchObject({ data: 1, queue: otherQueue });
    });

    it('makes an id, a new one each time', async () => {
      const [first, second] = [await add(1), await add(2)];
      expect(first).toMatch(/^[^:]+$/);
      expect(first).not.toBe(second);
    });

    it('takes the id that it is given', async () => {
      expect(await add(1, { id: 'mine' })).toBe('mine');
      expect(await courier.getTask(queue)).toMatchObject({ id: 'mine' });
    });

    it('refuses an id with a colon, or an unknown option, at the call', async () => {
      expect(await failure(add(1, { id: 'a:b' }))).toBeInstanceOf(TypeError);
      expect(await failure(add(1, { prioritty: 'high' } as AddOptions))).toBeInstanceOf(TypeError);
      expect(await failure(courier.waitForTask(queue, { timeoutMs: -1 }))).toBeInstanceOf(RangeError);
      expect(await courier.getTask(queue)).toBeUndefined();
    });

    it.each(['waiting', 'leased', 'completed', 'failed'])('refuses the id of a task that is %s', async (state) => {
      await add(1, { id: 'mine' });
      const task = state === 'waiting' ? undefined : await next();
      if (task !== undefined && state === 'completed') await courier.returnTaskResult(queue, task, 1);
      if (task !== undefined && state === 'failed') await courier.returnTaskError(queue, task, new Error('no'));
      expect(await failure(add(2, { id: 'mine' }))).toMatchObject({ code: 'DUPLICATE_TASK_ID' });
      expect(await dataOf(courier.bulkGetTasks(queue, 5))).toEqual(state === 'waiting' ? [1] : []);
    });

    it('delivers higher priorities first, and inside one the first in first', async () => {
      for (const [n, priority] of (
        ['low', 'normal', 'critical', 'normal', 'high', 'low', 'critical'] as const
      ).entries()) {
        await add(n, { priority });
      }
      const order: unknown[] = [];
      for (let n = 0; n < 7; n += 1) order.push((await next()).data);
      expect(order).toEqual([2, 6, 4, 1, 3, 0, 5]);
    });

    it('takes `normal` where nothing is said', async () => {
      await add('low', { priority: 'low' });
      await add('none');
      await add('normal', { priority: 'normal' });
      expect(await dataOf(courier.bulkGetTasks(queue, 3))).toEqual(['none', 'normal', 'low']);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ leased: 3 });
    });

    it('gives tasks of `minPriority` and above alone', async () => {
      await add('normal');
      await add('high', { priority: 'high' });
      const options = { minPriority: 'high' } as const;
      expect(await dataOf(courier.bulkGetTasks(queue, 5, options))).toEqual(['high']);
      expect(await courier.getTask(queue, options)).toBeUndefined();
      expect(await courier.getTask(queue, { minPriority: 'normal' })).toMatchObject({ data: 'normal' });
    });

    it('adds many at once, and gives their ids in order', async () => {
      const ids = await courier.bulkAddTasksToQueue(queue, ['a', 'b', 'c'], { priority: 'high' });
      const tasks = await courier.bulkGetTasks(queue, 5);
      expect(tasks.map(({ id, data, priority }) => [id, data, priority])).toEqual([
        [ids[0], 'a', 'high'],
        [ids[1], 'b', 'high'],
        [ids[2], 'c', 'high'],
      ]);
      expect(await courier.bulkAddTasksToQueue(queue, [])).toEqual([]);
    });

    it('gives as many as wait, at most `max`', async () => {
      await courier.bulkAddTasksToQueue(queue, [1, 2, 3]);
      expect(await dataOf(courier.bulkGetTasks(queue, 2))).toEqual([1, 2]);
      expect(await dataOf(courier.bulkGetTasks(queue, 2))).toEqual([3]);
    });

    it('holds a task back for its delay', async () => {
      await add('much later', { delayMs: longMs });
      expect(await courier.getTask(queue)).toBeUndefined();
      expect(await courier.getQueueInfo(queue)).toMatchObject({ delayed: 1 });
      const before = performance.now();
      await add('late', { delayMs: 100 });
      expect(await next()).toMatchObject({ data: 'late', attempt: 1 });
      expect(performance.now() - before).toBeGreaterThan(95);
    });

    it.runIf(refusesUncloneable)('refuses data that can not be carried, and adds nothing', async () => {
      expect(await failure(add({ call: () => {} }))).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
      const bulk = courier.bulkAddTasksToQueue(queue, [1, () => {}]);
      expect(await failure(bulk)).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
      expect(await courier.getTask(queue)).toBeUndefined();
    });

    it('carries a copy: what is changed later is not seen', async () => {
      const data = { list: [1] };
      await add(data);
      data.list.push(2);
      expect(await courier.getTask(queue)).toMatchObject({ data: { list: [1] } });
    });
  });

  describeSharing(`${name}: a full queue`, { maxQueued: 2 }, () => {
    it('refuses what is more than `maxQueued`, counting what is held back', async () => {
      await add(1);
      await add(2, { delayMs: longMs });
      expect(await failure(add(3))).toMatchObject({ code: 'QUEUE_FULL' });
      await courier.addTaskToQueue(otherQueue, 1);
      await next();
      await add(4);
    });

    it('adds all of a bulk, or none', async () => {
      await add(1);
      expect(await failure(courier.bulkAddTasksToQueue(queue, [2, 3]))).toMatchObject({ code: 'QUEUE_FULL' });
      expect(await dataOf(courier.bulkGetTasks(queue, 5))).toEqual([1]);
    });

    it('lets those who want to wait for room have it in order', async () => {
      await courier.bulkAddTasksToQueue(queue, [1, 2]);
      const third = add(3, { wait: true });
      const rest = courier.bulkAddTasksToQueue(queue, [4, 5], { wait: true });
      const order: unknown[] = [];
      for (let n = 0; n < 5; n += 1) order.push((await next()).data);
      expect(order).toEqual([1, 2, 3, 4, 5]);
      expect(await third).toEqual(expect.any(String));
      expect(await rest).toHaveLength(2);
    });

    it('ends a wait for room by its signal, with the reason, and adds nothing', async () => {
      await courier.bulkAddTasksToQueue(queue, [1, 2]);
      const leave = new AbortController();
      const waiting = failure(add(3, { wait: true, signal: leave.signal }));
      const reason = new Error('enough');
      leave.abort(reason);
      expect(await waiting).toBe(reason);
      await courier.bulkGetTasks(queue, 2);
      expect(await courier.getTask(queue)).toBeUndefined();
    });

    it('has room again when a task that waits is canceled', async () => {
      const [id = ''] = await courier.bulkAddTasksToQueue(queue, [1, 2]);
      const third = add(3, { wait: true });
      await courier.cancelTask(queue, id);
      await third;
      expect(await dataOf(courier.bulkGetTasks(queue, 5))).toEqual([2, 3]);
    });
  });

  describeSharing(`${name}: waiting for tasks`, {}, () => {
    it('gives a task that comes later', async () => {
      const waiting = courier.waitForTask(queue);
      await add('came');
      expect(await waiting).toMatchObject({ data: 'came', attempt: 1 });
    });

    it('gives each of many workers that wait a task of its own', async () => {
      const workers = Array.from({ length: 5 }, () => courier.waitForTask(queue, { timeoutMs: longMs }));
      await courier.bulkAddTasksToQueue(queue, [1, 2, 3, 4, 5]);
      const got = await Promise.all(workers);
      expect(got.map((task) => task?.data).sort()).toEqual([1, 2, 3, 4, 5]);
    });

    it('waits for one at least, and gives as many as there are', async () => {
      const waiting = courier.bulkWaitForTasks(queue, 3, { timeoutMs: longMs });
      await add(0);
      expect(await dataOf(waiting)).toEqual([0]);
      await courier.bulkAddTasksToQueue(queue, [1, 2, 3, 4]);
      expect(await dataOf(courier.bulkWaitForTasks(queue, 3))).toEqual([1, 2, 3]);
      expect(await dataOf(courier.bulkWaitForTasks(queue, 3))).toEqual([4]);
    });

    it('gives nothing when the time is over, and loses no task', async () => {
      expect(await courier.waitForTask(queue, { timeoutMs: 20 })).toBeUndefined();
      expect(await courier.bulkWaitForTasks(queue, 2, { timeoutMs: 0 })).toEqual([]);
      await add('kept');
      expect(await courier.getTask(queue)).toMatchObject({ data: 'kept', attempt: 1 });
    });

    it('ends by the signal, with the reason, and loses no task', async () => {
      const leave = new AbortController();
      const waiting = failure(courier.waitForTask(queue, { signal: leave.signal }));
      const reason = new Error('enough');
      leave.abort(reason);
      expect(await waiting).toBe(reason);
      await add('kept');
      expect(await failure(courier.waitForTask(queue, { signal: leave.signal }))).toBe(reason);
      expect(await courier.getTask(queue)).toMatchObject({ data: 'kept', attempt: 1 });
    });

    it('leaves what is below its `minPriority` to others', async () => {
      const urgent = courier.waitForTask(queue, { minPriority: 'critical', timeoutMs: longMs });
      const any = courier.waitForTask(queue, { timeoutMs: longMs });
      await add('normal');
      expect(await any).toMatchObject({ data: 'normal' });
      await add('critical', { priority: 'critical' });
      expect(await urgent).toMatchObject({ data: 'critical' });
    });
  });

  describeSharing(`${name}: results`, {}, () => {
    it('gives the result to who waits, and to who asks later, again and again', async () => {
      const id = await add(4);
      const waiting = courier.waitForTaskResult(queue, id);
      await courier.returnTaskResult(queue, await next(), { square: 16 });
      expect(await waiting).toEqual({ square: 16 });
      expect(await courier.waitForTaskResult(queue, id)).toEqual({ square: 16 });
      expect(await courier.getTaskResult(queue, id)).toEqual({ square: 16 });
    });

    it('gives each of many clients its own', async () => {
      const ids = await courier.bulkAddTasksToQueue(queue, [1, 2, 3]);
      const clients = ids.map((id) => courier.waitForTaskResult(queue, id, { timeoutMs: longMs }));
      for (const task of (await courier.bulkGetTasks(queue, 3)).reverse()) {
        await courier.returnTaskResult(queue, task, (task.data as number) * 10);
      }
      expect(await Promise.all(clients)).toEqual([10, 20, 30]);
    });

    it('says that a result is not ready, and that it can be waited for no longer', async () => {
      const id = await add(1);
      expect(await failure(courier.getTaskResult(queue, id))).toMatchObject({ code: 'RESULT_NOT_READY' });
      const late = await failure(courier.waitForTaskResult(queue, id, { timeoutMs: 20 }));
      expect(late).toBeInstanceOf(TaskwardenError);
      expect(late).toMatchObject({ code: 'RESULT_TIMEOUT', taskId: id, timeoutMs: 20 });
      await courier.returnTaskResult(queue, await next(), 'done');
      expect(await courier.waitForTaskResult(queue, id)).toBe('done');
    });

    it('ends a wait by its signal, with the reason; the task goes on', async () => {
      const id = await add(1);
      const leave = new AbortController();
      const waiting = failure(courier.waitForTaskResult(queue, id, { signal: leave.signal }));
      const reason = new Error('enough');
      leave.abort(reason);
      expect(await waiting).toBe(reason);
      expect(await courier.getTask(queue)).toMatchObject({ id });
    });

    it('knows no task that never came, nor one of another queue', async () => {
      const id = await courier.addTaskToQueue(otherQueue, 1);
      for (const ask of ['getTaskResult', 'waitForTaskResult', 'checkForDone'] as const) {
        expect(await failure(courier[ask](queue, id))).toMatchObject({ code: 'TASK_NOT_FOUND' });
      }
      expect(await courier.cancelTask(queue, id)).toBe(false);
    });

    it('tells whether a task has ended, well or not', async () => {
      const [good = '', bad = ''] = await courier.bulkAddTasksToQueue(queue, [1, 2]);
      expect(await courier.checkForDone(queue, good)).toBe(false);
      const first = await next();
      expect(await courier.checkForDone(queue, good)).toBe(false);
      await courier.returnTaskResult(queue, first, undefined);
      await courier.returnTaskError(queue, await next(), new Error('no'));
      expect(await courier.checkForDone(queue, good)).toBe(true);
      expect(await courier.checkForDone(queue, bad)).toBe(true);
      expect((await courier.getTaskResult(queue, good)) ?? undefined).toBeUndefined();
    });

    it.each([null, 0, '', false, [], { a: null }])('carries %j as it is', async (value) => {
      const id = await add(value);
      const task = await next();
      expect(task.data).toEqual(value);
      await courier.returnTaskResult(queue, task, value);
      expect(await courier.getTaskResult(queue, id)).toEqual(value);
    });

    it.runIf(refusesUncloneable)('refuses a result that can not be carried; the worker keeps the task', async () => {
      const id = await add(1);
      const task = await next();
      const refusal = await failure(courier.returnTaskResult(queue, task, () => {}));
      expect(refusal).toMatchObject({ code: 'RESULT_NOT_CLONEABLE' });
      await courier.returnTaskResult(queue, task, 'plain');
      expect(await courier.getTaskResult(queue, id)).toBe('plain');
    });

    it('forgets a result when its time is over', async () => {
      courier = await make({ resultTtlMs: shortLeaseMs });
      let id: string;
      let kept: unknown;
      let timeEnded: number;
      do {
        id = await add(1);
        const task = await next();
        timeEnded = Date.now();
        await courier.returnTaskResult(queue, task, 'kept');
        kept = await courier.getTaskResult(queue, id).catch(({ code }) => code);
      } while (Date.now() - timeEnded >= shortLeaseMs); // it was old before it was given: the machine has stood still
      expect(kept).toBe('kept');
      await until(async () => (await courier.checkForDone(queue, id).catch(({ code }) => code)) === 'TASK_NOT_FOUND');
      expect(await failure(courier.getTaskResult(queue, id))).toMatchObject({ code: 'TASK_NOT_FOUND' });
      expect(await failure(courier.waitForTaskResult(queue, id))).toMatchObject({ code: 'TASK_NOT_FOUND' });
    });

    it('takes many results at once', async () => {
      const ids = await courier.bulkAddTasksToQueue(queue, [1, 2, 3]);
      const tasks = await courier.bulkGetTasks(queue, 3);
      await courier.bulkReturnTaskResults(
        queue,
        tasks.map((task) => [task, (task.data as number) + 1] as const),
      );
      expect(await Promise.all(ids.map((id) => courier.getTaskResult(queue, id)))).toEqual([2, 3, 4]);
    });

    it('ends of a bulk all whose lease holds, and names the others', async () => {
      const [first = '', second = ''] = await courier.bulkAddTasksToQueue(queue, [1, 2]);
      const tasks = await courier.bulkGetTasks(queue, 2);
      await courier.returnTaskResult(queue, tasks[0] as CourierTask, 'before');
      const lost = (await failure(
        courier.bulkReturnTaskResults(
          queue,
          tasks.map((task) => [task, 'bulk'] as const),
        ),
      )) as TaskwardenError;
      expect(lost).toMatchObject({ code: 'LEASE_LOST', message: expect.stringContaining(first) });
      expect(lost.message).not.toContain(second);
      expect(await courier.getTaskResult(queue, first)).toBe('before');
      expect(await courier.getTaskResult(queue, second)).toBe('bulk');
    });

    describe('that are returned with `next`', () => {
      /** Returns tasks, with their data as results. */
      async function returnAll(tasks: readonly CourierTask[], count: number): Promise<CourierTask[]> {
        return courier.bulkReturnTaskResults(
          queue,
          tasks.map((task) => [task, task.data] as const),
          { next: count },
        );
      }

      it('give as many tasks as are asked for and wait, and wait for none', async () => {
        const ids = await courier.bulkAddTasksToQueue(queue, [1, 2, 3, 4, 5, 6]);
        const pair = await returnAll(await courier.bulkGetTasks(queue, 2), 2);
        expect(await dataOf(pair)).toEqual([3, 4]);
        const one = await returnAll(pair, 1);
        expect(await dataOf(one)).toEqual([5]);
        const last = await returnAll(one, 3);
        expect(await dataOf(last)).toEqual([6]);
        expect(await returnAll(last, 2)).toEqual([]);
        expect(await Promise.all(ids.map((id) => courier.getTaskResult(queue, id)))).toEqual([1, 2, 3, 4, 5, 6]);
      });

      it('give more tasks than were returned', async () => {
        await courier.bulkAddTasksToQueue(queue, [1, 2, 3, 4, 5]);
        expect(await dataOf(returnAll([await next()], 3))).toEqual([2, 3, 4]);
      });

      it('give none without it', async () => {
        await courier.bulkAddTasksToQueue(queue, [1, 2]);
        expect(await courier.bulkReturnTaskResults(queue, [[await next(), 1]])).toEqual([]);
        expect(await returnAll([await next()], 0)).toEqual([]);
      });

      it('give the most urgent first, whatever was returned', async () => {
        await add('first', { priority: 'critical' });
        for (const priority of ['low', 'normal', 'critical', 'high'] as const) await add(priority, { priority });
        const [first, ...others] = await courier.bulkGetTasks(queue, 1);
        const given = await returnAll([first as CourierTask, ...others], 3);
        expect(given.map(({ priority }) => priority)).toEqual(['critical', 'high', 'normal']);
      });

      it('give no task before its delay has passed', async () => {
        await add('now');
        await add('later', { delayMs: longMs });
        expect(await returnAll([await next()], 1)).toEqual([]);
        expect(await courier.getQueueInfo(queue)).toMatchObject({ delayed: 1, leased: 0 });
      });

      it('give tasks whose leases are their own', async () => {
        const ids = await courier.bulkAddTasksToQueue(queue, [1, 2, 3]);
        const first = await next();
        const [second] = (await returnAll([first], 1)) as [CourierTask];
        expect(second.lease).not.toBe(first.lease);
        for (const wrong of [first, { ...second, lease: first.lease }, { ...second, lease: `${second.lease}0` }]) {
          expect(await failure(courier.returnTaskResult(queue, wrong, 0))).toMatchObject({ code: 'LEASE_LOST' });
        }
        await courier.extendLease(queue, second);
        const [third] = (await returnAll([second], 1)) as [CourierTask];
        await courier.releaseTask(queue, third);
        expect(await failure(courier.extendLease(queue, third))).toMatchObject({ code: 'LEASE_LOST' });
        await returnAll([await next()], 1);
        expect(await Promise.all(ids.map((id) => courier.getTaskResult(queue, id)))).toEqual([1, 2, 3]);
      });

      it('give none if a lease is lost, and all others wait', async () => {
        const [lost = '', held = ''] = await courier.bulkAddTasksToQueue(queue, [1, 2, 3, 4]);
        const tasks = await courier.bulkGetTasks(queue, 2);
        await courier.cancelTask(queue, lost);
        expect(await failure(returnAll(tasks, 2))).toMatchObject({ code: 'LEASE_LOST' });
        expect(await courier.getTaskResult(queue, held)).toBe(2);
        expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 2 }, leased: 0 });
        expect((await courier.bulkGetTasks(queue, 2)).map(({ attempt }) => attempt)).toEqual([1, 1]);
      });

      it('give tasks that come again when their worker dies', async () => {
        courier = await make({ leaseMs: shortLeaseMs });
        await courier.bulkAddTasksToQueue(queue, ['done', 'lost']);
        const [dead] = (await returnAll([await next()], 1)) as [CourierTask];
        const again = await next();
        expect(again).toMatchObject({ data: 'lost', attempt: 2 });
        expect(await failure(courier.returnTaskResult(queue, dead, 0))).toMatchObject({ code: 'LEASE_LOST' });
        expect(await returnAll([again], 1)).toEqual([]);
      });

      it('leave a worker that waits then to hear of what is added', async () => {
        await add(1);
        expect(await returnAll([await next()], 1)).toEqual([]);
        for (const data of [2, 3, 4]) {
          const coming = next();
          await add(data);
          expect(await coming).toMatchObject({ data });
          expect(await returnAll([await coming], 1)).toEqual([]);
        }
      });
    });
  });

  describeSharing(`${name}: errors and dead letters`, {}, () => {
    it('rejects with the error of a task that failed, whoever asks', async () => {
      const id = await add(1);
      const waiting = failure(courier.waitForTaskResult(queue, id));
      const error = Object.assign(new RangeError('too far', { cause: new Error('deep') }), { code: 'E_FAR' });
      await courier.returnTaskError(queue, await next(), error);
      for (const seen of [await waiting, await failure(courier.getTaskResult(queue, id))]) {
        expect(seen).toBeInstanceOf(RangeError);
        expect(seen).toMatchObject({ message: 'too far', code: 'E_FAR', cause: { message: 'deep' } });
      }
    });

    it('takes what is thrown, though it is no error', async () => {
      const id = await add(1);
      await courier.returnTaskError(queue, await next(), 'just a text');
      expect(await failure(courier.getTaskResult(queue, id))).toBe('just a text');
    });

    it('delivers a task again as often as it has retries', async () => {
      const id = await add(1, { retries: 2, retryDelayMs: 1 });
      for (const attempt of [1, 2, 3]) {
        expect(await courier.checkForDone(queue, id)).toBe(false);
        const task = await next();
        expect(task).toMatchObject({ id, data: 1, attempt });
        await courier.returnTaskError(queue, task, new Error(`attempt ${attempt}`));
      }
      expect(await failure(courier.getTaskResult(queue, id))).toMatchObject({ message: 'attempt 3' });
      expect(await courier.getTask(queue)).toBeUndefined();
    });

    it('is done when a retry succeeds', async () => {
      const id = await add(1, { retries: 5, retryDelayMs: 1 });
      const waiting = courier.waitForTaskResult(queue, id);
      await courier.returnTaskError(queue, await next(), new Error('once'));
      await courier.returnTaskResult(queue, await next(), 'well');
      expect(await waiting).toBe('well');
      expect(await courier.getDeadLetters(queue)).toEqual([]);
    });

    it('keeps what failed for good, the oldest first', async () => {
      const before = Date.now();
      const id = await bury('a', { priority: 'high' });
      for (const data of ['b', 'c']) await bury(data);
      const [letter, ...rest] = await courier.getDeadLetters(queue);
      expect(letter).toMatchObject({ id, data: 'a', priority: 'high', attempts: 1, error: { message: 'buried a' } });
      expect(letter?.error).toBeInstanceOf(Error);
      expect(letter?.timeFailed).toBeGreaterThanOrEqual(before - 1_000);
      expect(rest.map(({ data }) => data)).toEqual(['b', 'c']);
      const page = await courier.getDeadLetters(queue, { offset: 1, max: 1 });
      expect(page.map(({ data }) => data)).toEqual(['b']);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ deadLetters: 3 });
    });

    it('puts a dead letter back to wait, with all its retries, to be waited for anew', async () => {
      const id = await add(1, { retries: 1, retryDelayMs: 1 });
      for (let n = 0; n < 2; n += 1) await courier.returnTaskError(queue, await next(), new Error('no'));
      expect(await courier.redriveTasks(queue, [id, 'unknown'])).toBe(1);
      expect(await courier.checkForDone(queue, id)).toBe(false);
      const waiting = courier.waitForTaskResult(queue, id, { timeoutMs: longMs });
      await courier.returnTaskError(queue, await next(), new Error('no'));
      await courier.returnTaskResult(queue, await next(), 'at last');
      expect(await waiting).toBe('at last');
      expect(await courier.getDeadLetters(queue)).toEqual([]);
    });

    it('counts the time of one that is put back from then on', async () => {
      const id = await bury('late', { delayMs: 1 });
      const before = Date.now();
      await until(async () => Date.now() > before);
      expect(await courier.redriveTasks(queue)).toBe(1);
      const task = await next();
      expect(task).toMatchObject({ id, attempt: 1, delayMs: 1 });
      expect(task.timeQueued).toBeGreaterThanOrEqual(before);
    });

    it('tries a task that was added without retries again as often as its worker says', async () => {
      const id = await add('said', { retryDelayMs: 0 });
      const said = { retries: 1, retryDelayMs: longMs };
      await courier.returnTaskError(queue, await next(), new Error('first'), said);
      await courier.returnTaskError(queue, await next(), new Error('second'), said);
      expect(await courier.getDeadLetters(queue)).toMatchObject([{ id, attempts: 2 }]);
      const own = await add('own', { retries: 0 });
      await courier.returnTaskError(queue, await next(), new Error('first'), said);
      expect(await failure(courier.getTaskResult(queue, own))).toMatchObject({ message: 'first' });
      await add('later');
      await courier.returnTaskError(queue, await next(), new Error('first'), said);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ delayed: 1 });
    });

    it('puts back all, or forgets some, or all', async () => {
      for (const data of ['a', 'b']) await bury(data);
      expect(await courier.redriveTasks(queue)).toBe(2);
      const redriven = await courier.bulkGetTasks(queue, 5);
      expect((await dataOf(redriven)).sort()).toEqual(['a', 'b']);
      for (const task of redriven) await courier.returnTaskError(queue, task, new Error('again'));
      const id = redriven[0]?.id as string;
      expect(await courier.removeDeadLetters(queue, [id, 'unknown'])).toBe(1);
      expect(await failure(courier.getTaskResult(queue, id))).toMatchObject({ code: 'TASK_NOT_FOUND' });
      expect(await courier.removeDeadLetters(queue)).toBe(1);
      expect(await courier.getDeadLetters(queue)).toEqual([]);
      expect(await courier.redriveTasks(queue)).toBe(0);
    });
  });

  describeSharing(`${name}: leases`, {}, () => {
    it('says how long one holds', () => {
      expect(courier.leaseMs).toBeGreaterThan(0);
    });

    it('refuses a second return, and one with another lease', async () => {
      const id = await add(1);
      const task = await next();
      const other = { ...task, lease: `${task.lease}0` };
      expect(await failure(courier.returnTaskResult(queue, other, 0))).toMatchObject({ code: 'LEASE_LOST' });
      await courier.returnTaskResult(queue, task, 'first');
      expect(await failure(courier.returnTaskResult(queue, task, 'again'))).toMatchObject({ code: 'LEASE_LOST' });
      expect(await failure(courier.returnTaskError(queue, task, 'again'))).toMatchObject({ code: 'LEASE_LOST' });
      expect(await courier.getTaskResult(queue, id)).toBe('first');
    });

    it('gives a task to another worker, before those that wait, when its lease runs out', async () => {
      courier = await make({ leaseMs: shortLeaseMs });
      const [id] = await courier.bulkAddTasksToQueue(queue, ['lost', 'waits']);
      const dead = await next();
      await until(async () => (await courier.getQueueInfo(queue)).leased === 0);
      const again = await next();
      expect(again).toMatchObject({ id, data: 'lost', attempt: 2 });
      expect(again.lease).not.toBe(dead.lease);
    });

    it('refuses whatever comes late', async () => {
      courier = await make({ leaseMs: shortLeaseMs });
      const id = await add(1);
      const late = await next();
      const again = await next();
      const news = { kind: 'message', data: 1 } as const;
      for (const refused of [
        courier.returnTaskResult(queue, late, 'late'),
        courier.returnTaskError(queue, late, new Error('late')),
        courier.extendLease(queue, late),
        courier.releaseTask(queue, late),
        courier.sendToClient(queue, late, news),
        courier.bulkReturnTaskResults(queue, [[late, 'late']]),
      ]) {
        expect(await failure(refused)).toMatchObject({ code: 'LEASE_LOST' });
      }
      expect(await courier.bulkExtendLeases(queue, [late])).toEqual([late]);
      await courier.returnTaskResult(queue, again, 'in time');
      expect(await courier.getTaskResult(queue, id)).toBe('in time');
    });

    it('holds as long as it is extended', async () => {
      const leaseMs = 2 * shortLeaseMs;
      courier = await make({ leaseMs });
      /** Whether that was shown: a machine that stands still for a lease extends none. */
      const isHeld = async () => {
        await courier.bulkAddTasksToQueue(queue, [1, 2]);
        const begun = performance.now();
        const [one, two] = (await courier.bulkGetTasks(queue, 2)) as [CourierTask, CourierTask];
        for (let from = begun; from < begun + 2.5 * leaseMs; ) {
          await new Promise((resolve) => setTimeout(resolve, leaseMs / 6));
          const next = performance.now();
          const lost = await courier.extendLease(queue, one).then(
            () => courier.bulkExtendLeases(queue, [two]),
            () => [one],
          );
          if (performance.now() - from > leaseMs) return false;
          expect(lost).toEqual([]);
          from = next;
        }
        await courier.bulkReturnTaskResults(queue, [
          [one, 1],
          [two, 2],
        ]);
        return true;
      };
      while (!(await isHeld()));
    });

    it('fails a task that has lost too many', async () => {
      courier = await make({ leaseMs: shortLeaseMs, maxStalls: 2 });
      const id = await add('deadly', { retries: 5 });
      const waiting = failure(courier.waitForTaskResult(queue, id));
      expect(await next()).toMatchObject({ attempt: 1 });
      expect(await next()).toMatchObject({ attempt: 2 });
      expect(await waiting).toMatchObject({ code: 'TASK_STALLED', taskId: id });
      expect(await courier.getDeadLetters(queue)).toMatchObject([{ id, error: { code: 'TASK_STALLED' } }]);
    });

    it('takes a task back that is released, before those that wait; this was no attempt', async () => {
      await courier.bulkAddTasksToQueue(queue, [1, 2, 3]);
      const [first, second] = (await courier.bulkGetTasks(queue, 2)) as [CourierTask, CourierTask];
      await courier.releaseTask(queue, first);
      await courier.releaseTask(queue, second);
      expect(await failure(courier.returnTaskResult(queue, first, 0))).toMatchObject({ code: 'LEASE_LOST' });
      const again = await courier.bulkGetTasks(queue, 3);
      expect(again.map(({ data, attempt }) => [data, attempt]).sort()).toEqual([
        [1, 1],
        [2, 1],
        [3, 1],
      ]);
      expect(again.at(-1)).toMatchObject({ data: 3 });
    });
  });

  describeSharing(`${name}: canceling`, {}, () => {
    it('a task that waits is gone and never runs', async () => {
      const id = await add(1);
      const waiting = failure(courier.waitForTaskResult(queue, id));
      expect(await courier.cancelTask(queue, id, 'no need')).toBe(true);
      expect(await waiting).toMatchObject({ code: 'TASK_CANCELED', taskId: id, cause: 'no need' });
      expect(await failure(courier.getTaskResult(queue, id))).toMatchObject({ code: 'TASK_CANCELED' });
      expect(await courier.checkForDone(queue, id)).toBe(true);
      expect(await courier.getTask(queue)).toBeUndefined();
    });

    it('so is one that is held back', async () => {
      const id = await add(1, { delayMs: longMs });
      await courier.cancelTask(queue, id);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 0 }, delayed: 0 });
      expect(await courier.getTask(queue)).toBeUndefined();
    });

    it('the worker that has a task is told, and its result is refused', async () => {
      const id = await add(1);
      const task = await next();
      const order = new Promise<TaskCommand>((resolve) => void courier.subscribeToClient(queue, task, resolve));
      const waiting = failure(courier.waitForTaskResult(queue, id));
      expect(await courier.cancelTask(queue, id, 'no need')).toBe(true);
      expect(await waiting).toMatchObject({ code: 'TASK_CANCELED' });
      expect(await order).toEqual({ kind: 'cancel', reason: 'no need' });
      expect(await failure(courier.returnTaskResult(queue, task, 1))).toMatchObject({ code: 'LEASE_LOST' });
      expect(await courier.getDeadLetters(queue)).toEqual([]);
    });

    it('changes nothing for one that has ended', async () => {
      const id = await add(1);
      await courier.returnTaskResult(queue, await next(), 'kept');
      expect(await courier.cancelTask(queue, id)).toBe(false);
      expect(await courier.getTaskResult(queue, id)).toBe('kept');
    });
  });

  describeSharing(`${name}: talking`, {}, () => {
    it('brings what a worker says, in order, before the result', async () => {
      const heard: TaskUpdate[] = [];
      await courier.subscribeToTask(queue, 'mine', (news) => heard.push(news));
      await add(1, { id: 'mine' });
      const waiting = courier.waitForTaskResult(queue, 'mine').then(() => [...heard]);
      const task = await next();
      const news: readonly TaskUpdate[] = [
        { kind: 'started', attempt: 1 },
        { kind: 'progress', progress: { fraction: 0.5, note: 'half' } },
        { kind: 'message', data: { n: 1 } },
      ];
      for (const each of news) await courier.sendToClient(queue, task, each);
      await courier.returnTaskResult(queue, task, 'done');
      expect(await waiting).toEqual(news);
    });

    it('brings what a worker says before the result, also to who waits for it only when the task has ended', async () => {
      for (let n = 0; n < 10; n += 1) {
        const heard: TaskUpdate[] = [];
        const id = `mine-${n}`;
        await courier.subscribeToTask(queue, id, (news) => heard.push(news));
        await add(n, { id });
        const task = await next();
        const news: TaskUpdate = { kind: 'message', data: { n } };
        await courier.sendToClient(queue, task, news);
        await courier.returnTaskResult(queue, task, 'done');
        await courier.waitForTaskResult(queue, id);
        expect(heard).toEqual([news]);
      }
    });

    it('brings what the worker says to all who follow, and to none who has stopped', async () => {
      const heard: unknown[] = [];
      const id = await add(1);
      const stop = await courier.subscribeToTask(queue, id, () => heard.push('stopped'));
      await courier.subscribeToTask(queue, id, () => heard.push('first'));
      await courier.subscribeToTask(queue, id, () => heard.push('second'));
      stop();
      const task = await next();
      await courier.sendToClient(queue, task, { kind: 'message', data: 1 });
      await courier.returnTaskResult(queue, task, 1);
      await until(async () => heard.length === 2);
      expect(heard.sort()).toEqual(['first', 'second']);
    });

    it('keeps what a client says for the worker to come, in order', async () => {
      const id = await add(1);
      await courier.sendToTask(queue, id, { kind: 'message', data: 'a' });
      await courier.sendToTask(queue, id, { kind: 'message', data: 'b' });
      const heard: TaskCommand[] = [];
      await courier.subscribeToClient(queue, await next(), (order) => heard.push(order));
      await courier.sendToTask(queue, id, { kind: 'stop' });
      await until(async () => heard.length === 3);
      expect(heard).toEqual([{ kind: 'message', data: 'a' }, { kind: 'message', data: 'b' }, { kind: 'stop' }]);
    });

    it('says all again to the worker of the next attempt, which begins anew', async () => {
      const id = await add(1, { retries: 1, retryDelayMs: 1 });
      await courier.sendToTask(queue, id, { kind: 'message', data: 'a' });
      const first = await next();
      const before: TaskCommand[] = [];
      await courier.subscribeToClient(queue, first, (order) => before.push(order));
      await until(async () => before.length === 1);
      await courier.returnTaskError(queue, first, new Error('again'));
      const after: TaskCommand[] = [];
      await courier.subscribeToClient(queue, await next(), (order) => after.push(order));
      await courier.sendToTask(queue, id, { kind: 'message', data: 'b' });
      await until(async () => after.length === 2);
      expect(after).toEqual([
        { kind: 'message', data: 'a' },
        { kind: 'message', data: 'b' },
      ]);
      expect(before).toHaveLength(1);
    });

    it('tells a worker that its lease is lost, though it asks later', async () => {
      courier = await make({ leaseMs: shortLeaseMs });
      await add(1);
      const task = await next();
      const firstCommand = () =>
        new Promise<TaskCommand>((resolve, reject) => {
          courier.subscribeToClient(queue, task, resolve).catch(reject); // it may hear of that before it is known to be subscribed
        });
      expect(await firstCommand()).toEqual({ kind: 'lost' });
      expect(await firstCommand()).toEqual({ kind: 'lost' });
    });

    it('heeds no more when it is asked to stop', async () => {
      const id = await add(1);
      const task = await next();
      const heard: unknown[] = [];
      const stop = await courier.subscribeToClient(queue, task, () => heard.push('stopped'));
      await courier.subscribeToClient(queue, task, () => heard.push('heard'));
      stop();
      await courier.sendToTask(queue, id, { kind: 'stop' });
      await until(async () => heard.length > 0);
      expect(heard).toEqual(['heard']);
    });

    it('knows no task that never came', async () => {
      const refusal = await failure(courier.sendToTask(queue, 'none', { kind: 'stop' }));
      expect(refusal).toMatchObject({ code: 'TASK_NOT_FOUND' });
    });

    it('says nothing to a task that has ended, and that is no failure', async () => {
      const id = await add(1);
      await courier.returnTaskResult(queue, await next(), 1);
      await courier.sendToTask(queue, id, { kind: 'message', data: 1 });
      await (await courier.subscribeToTask(queue, id, () => {}))();
    });
  });

  describeSharing(`${name}: its tasks by state`, {}, () => {
    async function idsOf(state: ListedTask['state'], more: { offset?: number; max?: number } = {}): Promise<string[]> {
      return (await courier.listTasks(queue, { state, ...more })).map(({ id }) => id);
    }

    it('lists those that wait as they will be delivered, page by page', async () => {
      await add(1, { id: 'a' });
      await add(2, { id: 'b', priority: 'low' });
      await add(3, { id: 'c', priority: 'critical' });
      await add(4, { id: 'd' });
      expect(await idsOf('waiting')).toEqual(['c', 'a', 'd', 'b']);
      expect(await idsOf('waiting', { offset: 1, max: 2 })).toEqual(['a', 'd']);
      expect(await idsOf('waiting', { offset: 4 })).toEqual([]);
      expect(await courier.listTasks(otherQueue, { state: 'waiting' })).toEqual([]);
    });

    it('says of each what is known', async () => {
      const before = Date.now();
      const id = await add({ function: 'sum', args: [1] }, { priority: 'high', retries: 1, retryDelayMs: 0 });
      const known = { id, name: 'sum', priority: 'high' };
      const none = { timeStarted: undefined, timeEnded: undefined };
      const [waiting] = await courier.listTasks(queue, { state: 'waiting' });
      expect(waiting).toMatchObject({ ...known, ...none, state: 'waiting', attempts: 0 });
      expect(waiting?.timeQueued).toBeGreaterThanOrEqual(before - 1_000);
      await courier.returnTaskError(queue, await next(), new Error('first'));
      await next().then((task) => courier.releaseTask(queue, task));
      const task = await next();
      const [leased] = await courier.listTasks(queue, { state: 'leased' });
      expect(leased).toMatchObject({ ...known, state: 'leased', attempts: 2, timeEnded: undefined });
      expect(leased?.timeStarted).toBeGreaterThanOrEqual(before - 1_000);
      await courier.returnTaskResult(queue, task, 1);
      const [completed] = await courier.listTasks(queue, { state: 'completed' });
      expect(completed).toMatchObject({ ...known, state: 'completed', attempts: 2 });
      expect(completed?.timeEnded).toBeGreaterThanOrEqual(leased?.timeStarted as number);
      expect(completed).not.toHaveProperty('error');
    });

    it('lists delayed ones by the end of their delay, and held ones by their start', async () => {
      await add(1, { id: 'late', delayMs: 2 * longMs });
      await add(2, { id: 'soon', delayMs: longMs });
      await add(3, { id: 'first' });
      await add(4, { id: 'second' });
      await next();
      await next();
      expect(await idsOf('delayed')).toEqual(['soon', 'late']);
      expect(await idsOf('leased')).toEqual(['first', 'second']);
      expect(await idsOf('leased', { offset: 1 })).toEqual(['second']);
    });

    it('lists those that have ended, the oldest first, each where it belongs', async () => {
      const [one = '', two = '', three = '', four = ''] = await courier.bulkAddTasksToQueue(queue, [1, 2, 3, 4]);
      await courier.cancelTask(queue, two);
      for (const id of [one, three, four]) {
        const task = await next();
        expect(task.id).toBe(id);
        if (id === three) await courier.returnTaskError(queue, task, new Error('bad'));
        else await courier.returnTaskResult(queue, task, { odd: id });
      }
      expect(await idsOf('completed')).toEqual([one, four]);
      expect(await idsOf('completed', { offset: 1, max: 1 })).toEqual([four]);
      expect(await courier.listTasks(queue, { state: 'canceled' })).toMatchObject([
        { id: two, attempts: 0, name: undefined },
      ]);
      const [failed] = await courier.listTasks(queue, { state: 'failed' });
      expect(failed).toMatchObject({ id: three, attempts: 1, error: { message: 'bad' } });
      expect(await idsOf('waiting')).toEqual([]);
    });

    it('refuses what is no state, and more than a thousand at a time', async () => {
      expect(await failure(courier.listTasks(queue, {} as never))).toBeInstanceOf(TypeError);
      expect(await failure(courier.listTasks(queue, { state: 'dead' as never }))).toBeInstanceOf(TypeError);
      for (const max of [0, 1_001, Infinity]) {
        expect(await failure(courier.listTasks(queue, { state: 'waiting', max }))).toBeInstanceOf(TypeError);
      }
    });
  });

  describe(`${name}: its queues`, () => {
    it('are known by their names', async () => {
      courier = await makeEmpty({});
      expect(await courier.getQueueNames()).toEqual([]);
      await courier.addTaskToQueue('work', 1);
      await courier.addTaskToQueue('a queue*', 1);
      await courier.bulkAddTasksToQueue('ä', [1, 2], { delayMs: longMs });
      await courier.cancelTask('work', await courier.addTaskToQueue('work', 2));
      expect(await courier.getQueueNames()).toEqual(['a queue*', 'work', 'ä']);
      expect(await (await make({})).getQueueNames()).not.toContain('never');
    });
  });

  describeSharing(`${name}: the events of a queue`, {}, () => {
    /** Listens until an event of this kind has come for the n-th time, and gives them all. */
    async function listen(signal?: AbortSignal) {
      const events: QueueEvent[] = [];
      const stop = await courier.subscribe(queue, (event) => void events.push(event), signal ? { signal } : {});
      const kindsOf = (id: string) => events.filter((each) => 'id' in each && each.id === id).map(({ kind }) => kind);
      const have = (id: string, kind: string) => until(async () => kindsOf(id).includes(kind as never));
      return { events, stop, kindsOf, have };
    }

    it('tell what happens to each task, in order, with its name', async () => {
      const { events, kindsOf, have, stop } = await listen();
      const before = Date.now() - 1_000;
      const done = await add({ function: 'sum' });
      const task = await next();
      await courier.sendToClient(queue, task, { kind: 'progress', progress: { fraction: 0.5, note: 'half' } });
      await courier.returnTaskResult(queue, task, 1);
      await have(done, 'completed');
      expect(kindsOf(done)).toEqual(['added', 'started', 'progress', 'completed']);
      for (const event of events) {
        expect(event).toMatchObject({ queue, id: done, name: 'sum' });
        expect(event.time).toBeGreaterThanOrEqual(before);
      }
      expect(events[2]).toMatchObject({ progress: { fraction: 0.5, note: 'half' } });
      stop();
    });

    it('tell retries, failures and redrives, and nothing of what is given back', async () => {
      const { events, kindsOf, have } = await listen();
      const id = await add(1, { retries: 2, retryDelayMs: 0 });
      await courier.releaseTask(queue, await next());
      await courier.returnTaskError(queue, await next(), new Error('first'));
      await have(id, 'retried'); // what it says is looked up, and would be of a later failure then
      await courier.returnTaskError(queue, await next(), new Error('second'));
      await courier.returnTaskError(queue, await next(), new Error('third'));
      await have(id, 'failed');
      const kinds = ['added', 'started', 'started', 'retried', 'started', 'retried', 'started', 'failed'];
      expect(kindsOf(id)).toEqual(kinds);
      expect(events[3]).toMatchObject({ kind: 'retried', name: undefined, message: 'first' });
      expect(events.at(-1)).toMatchObject({ kind: 'failed', message: 'third' });
      await courier.redriveTasks(queue);
      await until(async () => kindsOf(id).length > kinds.length);
      expect(kindsOf(id).at(-1)).toBe('added');
    });

    it('tell a retry after a pause, and no delay of what was just added', async () => {
      const { kindsOf, have } = await listen();
      const delayed = await add(1, { delayMs: longMs });
      const id = await add(2, { retries: 1, retryDelayMs: longMs });
      await courier.returnTaskError(queue, await next(), new Error('first'));
      await have(id, 'retried');
      expect(kindsOf(id)).toEqual(['added', 'started', 'retried']);
      expect(kindsOf(delayed)).toEqual(['added']);
    });

    it('tell what is canceled, whether it has begun or not', async () => {
      const { kindsOf, have } = await listen();
      const waiting = await add(1);
      await courier.cancelTask(queue, waiting);
      const held = await add(2);
      await next();
      await courier.cancelTask(queue, held);
      await have(held, 'canceled');
      expect(kindsOf(waiting)).toEqual(['added', 'canceled']);
      expect(kindsOf(held)).toEqual(['added', 'started', 'canceled']);
    });

    it('come until the subscription is ended, by its function, its signal or `await using`', async () => {
      const leave = new AbortController();
      const all = await listen();
      const byCall = await listen();
      const bySignal = await listen(leave.signal);
      const byScope: QueueEvent[] = [];
      {
        await using _ = (await courier.subscribe(queue, (event) => void byScope.push(event))) as QueueSubscription;
      }
      byCall.stop();
      leave.abort();
      await all.have(await add(1), 'added');
      expect([byCall.events, bySignal.events, byScope]).toEqual([[], [], []]);
      expect(await failure(courier.subscribe(queue, () => {}, { signal: leave.signal }))).toBe(leave.signal.reason);
      expect(await failure(courier.subscribe(queue, 'x' as never))).toBeInstanceOf(TypeError);
    });
  });

  describeSharing(`${name}: what it tells of itself, and its end`, {}, () => {
    it('counts what waits, is held back, is out, and is dead', async () => {
      const nothing: Record<Priority, number> = { critical: 0, high: 0, normal: 0, low: 0 };
      expect(await courier.getQueueInfo(queue)).toEqual({
        waiting: nothing,
        delayed: 0,
        leased: 0,
        deadLetters: 0,
        isPaused: false,
        limits: undefined,
      });
      await bury('dead');
      await courier.bulkAddTasksToQueue(queue, [1, 2], { priority: 'high' });
      await add(3, { delayMs: longMs });
      await add(4, { priority: 'low' });
      await next();
      expect(await courier.getQueueInfo(queue)).toEqual({
        waiting: { ...nothing, high: 1, low: 1 },
        delayed: 1,
        leased: 1,
        deadLetters: 1,
        isPaused: false,
        limits: undefined,
      });
    });

    it('ends all waits, and refuses everything afterwards; closing twice is closing once', async () => {
      courier = await make({ maxQueued: 1 });
      const id = await add(1);
      const task = await next();
      await add(2);
      const waits = [
        courier.waitForTask('empty'),
        courier.bulkWaitForTasks('empty', 2),
        courier.waitForTaskResult(queue, id),
        add(3, { wait: true }),
      ].map(failure);
      await courier.close();
      await courier.close();
      for (const wait of waits) expect(await wait).toMatchObject({ code: 'COURIER_CLOSED' });
      const refused: Promise<unknown>[] = [
        add(1),
        courier.bulkAddTasksToQueue(queue, [1]),
        courier.getTask(queue),
        courier.waitForTask(queue),
        courier.waitForTaskResult(queue, id),
        courier.getTaskResult(queue, id),
        courier.checkForDone(queue, id),
        courier.cancelTask(queue, id),
        courier.sendToTask(queue, id, { kind: 'stop' }),
        courier.returnTaskResult(queue, task, 1),
        courier.returnTaskError(queue, task, 1),
        courier.bulkReturnTaskResults(queue, [[task, 1]]),
        courier.extendLease(queue, task),
        courier.bulkExtendLeases(queue, [task]),
        courier.releaseTask(queue, task),
        courier.subscribeToTask(queue, id, () => {}),
        courier.subscribeToClient(queue, task, () => {}),
        courier.getDeadLetters(queue),
        courier.redriveTasks(queue),
        courier.removeDeadLetters(queue),
        courier.getQueueInfo(queue),
        courier.pauseQueue(queue),
        courier.resumeQueue(queue),
        courier.setLimits(queue, {}),
      ];
      for (const each of refused) expect(await failure(each)).toMatchObject({ code: 'COURIER_CLOSED' });
    });
  });
}
