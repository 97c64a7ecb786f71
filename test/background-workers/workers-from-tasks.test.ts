/** Background workers of the program, as tasks in threads and children use them. */
import { backgroundWorker, TaskSupervisor, taskSupervisor } from 'taskwarden';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { heard } from '../fixtures/listening.ts';
import { calls, rings, squares } from '../fixtures/tasks/uses-workers.ts';

afterEach(async () => {
  await Promise.all([squares.stop({ wait: false }), rings.stop()]);
});
afterAll(() => taskSupervisor.stop());

describe.each(['thread', 'process', 'loop'] as const)('a %s task', (type) => {
  it('puts items into the queue of a worker', async () => {
    squares.start();
    const id = await calls.with({ type })('put', 7);
    expect(await squares.courier.waitForTaskResult(squares.queueName, id as string)).toBe(49);
    await squares.stop(); // nothing is left to do
    expect(await squares.courier.getQueueInfo(squares.queueName)).toMatchObject({ leased: 0, delayed: 0 });
  });

  it('waits for room in it, and gives that up when its signal aborts', async () => {
    await Promise.all([squares.put(1), squares.put(2)]);
    expect(await calls.with({ type })('put until aborted', 3)).toBe('TimeoutError');
    squares.start();
    await squares.stop();
    expect((await squares.courier.getQueueInfo(squares.queueName)).waiting.normal).toBe(0);
  });

  it('triggers and stops a worker', async () => {
    rings.start();
    const run = heard(taskSupervisor, 'task:completed', ({ task }) => task.worker === 'rings');
    expect(await calls.with({ type })('trigger')).toBe(true);
    expect((await run).result).toBe('rung');
    expect(await calls.with({ type })('stop')).toBe(true);
    expect(rings.isStopped).toBe(true);
  });

  it('restarts one only on the event loop, and else leaves it alone', async () => {
    rings.start();
    expect(await calls.with({ type })('restart')).toBe(type === 'loop' ? true : 'NOT_IN_PROGRAM');
    expect(rings.isStarted).toBe(true);
  });

  it('starts one only on the event loop', async () => {
    expect(await calls.with({ type })('start')).toBe(type === 'loop' ? true : 'NOT_IN_PROGRAM');
    expect(rings.isActive).toBe(type === 'loop');
  });
});

it('a worker that is started by a task is nobody’s child', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const worker = backgroundWorker(() => 'done', { name: 'own', type: 'loop', supervisor, event: true });
  const run = heard(supervisor, 'task:completed', ({ task }) => task.worker === 'own');
  await supervisor.putTask(() => worker.start(), { name: 'starter', type: 'loop' });
  worker.trigger();
  expect((await run).task.parentId).toBeUndefined();
  await worker.stop();
});
