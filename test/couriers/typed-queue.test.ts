/** Calls that go by a courier and are not waited for, and the functions of a queue that is known by its types. */
import { backgroundTask, ClassicWorker, MemoryTaskCourier, TaskSupervisor, typedQueue, viaCourier } from 'taskwarden';
import { expect, it, onTestFinished } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { adds } from '../fixtures/tasks/adds-by-courier.ts';

const functions = {
  sum: backgroundTask((a: number, b: number) => a + b, { name: 'sum', type: 'loop' }),
  shout: (text: string) => text.toUpperCase(),
};

function serve(courier: MemoryTaskCourier): void {
  const supervisor = new TaskSupervisor({ logger: false, threads: { poolSize: 1 } });
  const worker = new ClassicWorker({ courier, queueName: 'work', supervisor, functions });
  const performed = worker.perform();
  onTestFinished(async () => {
    worker.stop();
    await performed;
    await Promise.all([courier.close(), supervisor.stop()]);
  });
}

it('add() gives the id at once, and the options are those of the task', async () => {
  const courier = new MemoryTaskCourier();
  const far = viaCourier(courier, 'work', functions.sum);
  const id = await far.with({ priority: 'high', taskId: 'mine', delayMs: 3_600_000 }).add(1, 2);
  expect(id).toBe('mine');
  expect(await courier.getQueueInfo('work')).toMatchObject({ delayed: 1, waiting: { high: 0 } });
  const other = await far.with({ priority: 'critical', retries: 3, timeoutMs: 50 }).add(1, 2);
  expect(await courier.getTask('work')).toMatchObject({
    id: other,
    priority: 'critical',
    retries: 3,
    data: { function: 'sum', args: [1, 2], timeoutMs: 50 },
  });
  await courier.close();
});

it('add() brings its key, and is unique at the courier, for all machines', async () => {
  const courier = new MemoryTaskCourier();
  const { sum } = typedQueue<typeof functions>(courier, 'work');
  const keyed = sum.with({ key: (a) => `key ${a}`, unique: 'join', uniqueForMs: 1_000 });
  const id = await keyed.add(1, 2);
  expect(await keyed.add(1, 3)).toBe(id);
  expect(await keyed.add(2, 3)).not.toBe(id);
  expect(await courier.getTask('work')).toMatchObject({ id, key: 'key 1' });
  expect(await failure(keyed.with({ unique: 'refuse' }).add(1, 4))).toMatchObject({ code: 'TASK_EXISTS', taskId: id });
  const [many = ''] = await sum.with({ key: 'all' }).addAll([[1, 2]]);
  expect(await courier.listTasks('work', { state: 'waiting' })).toContainEqual(
    expect.objectContaining({ id: many, key: 'all', name: 'sum' }),
  );
  for (const options of [{ key: (a: number) => `key ${a}` }, { key: 'a', unique: 'join' }] as const) {
    expect(await failure(sum.with(options).addAll([[1, 2]]))).toBeInstanceOf(TypeError);
  }
  await courier.close();
});

it('addAll() adds all or none, and gives the ids in order', async () => {
  const courier = new MemoryTaskCourier({ maxQueued: 3 });
  serve(courier);
  const { sum } = typedQueue<typeof functions>(courier, 'work');
  const ids = await sum.addAll(new Set<[number, number]>([[1, 2], [3, 4]])); // biome-ignore format: a pair each
  expect(await Promise.all(ids.map((id) => courier.waitForTaskResult('work', id)))).toEqual([3, 7]);
  const many = Array.from({ length: 9 }, (_, n): [number, number] => [n, n]);
  expect(await failure(sum.addAll(many))).toMatchObject({ code: 'QUEUE_FULL' });
  const waited = await sum.addAll(many, { wait: true });
  expect(await courier.waitForTaskResult('work', waited[8] as string)).toBe(16);
});

