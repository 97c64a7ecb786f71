/** What is the same for all attempts of a task: on all lanes, and for tasks that came from a courier. */
import { BackgroundQueueWorker, ClassicWorker, currentTask, MemoryTaskCourier, TaskSupervisor } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { tellsKeys } from '../fixtures/tasks/keys.ts';

describe.each(['thread', 'process', 'loop'] as const)('on the %s lane', (type) => {
  it('is the id of the task, whatever attempt it is, unless one is given', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const task = tellsKeys.with({ type, supervisor, retries: 2, retryDelayMs: 0 });
    const plain = task(2);
    expect(await plain).toEqual({ id: plain.id, idempotencyKey: plain.id, attempt: 3 });
    const [first, second] = [task.with({ idempotencyKey: 'order 7' })(1), task(0)];
    expect(await first).toEqual({ id: first.id, idempotencyKey: 'order 7', attempt: 2 });
    expect(await second).toMatchObject({ idempotencyKey: second.id });
  });

  it("is the id of the courier's task, however often that is delivered", async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const courier = new MemoryTaskCourier();
    const functions = { tellsKeys: tellsKeys.with({ type }) };
    const worker = new ClassicWorker({ queueName: 'keys', courier, supervisor, functions });
    const performed = worker.perform();
    const call = { function: 'tellsKeys', args: [] };
    const id = await courier.addTaskToQueue('keys', call);
    expect(await courier.waitForTaskResult('keys', id)).toMatchObject({ idempotencyKey: id });
    worker.stop();
    await performed;
  });
});

it('is the id of the item in a queue, though it is run again', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const courier = new MemoryTaskCourier();
  const seen: unknown[] = [];
  const run = () => {
    const { id, idempotencyKey } = currentTask();
    seen.push({ id, idempotencyKey });
    if (seen.length === 1) throw new Error('once');
  };
  const worker = new BackgroundQueueWorker(run, { name: 'keys', type: 'loop', supervisor, queue: { courier } });
  worker.start();
  const id = await worker.put(1, { retries: 1, retryDelayMs: 0 });
  await courier.waitForTaskResult('keys', id);
  await worker.stop();
  expect(seen).toEqual([
    { id, idempotencyKey: id },
    { id, idempotencyKey: id },
  ]);
});
