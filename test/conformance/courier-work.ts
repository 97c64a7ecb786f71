/** What every courier promises of the work that attempts keep for the next. Each courier runs this suite. */
import {
  type BackgroundTask,
  backgroundTask,
  ClassicWorker,
  type ClientWorkerTaskCourier,
  type CourierTask,
  currentTask,
  TaskSupervisor,
  viaCourier,
} from 'taskwarden';
import { expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import type { CourierUnderTest } from './courier.ts';
import { closedAfterEach, sharedInGroups } from './open-couriers.ts';

const longMs = 20_000;

export function courierWork({ name, create, shortLeaseMs = 300 }: CourierUnderTest): void {
  let courier: ClientWorkerTaskCourier;
  let queue: string;
  const make = closedAfterEach(create);
  const describeSharing = sharedInGroups(create, (given) => {
    ({ courier, queue } = given);
  });

  async function next(from: ClientWorkerTaskCourier = courier): Promise<CourierTask> {
    const task = await from.waitForTask(queue, { timeoutMs: longMs });
    if (task === undefined) throw new Error('no task came');
    return task;
  }

  const bytes = (text: string) => new TextEncoder().encode(text);
  const keptBy = ({ kept = new Map() }: CourierTask) =>
    Object.fromEntries([...kept].map(([key, work]) => [key, new TextDecoder().decode(work)]));

  describeSharing(`${name}: kept work`, {}, () => {
    it('comes with the next attempt after an error, and after that', async () => {
      await courier.addTaskToQueue(queue, 'a', { retries: 2, retryDelayMs: 0 });
      const first = await next();
      expect(first.kept).toBeUndefined();
      await courier.keepWork(queue, first, 'one', bytes('1'));
      await courier.keepWork(queue, first, 'two', bytes('2'));
      await courier.returnTaskError(queue, first, new Error('once more'));
      const second = await next();
      expect(keptBy(second)).toEqual({ one: '1', two: '2' });
      await courier.keepWork(queue, second, 'three', bytes('3'));
      await courier.returnTaskError(queue, second, new Error('once more'));
      expect(keptBy(await next())).toEqual({ one: '1', two: '2', three: '3' });
    });

    it('comes with the next delivery when the worker that has kept it dies', async () => {
      const short = await make({ leaseMs: shortLeaseMs });
      await short.addTaskToQueue(queue, 'a');
      const first = await next(short);
      await short.keepWork(queue, first, 'one', bytes('1'));
      expect(keptBy(await next(short))).toEqual({ one: '1' });
    });

    it('comes with a task that was given back', async () => {
      await courier.addTaskToQueue(queue, 'a');
      const first = await next();
      await courier.keepWork(queue, first, 'one', bytes('1'));
      await courier.releaseTask(queue, first);
      expect(keptBy(await next())).toEqual({ one: '1' });
    });

    it('comes with a dead letter that is redriven', async () => {
      const id = await courier.addTaskToQueue(queue, 'a');
      const first = await next();
      await courier.keepWork(queue, first, 'one', bytes('1'));
      await courier.returnTaskError(queue, first, new Error('no'));
      await courier.redriveTasks(queue, [id]);
      const again = await next();
      expect(again.attempt).toBe(1);
      expect(keptBy(again)).toEqual({ one: '1' });
    });

    it('goes with a dead letter that is removed', async () => {
      const id = await courier.addTaskToQueue(queue, 'a', { id: 'same' });
      const first = await next();
      await courier.keepWork(queue, first, 'one', bytes('1'));
      await courier.returnTaskError(queue, first, new Error('no'));
      await courier.removeDeadLetters(queue, [id]);
      await courier.addTaskToQueue(queue, 'b', { id: 'same' });
      await courier.releaseTask(queue, await next());
      const other = await next();
      expect([other.data, other.kept]).toEqual(['b', undefined]);
    });

    it('is of its task alone', async () => {
      await courier.bulkAddTasksToQueue(queue, ['a', 'b'], { retries: 1, retryDelayMs: 0 });
      const [first, second] = [await next(), await next()];
      await courier.keepWork(queue, first, 'one', bytes('1'));
      for (const task of [first, second]) await courier.returnTaskError(queue, task, new Error('once more'));
      const again = [await next(), await next()];
      expect(new Map(again.map((task) => [task.data, keptBy(task)]))).toEqual(
        new Map([
          ['a', { one: '1' }],
          ['b', {}],
        ]),
      );
    });

    it('takes the place of what has its name', async () => {
      await courier.addTaskToQueue(queue, 'a');
      const first = await next();
      await courier.keepWork(queue, first, 'one', bytes('old'));
      await courier.keepWork(queue, first, 'one', bytes('new'));
      await courier.releaseTask(queue, first);
      expect(keptBy(await next())).toEqual({ one: 'new' });
    });

    it('is any bytes, under any name', async () => {
      const all = Uint8Array.from({ length: 100_000 }, (_, n) => n % 256);
      const names = ['__proto__', 'constructor', 'a:b c', 'ä🦀', '"', "'", '\\', '{}'];
      await courier.addTaskToQueue(queue, 'a');
      const first = await next();
      await courier.keepWork(queue, first, 'all', all);
      await courier.keepWork(queue, first, 'none', new Uint8Array());
      await courier.keepWork(queue, first, 'part', all.subarray(7, 11));
      await Promise.all(names.map((each) => courier.keepWork(queue, first, each, bytes(each))));
      await courier.releaseTask(queue, first);
      const { kept } = await next();
      expect([...(kept?.keys() ?? [])].sort()).toEqual(['all', 'none', 'part', ...names].sort());
      expect(Buffer.from(kept?.get('all') ?? []).equals(all)).toBe(true);
      expect(kept?.get('none')).toEqual(new Uint8Array());
      expect(kept?.get('part')).toEqual(Uint8Array.of(7, 8, 9, 10));
      for (const each of names) expect(new TextDecoder().decode(kept?.get(each))).toBe(each);
    });

    it('is a copy', async () => {
      const work = bytes('1');
      await courier.addTaskToQueue(queue, 'a');
      const first = await next();
      await courier.keepWork(queue, first, 'one', work);
      work.fill(0);
      await courier.releaseTask(queue, first);
      expect(keptBy(await next())).toEqual({ one: '1' });
    });

    it('is refused once the lease is lost, or the task was returned or given back; then nothing is kept', async () => {
      const short = await make({ leaseMs: shortLeaseMs });
      await short.addTaskToQueue(queue, 'a');
      const lost = await next(short);
      const released = await next(short);
      expect(await failure(short.keepWork(queue, lost, 'late', bytes('x')))).toMatchObject({ code: 'LEASE_LOST' });
      await short.releaseTask(queue, released);
      expect(await failure(short.keepWork(queue, released, 'late', bytes('x')))).toMatchObject({ code: 'LEASE_LOST' });
      const last = await next(short);
      expect(last.kept).toBeUndefined();
      await short.returnTaskResult(queue, last, 'done');
      expect(await failure(short.keepWork(queue, last, 'late', bytes('x')))).toMatchObject({ code: 'LEASE_LOST' });
    });

    it('is refused for a task that was canceled', async () => {
      const id = await courier.addTaskToQueue(queue, 'a');
      const task = await next();
      await courier.cancelTask(queue, id);
      expect(await failure(courier.keepWork(queue, task, 'late', bytes('x')))).toMatchObject({ code: 'LEASE_LOST' });
    });

    it('is refused at the call if it is no bytes, or has no name', async () => {
      await courier.addTaskToQueue(queue, 'a');
      const task = await next();
      expect(await failure(courier.keepWork(queue, task, '', bytes('x')))).toBeInstanceOf(TypeError);
      expect(await failure(courier.keepWork(queue, task, 'one', 'x' as never))).toBeInstanceOf(TypeError);
    });
  });

  describeSharing(`${name}: steps of its tasks`, {}, () => {
    /** Works on the queue with a function on the event loop, while `whileItRuns` runs. */
    async function withWorker<R>(
      functions: Readonly<Record<string, BackgroundTask<() => unknown>>>,
      whileItRuns: (supervisor: TaskSupervisor) => Promise<R>,
    ): Promise<R> {
      await using supervisor = new TaskSupervisor({ logger: false });
      const worker = new ClassicWorker({ courier, queueName: queue, functions, supervisor, onError: () => {} });
      const performing = worker.perform();
      try {
        return await whileItRuns(supervisor);
      } finally {
        worker.stop();
        await performing;
      }
    }

    it('are done once, though the task is tried again', async () => {
      const done: string[] = [];
      const order = backgroundTask(
        async () => {
          const task = currentTask();
          const paid = await task.step('pay', () => done.push('pay'));
          const at = (task.checkpointed as number | undefined) ?? 0;
          await task.checkpoint(at + 1);
          const when = await task.step('note the time', () => new Date(5));
          if (task.attempt < 3) throw new Error('once more');
          return { paid, at, when: when.getTime(), attempt: task.attempt };
        },
        { name: 'order', type: 'loop', retries: 2, retryDelayMs: 0 },
      );
      await withWorker({ order }, async (supervisor) => {
        const result = await viaCourier(courier, queue, order.with({ supervisor }))();
        expect(result).toEqual({ paid: 1, at: 2, when: 5, attempt: 3 });
      });
      expect(done).toEqual(['pay']);
    });

    it('are not done again after a redrive', async () => {
      let isMended = false;
      const done: string[] = [];
      const order = backgroundTask(
        async () => {
          await currentTask().step('pay', () => done.push('pay'));
          if (!isMended) throw new Error('not yet');
        },
        { name: 'order', type: 'loop' },
      );
      const id = await courier.addTaskToQueue(queue, { function: 'order', args: [] });
      await withWorker({ order }, async () => {
        expect(await failure(courier.waitForTaskResult(queue, id))).toMatchObject({ message: 'not yet' });
        isMended = true;
        await courier.redriveTasks(queue, [id]);
        await courier.waitForTaskResult(queue, id);
      });
      expect(done).toEqual(['pay']);
    });
  });
}
