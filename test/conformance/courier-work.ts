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
import { beforeEach, describe, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import type { CourierUnderTest } from './courier.ts';
import { closedAfterEach } from './open-couriers.ts';

const longMs = 20_000;

export function courierWork({ name, create, shortLeaseMs = 300 }: CourierUnderTest): void {
  let courier: ClientWorkerTaskCourier;
  const make = closedAfterEach(create);

  beforeEach(async () => {
    courier = await make({});
  });

  async function next(from: ClientWorkerTaskCourier = courier): Promise<CourierTask> {
    const task = await from.waitForTask('work', { timeoutMs: longMs });
    if (task === undefined) throw new Error('no task came');
    return task;
  }

  const bytes = (text: string) => new TextEncoder().encode(text);
  const keptBy = ({ kept = new Map() }: CourierTask) =>
    Object.fromEntries([...kept].map(([key, work]) => [key, new TextDecoder().decode(work)]));

  describe(`${name}: kept work`, () => {
    it('comes with the next attempt after an error, and after that', async () => {
      await courier.addTaskToQueue('work', 'a', { retries: 2, retryDelayMs: 0 });
      const first = await next();
      expect(first.kept).toBeUndefined();
      await courier.keepWork('work', first, 'one', bytes('1'));
      await courier.keepWork('work', first, 'two', bytes('2'));
      await courier.returnTaskError('work', first, new Error('once more'));
      const second = await next();
      expect(keptBy(second)).toEqual({ one: '1', two: '2' });
      await courier.keepWork('work', second, 'three', bytes('3'));
      await courier.returnTaskError('work', second, new Error('once more'));
      expect(keptBy(await next())).toEqual({ one: '1', two: '2', three: '3' });
    });

    it('comes with the next delivery when the worker that has kept it dies', async () => {
      const short = await make({ leaseMs: shortLeaseMs });
      await short.addTaskToQueue('work', 'a');
      const first = await next(short);
      await short.keepWork('work', first, 'one', bytes('1'));
      expect(keptBy(await next(short))).toEqual({ one: '1' });
    });

    it('comes with a task that was given back', async () => {
      await courier.addTaskToQueue('work', 'a');
      const first = await next();
      await courier.keepWork('work', first, 'one', bytes('1'));
      await courier.releaseTask('work', first);
      expect(keptBy(await next())).toEqual({ one: '1' });
    });

    it('comes with a dead letter that is redriven', async () => {
      const id = await courier.addTaskToQueue('work', 'a');
      const first = await next();
      await courier.keepWork('work', first, 'one', bytes('1'));
      await courier.returnTaskError('work', first, new Error('no'));
      await courier.redriveTasks('work', [id]);
      const again = await next();
      expect(again.attempt).toBe(1);
      expect(keptBy(again)).toEqual({ one: '1' });
    });

    it('goes with a dead letter that is removed', async () => {
      const id = await courier.addTaskToQueue('work', 'a', { id: 'same' });
      const first = await next();
      await courier.keepWork('work', first, 'one', bytes('1'));
      await courier.returnTaskError('work', first, new Error('no'));
      await courier.removeDeadLetters('work', [id]);
      await courier.addTaskToQueue('work', 'b', { id: 'same' });
      await courier.releaseTask('work', await next());
      const other = await next();
      expect([other.data, other.kept]).toEqual(['b', undefined]);
    });

    it('is of its task alone', async () => {
      await courier.bulkAddTasksToQueue('work', ['a', 'b'], { retries: 1, retryDelayMs: 0 });
      const [first, second] = [await next(), await next()];
      await courier.keepWork('work', first, 'one', bytes('1'));
      for (const task of [first, second]) await courier.returnTaskError('work', task, new Error('once more'));
      const again = [await next(), await next()];
      expect(new Map(again.map((task) => [task.data, keptBy(task)]))).toEqual(
        new Map([
          ['a', { one: '1' }],
          ['b', {}],
        ]),
      );
    });

    it('takes the place of what has its name', async () => {
      await courier.addTaskToQueue('work', 'a');
      const first = await next();
      await courier.keepWork('work', first, 'one', bytes('old'));
      await courier.keepWork('work', first, 'one', bytes('new'));
      await courier.releaseTask('work', first);
      expect(keptBy(await next())).toEqual({ one: 'new' });
    });

    it('is any bytes, under any name', async () => {
      const all = Uint8Array.from({ length: 100_000 }, (_, n) => n % 256);
      const names = ['__proto__', 'constructor', 'a:b c', 'ä🦀', '"', "'", '\\', '{}'];
      await courier.addTaskToQueue('work', 'a');
      const first = await next();
      await courier.keepWork('work', first, 'all', all);
      await courier.keepWork('work', first, 'none', new Uint8Array());
      await courier.keepWork('work', first, 'part', all.subarray(7, 11));
      await Promise.all(names.map((each) => courier.keepWork('work', first, each, bytes(each))));
      await courier.releaseTask('work', first);
      const { kept } = await next();
      expect([...(kept?.keys() ?? [])].sort()).toEqual(['all', 'none', 'part', ...names].sort());
      expect(Buffer.from(kept?.get('all') ?? []).equals(all)).toBe(true);
      expect(kept?.get('none')).toEqual(new Uint8Array());
      expect(kept?.get('part')).toEqual(Uint8Array.of(7, 8, 9, 10));
      for (const each of names) expect(new TextDecoder().decode(kept?.get(each))).toBe(each);
    });

    it('is a copy', async () => {
      const work = bytes('1');
      await courier.addTaskToQueue('work', 'a');
      const first = await next();
      await courier.keepWork('work', first, 'one', work);
      work.fill(0);
      await courier.releaseTask('work', first);
      expect(keptBy(await next())).toEqual({ one: '1' });
    });

    it('is refused once the lease is lost, or the task was returned or given back; then nothing is kept', async () => {
      const short = await make({ leaseMs: shortLeaseMs });
      await short.addTaskToQueue('work', 'a');
      const lost = await next(short);
      const released = await next(short);
      expect(await failure(short.keepWork('work', lost, 'late', bytes('x')))).toMatchObject({ code: 'LEASE_LOST' });
      await short.releaseTask('work', released);
      expect(await failure(short.keepWork('work', released, 'late', bytes('x')))).toMatchObject({ code: 'LEASE_LOST' });
      const last = await next(short);
      expect(last.kept).toBeUndefined();
      await short.returnTaskResult('work', last, 'done');
      expect(await failure(short.keepWork('work', last, 'late', bytes('x')))).toMatchObject({ code: 'LEASE_LOST' });
    });

    it('is refused for a task that was canceled', async () => {
      const id = await courier.addTaskToQueue('work', 'a');
      const task = await next();
      await courier.cancelTask('work', id);
      expect(await failure(courier.keepWork('work', task, 'late', bytes('x')))).toMatchObject({ code: 'LEASE_LOST' });
    });

    it('is refused at the call if it is no bytes, or has no name', async () => {
      await courier.addTaskToQueue('work', 'a');
      const task = await next();
      expect(await failure(courier.keepWork('work', task, '', bytes('x')))).toBeInstanceOf(TypeError);
      expect(await failure(courier.keepWork('work', task, 'one', 'x' as never))).toBeInstanceOf(TypeError);
    });
  });

  describe(`${name}: steps of its tasks`, () => {
    /** Works on the queue with a function on the event loop, while `whileItRuns` runs. */
    async function withWorker<R>(
      functions: Readonly<Record<string, BackgroundTask<() => unknown>>>,
      whileItRuns: (supervisor: TaskSupervisor) => Promise<R>,
    ): Promise<R> {
      await using supervisor = new TaskSupervisor({ logger: false });
      const worker = new ClassicWorker({ courier, queueName: 'work', functions, supervisor, onError: () => {} });
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
        const result = await viaCourier(courier, 'work', order.with({ supervisor }))();
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
      const id = await courier.addTaskToQueue('work', { function: 'order', args: [] });
      await withWorker({ order }, async () => {
        expect(await failure(courier.waitForTaskResult('work', id))).toMatchObject({ message: 'not yet' });
        isMended = true;
        await courier.redriveTasks('work', [id]);
        await courier.waitForTaskResult('work', id);
      });
      expect(done).toEqual(['pay']);
    });
  });
}
