/** Steps of tasks from a courier that does not answer, or by a worker that has lost its lease. */
import {
  BackgroundQueueWorker,
  backgroundTask,
  ClassicWorker,
  type CourierTask,
  currentTask,
  MemoryTaskCourier,
  TaskSupervisor,
  TaskwardenError,
} from 'taskwarden';
import { expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';

/** Its first calls of `keepWork()` fail. */
class FailingCourier extends MemoryTaskCourier {
  failures = 0;

  override keepWork(queue: string, task: CourierTask, name: string, work: Uint8Array): Promise<void> {
    if (this.failures === 0) return super.keepWork(queue, task, name, work);
    this.failures -= 1;
    return Promise.reject(new TaskwardenError('COURIER_UNREACHABLE', 'the cable is out'));
  }
}

it('a step waits to be kept while the courier can not be reached, and is done once', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const courier = new FailingCourier();
  courier.failures = 2;
  const done: string[] = [];
  const pays = backgroundTask(() => currentTask().step('pay', () => done.push('pay')), { name: 'pays', type: 'loop' });
  const outages: unknown[] = [];
  const worker = new ClassicWorker({
    courier,
    queueName: 'work',
    supervisor,
    functions: { pays },
    onError: (error) => outages.push(error),
  });
  const performing = worker.perform();
  const id = await courier.addTaskToQueue('work', { function: 'pays', args: [] });
  expect(await courier.waitForTaskResult('work', id)).toBe(1);
  expect(done).toEqual(['pay']);
  expect(outages).toMatchObject([{ code: 'COURIER_UNREACHABLE' }]);
  worker.stop();
  await performing;
});

it('a step of a worker that has lost its lease rejects, and keeps nothing; the worker that has the task goes on', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  /** Does not extend the lease of a first attempt, and says that it has. */
  class Stalling extends MemoryTaskCourier {
    override bulkExtendLeases(queue: string, tasks: readonly CourierTask[]): Promise<CourierTask[]> {
      return super.bulkExtendLeases(
        queue,
        tasks.filter(({ attempt }) => attempt > 1),
      );
    }
  }
  const courier = new Stalling({ leaseMs: 100 });
  const problems: Promise<unknown>[] = [];
  const works = backgroundTask(
    async () => {
      const task = currentTask();
      const first = await task.step('first', () => task.attempt);
      if (task.attempt === 1) {
        const lost = new Promise((resolve) => task.signal.addEventListener('abort', resolve));
        const late = failure(task.step('late', () => lost));
        problems.push(late);
        await late;
        return 'too late';
      }
      return [first, await task.step('late', () => `attempt ${task.attempt}`)];
    },
    { name: 'works', type: 'loop', stopGraceMs: 20_000 },
  );
  const settings = { courier, queueName: 'work', supervisor, functions: { works }, maxSimultaneousTasks: 2 };
  const worker = new ClassicWorker({ ...settings, onError: () => {} });
  const performing = worker.perform();
  const id = await courier.addTaskToQueue('work', { function: 'works', args: [] });
  expect(await courier.waitForTaskResult('work', id)).toEqual([1, 'attempt 2']);
  expect(await Promise.all(problems)).toMatchObject([{ code: 'LEASE_LOST' }]);
  worker.stop();
  await performing;
});

it('the items of a queue worker have steps, too', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const courier = new MemoryTaskCourier();
  const done: unknown[] = [];
  const run = async (item: unknown) => {
    await currentTask().step('note', () => done.push(item));
    if (currentTask().attempt === 1) throw new Error('once');
  };
  const worker = new BackgroundQueueWorker(run, { name: 'items', type: 'loop', supervisor, queue: { courier } });
  worker.start();
  const ids = [
    await worker.put(1, { retries: 1, retryDelayMs: 0 }),
    await worker.put(2, { retries: 1, retryDelayMs: 0 }),
  ];
  for (const id of ids) await courier.waitForTaskResult('items', id);
  await worker.stop();
  expect(done.toSorted()).toEqual([1, 2]);
});

it('what can not be read of a step fails that step, by its name, and is not done again', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const courier = new MemoryTaskCourier();
  let calls = 0;
  const pays = backgroundTask(() => currentTask().step('pay', () => (calls += 1)), { name: 'pays', type: 'loop' });
  const id = await courier.addTaskToQueue('work', { function: 'pays', args: [] });
  const task = (await courier.getTask('work')) as CourierTask;
  await courier.keepWork('work', task, 'step:pay', Uint8Array.of(1, 2, 3));
  await courier.releaseTask('work', task);
  const worker = new ClassicWorker({ courier, queueName: 'work', supervisor, functions: { pays } });
  const performing = worker.perform();
  expect(await failure(courier.waitForTaskResult('work', id))).toMatchObject({
    code: 'RESULT_NOT_CLONEABLE',
    message: expect.stringContaining("the result of step 'pay' was kept, and can't be read here"),
    taskId: id,
  });
  expect(calls).toBe(0);
  worker.stop();
  await performing;
});

it('a step is not waited for when the courier was closed', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const courier = new MemoryTaskCourier();
  let problem: Promise<unknown> = Promise.resolve();
  const pays = backgroundTask(
    async () => {
      problem = failure(currentTask().step('pay', () => courier.close()));
      await problem;
    },
    { name: 'pays', type: 'loop' },
  );
  await courier.addTaskToQueue('work', { function: 'pays', args: [] });
  const worker = new ClassicWorker({ courier, queueName: 'work', supervisor, functions: { pays }, onError: () => {} });
  expect(await failure(worker.perform())).toMatchObject({ code: 'COURIER_CLOSED' });
  expect(await problem).toMatchObject({ code: 'COURIER_CLOSED' });
});