it.each([
  ['a number', 5, 'the inputs of sum.addAll() must be an iterable, and no async one; got 5'],
  ['inputs that are no lists', [[1, 2], 3], 'takes lists of arguments, such as [path, width]; input 1 is 3'],
  ['a text', 'ab', "input 0 is 'a'"],
  ['an async iterable', (async function* () {})(), 'must be an iterable, and no async one; got an object'],
])('addAll() refuses %s, and adds nothing', async (_, inputs, message) => {
  const courier = new MemoryTaskCourier();
  const { sum } = typedQueue<typeof functions>(courier, 'work');
  const error = await failure(sum.addAll(inputs as never));
  expect(error).toBeInstanceOf(TypeError);
  expect((error as TypeError).message).toContain(message);
  expect(await courier.getQueueInfo('work')).toMatchObject({ waiting: { normal: 0 } });
  await courier.close();
});

it('functions are known by their names alone, and give handles with results', async () => {
  const courier = new MemoryTaskCourier();
  serve(courier);
  const queue = typedQueue<typeof functions>(courier, 'work', { priority: 'low' });
  expect(queue.sum).toBe(queue.sum);
  expect(queue.sum.name).toBe('sum');
  expect(String(queue)).toBe('functions of queue "work"');
  const handle = queue.sum(1, 2);
  expect(await handle).toBe(3);
  expect(handle.priority).toBe('low');
  const shouted = await queue.shout.with({ priority: 'high' }).add('a');
  expect(await courier.waitForTaskResult('work', shouted)).toBe('A');
  const missing = typedQueue<{ readonly none: () => void }>(courier, 'work').none();
  expect(await failure(missing)).toMatchObject({ code: 'FUNCTION_NOT_ALLOWED' });
});

it('what is too late for its worker is not begun', async () => {
  const courier = new MemoryTaskCourier();
  const id = await typedQueue<typeof functions>(courier, 'work').sum.with({ queueTimeoutMs: 5 }).add(1, 2);
  await new Promise((resolve) => setTimeout(resolve, 20)); // until it is too late
  serve(courier);
  expect(await failure(courier.waitForTaskResult('work', id))).toMatchObject({ code: 'TASK_EXPIRED' });
});

it('add() and addAll() bring a deadline, which the courier keeps', async () => {
  const courier = new MemoryTaskCourier();
  const { sum } = typedQueue<typeof functions>(courier, 'work', { deadlineMs: 20 });
  const ids = [await sum.add(1, 2), ...(await sum.addAll([[3, 4]]))];
  for (const id of ids) {
    expect(await failure(courier.waitForTaskResult('work', id))).toMatchObject({ code: 'TASK_EXPIRED', timeoutMs: 20 });
  }
  await courier.close();
});

it('what is left of the deadline of a call is whole milliseconds at the courier', async () => {
  const courier = new MemoryTaskCourier();
  const call = typedQueue<typeof functions>(courier, 'work').sum.with({ deadlineMs: 20 })(1, 2);
  expect(await failure(call)).toMatchObject({ code: 'TASK_EXPIRED', timeoutMs: 20 });
  const { message } = (await failure(courier.waitForTaskResult('work', call.id))) as Error;
  expect(message).toMatch(/ within its deadline of \d+ ms$/);
  await courier.close();
});

it('adds in a thread, too, where handles are refused', async () => {
  await using supervisor = new TaskSupervisor({ logger: false, threads: { poolSize: 1 } });
  const { id, refused } = await adds.with({ supervisor })(4, 5);
  expect(refused).toBe('NOT_IN_PROGRAM');
  const { courier } = await import('../fixtures/tasks/adds-by-courier.ts');
  expect(await courier.getTask('work')).toMatchObject({ id, data: { function: 'sum', args: [4, 5] } });
});

it('refuses what makes no sense', async () => {
  const courier = new MemoryTaskCourier();
  const { sum } = typedQueue<typeof functions>(courier, 'work');
  expect(await failure(sum.with({ callback: () => {} }).add(1, 2))).toMatchObject({
    message: 'sum.add() takes no option "callback": it does not wait for results',
  });
  expect(await failure(sum.with({ taskId: 'a' }).addAll([]))).toBeInstanceOf(TypeError);
  expect(await failure(sum.addAll([], { waits: true } as never))).toBeInstanceOf(TypeError);
  expect(() => typedQueue(courier, '')).toThrow(/must be a string that is not empty/);
  expect(() => typedQueue({} as never, 'work')).toThrow(/must be a courier/);
  expect(() => typedQueue(courier, 'work', { name: 'x' })).toThrow(/takes no option "name"/);
  await courier.close();
});
