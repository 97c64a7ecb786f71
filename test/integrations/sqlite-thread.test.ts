/** The thread of SqliteTaskCourier: what becomes of its calls when it dies, and rows that somebody has changed in the file. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { CourierTask, QueueEvent, TaskUpdate } from 'taskwarden';
import { SqliteTaskCourier } from 'taskwarden/sqlite';
import { afterAll, afterEach, beforeEach, expect, it, vi } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { openSqlite } from '../fixtures/sqlite.ts';

const folder = mkdtempSync(join(tmpdir(), 'taskwarden-sqlite-'));
let path: string;
let files = 0;
let courier: SqliteTaskCourier;

beforeEach(() => {
  files += 1;
  path = join(folder, `tasks-${files}.db`);
  courier = new SqliteTaskCourier(path);
});

afterEach(() => courier.close());

afterAll(() => rmSync(folder, { recursive: true }));

/** The thread of the courier. */
async function threadOf(made: SqliteTaskCourier): Promise<Worker> {
  const post = vi.spyOn(Worker.prototype, 'postMessage');
  try {
    await made.getQueueInfo('work');
    return post.mock.contexts[0] as Worker;
  } finally {
    post.mockRestore();
  }
}

function change(sql: string): void {
  const connection = openSqlite(path);
  connection.exec(sql);
  connection.close();
}

it('goes on with another thread when its thread has died: with what waits, and with those who listen', async () => {
  const events: QueueEvent[] = [];
  const updates: TaskUpdate[] = [];
  const id = await courier.addTaskToQueue('work', 'before');
  await courier.subscribe('work', (event) => void events.push(event));
  await courier.subscribeToTask('work', id, (update) => void updates.push(update));
  const result = courier.waitForTaskResult('work', id);
  const coming = courier.waitForTask('later');
  await (await threadOf(courier)).terminate();
  const task = (await courier.waitForTask('work')) as CourierTask;
  expect(task).toMatchObject({ id, data: 'before', attempt: 1 });
  await expect.poll(() => events[0]).toMatchObject({ kind: 'missed', queue: 'work' });
  await expect
    .poll(async () => {
      await courier.sendToClient('work', task, { kind: 'message', data: 'there' });
      return updates[0];
    })
    .toEqual({ kind: 'message', data: 'there' });
  await courier.addTaskToQueue('later', 'came');
  expect(await coming).toMatchObject({ data: 'came' });
  await courier.returnTaskResult('work', task, 'done');
  expect(await result).toBe('done');
  await expect.poll(() => events.at(-1)).toMatchObject({ kind: 'completed', id });
});

it('has no thread before it is asked something, and none when it is closed', async () => {
  const start = vi.spyOn(Worker.prototype, 'postMessage');
  const idle = new SqliteTaskCourier(path);
  await idle.close();
  expect(start).not.toHaveBeenCalled();
  start.mockRestore();
  const thread = await threadOf(courier);
  await courier.close();
  expect(thread.threadId).toBe(-1);
});

it('lets a task fail whose data was spoiled in the file, and harms no other', async () => {
  const [spoiled = '', sound] = await courier.bulkAddTasksToQueue('work', [1, 2]);
  change(`UPDATE tasks SET data = '{"a' WHERE id = '${spoiled}'`);
  expect((await courier.bulkWaitForTasks('work', 5)).map(({ id }) => id)).toEqual([sound]);
  expect(await failure(courier.getTaskResult('work', spoiled))).toMatchObject({ code: 'TASK_MALFORMED' });
  expect(await courier.getDeadLetters('work')).toMatchObject([
    { id: spoiled, data: undefined, error: { code: 'TASK_MALFORMED' } },
  ]);
  expect(await courier.listTasks('work', { state: 'failed' })).toMatchObject([{ error: { code: 'TASK_MALFORMED' } }]);
});

it.each([
  ['a proxy', new Proxy({}, {})],
  ['an object', {}],
  ['a function', () => {}],
  ['a symbol', Symbol('id')],
])('refuses %s as an id, or as the ids of dead letters, and harms no call beside it', async (_, wrong) => {
  const added = courier.addTaskToQueue('work', 1);
  const refused = [
    courier.getTaskResult('work', wrong as string),
    courier.waitForTaskResult('work', wrong as string),
    courier.returnTaskResult('work', { id: wrong, lease: wrong } as CourierTask, 1),
    courier.getTaskResult(wrong as string, 'id'),
  ].map(failure);
  for (const error of await Promise.all(refused)) expect(error).toBeInstanceOf(Error);
  await courier.redriveTasks('work', new Proxy(['none'], {}));
  expect(await courier.getTask('work')).toMatchObject({ id: await added });
});

it('keeps ids, keys and queues of any characters apart', async () => {
  const names = ['a', 'A', 'a\0', 'a\0b', "'", '"', '%', 'ä', '🦀', ' '];
  for (const name of names) await courier.addTaskToQueue(name, name, { id: name, key: name, unique: 'refuse' });
  for (const name of names) {
    expect(await courier.bulkGetTasks(name, 5)).toMatchObject([{ id: name, key: name, data: name, queue: name }]);
  }
  expect(await courier.getQueueNames()).toEqual([...names].sort());
});

it('says that a result was spoiled in the file', async () => {
  const id = await courier.addTaskToQueue('work', 1);
  await courier.returnTaskResult('work', (await courier.getTask('work')) as CourierTask, 'fine');
  change(`UPDATE tasks SET outcome = '{' WHERE id = '${id}'`);
  expect(await failure(courier.getTaskResult('work', id))).toMatchObject({ code: 'TASK_MALFORMED' });
});

it('ends the wait for a task that was forgotten before its end was seen', async () => {
  const other = new SqliteTaskCourier(path, { resultTtlMs: 0 });
  const id = await courier.addTaskToQueue('work', 1);
  const waiting = failure(courier.waitForTaskResult('work', id));
  await courier.checkForDone('work', id); // it waits
  change(`DELETE FROM tasks WHERE id = '${id}'`);
  const clock = setInterval(() => void other.addTaskToQueue('other', 1), 100);
  expect(await waiting).toMatchObject({ code: 'TASK_NOT_FOUND' });
  clearInterval(clock);
  await other.close();
});
