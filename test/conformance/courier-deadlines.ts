/** What every courier promises of the option `deadlineMs`. Each courier runs this suite. */
import type { AddOptions, ClientWorkerTaskCourier, CourierTask, QueueEvent, TaskCommand } from 'taskwarden';
import { expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import type { CourierUnderTest } from './courier.ts';
import { sharedInGroups } from './open-couriers.ts';

const longMs = 20_000;

export function courierDeadlines({ name, create }: CourierUnderTest): void {
  let courier: ClientWorkerTaskCourier;
  let queue: string;
  const describeSharing = sharedInGroups(create, (given) => {
    ({ courier, queue } = given);
  });

  function add(data: unknown, options?: AddOptions): Promise<string> {
    return courier.addTaskToQueue(queue, data, options);
  }

  function endOf(id: string): Promise<unknown> {
    return failure(courier.waitForTaskResult(queue, id));
  }

  /** A task that a worker got before its deadline, which is longer on a slow machine. */
  async function held(options: AddOptions, deadlineMs = 200): Promise<{ task: CourierTask; deadlineMs: number }> {
    await add('held', { ...options, deadlineMs });
    const task = await courier.getTask(queue);
    if (task !== undefined && task.deadline !== undefined && task.deadline > Date.now() + deadlineMs / 2) {
      return { task, deadlineMs };
    }
    if (task !== undefined) await courier.cancelTask(queue, task.id);
    await courier.removeDeadLetters(queue);
    return held(options, 2 * deadlineMs);
  }

  describeSharing(`${name}: deadlines`, {}, () => {
    it('lets a task expire that no worker has begun', async () => {
      const failed: QueueEvent[] = [];
      await courier.subscribe(queue, (event) => event.kind === 'failed' && failed.push(event));
      const id = await add('late', { deadlineMs: 30, retries: 3 });
      expect(await endOf(id)).toMatchObject({ code: 'TASK_EXPIRED', taskId: id, timeoutMs: 30 });
      expect(await courier.getTask(queue)).toBeUndefined();
      expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 0 }, leased: 0, deadLetters: 1 });
      expect(await courier.getDeadLetters(queue)).toMatchObject([
        { id, data: 'late', attempts: 0, error: { code: 'TASK_EXPIRED' } },
      ]);
      await expect.poll(() => failed).toMatchObject([{ id, message: expect.stringContaining('deadline of 30 ms') }]);
    });

    it('counts the time of a pause, of a delay, and of a limit', async () => {
      await courier.pauseQueue(queue);
      const paused = await add('paused', { deadlineMs: 30 });
      expect(await endOf(paused)).toMatchObject({ code: 'TASK_EXPIRED' });
      await courier.resumeQueue(queue);
      const delayed = await add('delayed', { delayMs: 20, deadlineMs: 30 });
      expect(await endOf(delayed)).toMatchObject({ code: 'TASK_EXPIRED' });
      await courier.setLimits(queue, { maxPerKey: 1 });
      await add('first', { key: 'a' });
      const limited = await add('second', { key: 'a', deadlineMs: 300 });
      expect(await courier.bulkGetTasks(queue, 5)).toMatchObject([{ data: 'first' }]);
      expect(await endOf(limited)).toMatchObject({ code: 'TASK_EXPIRED' });
      expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 0 }, delayed: 0, leased: 1 });
    });

    it('ends a task that runs, tells its worker, and does not try it again', async () => {
      const { task, deadlineMs } = await held({ retries: 3, retryDelayMs: 0 });
      const commands: TaskCommand[] = [];
      await courier.subscribeToClient(queue, task, (command) => commands.push(command));
      expect(await endOf(task.id)).toMatchObject({ code: 'TASK_TIMEOUT', taskId: task.id, timeoutMs: deadlineMs });
      await expect.poll(() => commands).toMatchObject([{ kind: 'cancel', reason: { code: 'TASK_TIMEOUT' } }]);
      expect(await failure(courier.returnTaskResult(queue, task, 'late'))).toMatchObject({ code: 'LEASE_LOST' });
      expect(await courier.getTask(queue)).toBeUndefined();
      expect(await courier.getDeadLetters(queue)).toMatchObject([{ id: task.id, attempts: 1 }]);
    });

    it('ends a task whose next attempt could not begin in time', async () => {
      const id = await add('flaky', { retries: 3, retryDelayMs: 3_600_000, deadlineMs: 600_000 });
      const task = (await courier.getTask(queue)) as CourierTask;
      await courier.returnTaskError(queue, task, new Error('at first'));
      expect(await endOf(id)).toMatchObject({
        code: 'TASK_TIMEOUT',
        timeoutMs: 600_000,
        cause: { message: 'at first' },
      });
      expect(await courier.getQueueInfo(queue)).toMatchObject({ delayed: 0, deadLetters: 1 });
    });

    it('counts all attempts, those of the retries of a worker too', async () => {
      for (const options of [{ retries: 3, retryDelayMs: 0 }, {}]) {
        const { task } = await held(options);
        await courier.returnTaskError(queue, task, new Error('at first'), { retries: 3, retryDelayMs: 0 });
        expect(await endOf(task.id)).toMatchObject({ code: 'TASK_TIMEOUT', cause: { message: 'at first' } });
        expect(await courier.getTask(queue)).toBeUndefined();
      }
    });

    it('lets a task that fails for good fail with its own error', async () => {
      const id = await add('bad', { deadlineMs: 600_000 });
      await courier.returnTaskError(queue, (await courier.getTask(queue)) as CourierTask, new Error('its own'));
      expect(await endOf(id)).toMatchObject({ message: 'its own' });
    });

    it('leaves alone what has ended in time', async () => {
      const { task, deadlineMs } = await held({});
      await courier.returnTaskResult(queue, task, 'in time');
      const canceled = await add('canceled', { deadlineMs });
      await courier.cancelTask(queue, canceled);
      const clock = await add('clock', { deadlineMs: deadlineMs + 10 });
      expect(await endOf(clock)).toMatchObject({ code: 'TASK_EXPIRED' });
      expect(await courier.getTaskResult(queue, task.id)).toBe('in time');
      expect(await failure(courier.getTaskResult(queue, canceled))).toMatchObject({ code: 'TASK_CANCELED' });
      expect(await courier.getDeadLetters(queue)).toMatchObject([{ id: clock }]);
    });

    it('holds for each task of a bulk', async () => {
      const ids = await courier.bulkAddTasksToQueue(queue, [1, 2, 3], { deadlineMs: 30 });
      for (const id of ids) expect(await endOf(id)).toMatchObject({ code: 'TASK_EXPIRED', taskId: id });
      expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 0 }, deadLetters: 3 });
    });

    it('gives a task that is redriven the whole time again', async () => {
      const id = await add('again', { deadlineMs: 1_000 });
      expect(await endOf(id)).toMatchObject({ code: 'TASK_EXPIRED' });
      const before = Date.now();
      expect(await courier.redriveTasks(queue, [id])).toBe(1);
      const task = await courier.getTask(queue);
      if (task !== undefined) expect(task.deadline).toBeGreaterThan(before + 900);
      else expect(await endOf(id)).toMatchObject({ code: 'TASK_EXPIRED' }); // a second has passed
    });

    it('tells the worker when it is over, and no other', async () => {
      const before = Date.now();
      await add('with', { deadlineMs: 60_000 });
      await add('without');
      const [one, other] = await courier.bulkGetTasks(queue, 2);
      expect(one?.deadline).toBeGreaterThan(before + 59_000);
      expect(one?.deadline).toBeLessThan(Date.now() + 61_000);
      expect(other?.deadline).toBeUndefined();
    });

    it('frees the key of a unique task', async () => {
      const first = await add('one', { key: 'a', unique: 'refuse', deadlineMs: 30 });
      expect(await endOf(first)).toMatchObject({ code: 'TASK_EXPIRED' });
      const second = await add('other', { key: 'a', unique: 'join', deadlineMs: 60_000 });
      expect(second).not.toBe(first);
      expect(await add('third', { key: 'a', unique: 'join', deadlineMs: 1 })).toBe(second); // its own deadline counts
      expect(await courier.getTask(queue)).toMatchObject({ data: 'other' });
    });

    it('gives a worker that waits none whose time is over', async () => {
      await courier.pauseQueue(queue);
      const id = await add('late', { deadlineMs: 30, priority: 'high' });
      const waiting = courier.waitForTask(queue, { timeoutMs: longMs });
      expect(await endOf(id)).toMatchObject({ code: 'TASK_EXPIRED' });
      await courier.resumeQueue(queue);
      await add('next');
      expect(await waiting).toMatchObject({ data: 'next' });
    });

    it('refuses what is no time, or leaves none', async () => {
      for (const deadlineMs of [0, -1, Number.NaN]) {
        await expect(add(1, { deadlineMs })).rejects.toThrow(/deadlineMs/);
        await expect(courier.bulkAddTasksToQueue(queue, [1], { deadlineMs })).rejects.toThrow(/deadlineMs/);
      }
      await expect(add(1, { deadlineMs: 100, delayMs: 100 })).rejects.toThrow(/must be more than "delayMs"/);
      await expect(courier.bulkAddTasksToQueue(queue, [1], { deadlineMs: 1, delayMs: 2 })).rejects.toThrow(RangeError);
      expect(await courier.getQueueInfo(queue)).toMatchObject({ waiting: { normal: 0 }, delayed: 0 });
    });
  });
}
