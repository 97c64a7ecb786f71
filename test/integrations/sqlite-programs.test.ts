/** Programs on one file: what each sees of the others, and when it ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BaseWorker,
  ClassicWorker,
  type CourierTask,
  type QueueEvent,
  type TaskCommand,
  TaskSupervisor,
  type TaskType,
  type TaskUpdate,
  viaCourier,
} from 'taskwarden';
import { SqliteTaskCourier } from 'taskwarden/sqlite';
import { afterAll, afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Program, runProgram } from '../fixtures/program.ts';
import { openSqlite } from '../fixtures/sqlite.ts';
import { asksFile, double } from '../fixtures/tasks/uses-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'taskwarden-sqlite-'));
let path: string;
let files = 0;
const open: SqliteTaskCourier[] = [];

beforeEach(() => {
  files += 1;
  path = join(folder, `tasks-${files}.db`);
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((courier) => courier.close()));
});

afterAll(() => rmSync(folder, { recursive: true }));

function connect(options: object = {}): SqliteTaskCourier {
  const courier = new SqliteTaskCourier(path, options);
  open.push(courier);
  return courier;
}

function start(name: string): Program {
  const program = new Program('sqlite-waits.mjs', { args: [path, name] });
  onTestFinished(() => program.kill('SIGKILL'));
  return program;
}

describe('a program ends by itself', () => {
  it.each([
    ['an idle courier', 'idle'],
    ['a courier that nothing was asked', 'idle'],
    ['a call', 'false'],
    ['the time-out of a wait', 'none'],
    ['a lease that runs out', '2'],
    ['a subscription that was ended', 'ended'],
    ['a wait that was given up', 'given up'],
    ['a courier that was closed', 'COURIER_CLOSED'],
  ])('after %s', async (name, line) => {
    const { code, lines, stderr } = await runProgram('sqlite-waits.mjs', { args: [path, name] });
    expect({ code, lines, stderr }).toEqual({ code: 0, lines: [line], stderr: '' });
  });
});

describe('a program lives as long as it waits for', () => {
  it('a result that another program gives', async () => {
    const program = start('a result that another program gives');
    const courier = connect();
    const task = (await courier.waitForTask('q')) as CourierTask;
    await courier.returnTaskResult('q', task, 'given');
    expect(await program.ended).toMatchObject({ code: 0, lines: ['given'], stderr: '' });
  });

  it('a task that another program adds', async () => {
    const program = start('a task that another program adds');
    await program.printed('waits');
    await connect().addTaskToQueue('other', 'added');
    expect(await program.ended).toMatchObject({ code: 0, lines: ['waits', 'added'], stderr: '' });
  });

  it('an event of another program, while it is subscribed', async () => {
    const program = start('an event of another program');
    await program.printed('waits');
    await connect().addTaskToQueue('other', { function: 'sum', args: [] });
    await program.printed('added sum');
    program.kill('SIGTERM');
    await program.ended;
  });
});

describe('couriers of one file', () => {
  it('see what the others do: tasks, results, cancels, updates, commands, events', async () => {
    const [client, worker] = [connect(), connect()];
    const events: QueueEvent[] = [];
    const updates: TaskUpdate[] = [];
    const commands: TaskCommand[] = [];
    await client.subscribe('work', (event) => void events.push(event));
    await client.subscribeToTask('work', 'mine', (update) => void updates.push(update));
    const coming = worker.waitForTask('work');
    await client.addTaskToQueue('work', 1, { id: 'mine' });
    const result = client.waitForTaskResult('work', 'mine').then((value) => [value, updates.length]);
    const task = (await coming) as CourierTask;
    await worker.subscribeToClient('work', task, (command) => void commands.push(command));
    await client.sendToTask('work', 'mine', { kind: 'message', data: 'hello' });
    await expect.poll(() => commands).toEqual([{ kind: 'message', data: 'hello' }]);
    await worker.sendToClient('work', task, { kind: 'progress', progress: { fraction: 0.5 } });
    await worker.sendToClient('work', task, { kind: 'message', data: 'there' });
    await worker.returnTaskResult('work', task, 'done');
    expect(await result).toEqual(['done', 2]); // updates come first
    expect(updates).toEqual([
      { kind: 'progress', progress: { fraction: 0.5 } },
      { kind: 'message', data: 'there' },
    ]);
    await expect.poll(() => events.map(({ kind }) => kind)).toEqual(['added', 'started', 'progress', 'completed']);
    const next = worker.waitForTask('work');
    const id = await client.addTaskToQueue('work', 2);
    const held = (await next) as CourierTask;
    const canceled = new Promise((resolve) => void worker.subscribeToClient('work', held, resolve));
    await client.cancelTask('work', id, 'no need');
    expect(await canceled).toEqual({ kind: 'cancel', reason: 'no need' });
  });

  it('are opened and closed by several programs at the same moment', async () => {
    const args = [path, '20'];
    const ends = await Promise.all([1, 2].map(() => runProgram('sqlite-opens.mjs', { args })));
    for (const { lines, stderr } of ends) expect({ lines, stderr }).toEqual({ lines: ['added 20'], stderr: '' });
  });

  it('share pauses, limits and room', async () => {
    const [one, other] = [connect({ maxQueued: 2 }), connect({ maxQueued: 2 })];
    await one.pauseQueue('work');
    await other.bulkAddTasksToQueue('work', ['a', 'b'], { key: 'k' });
    const waiting = other.waitForTask('work');
    const third = other.addTaskToQueue('work', 'c', { key: 'k', wait: true });
    await one.setLimits('work', { maxPerKey: 1 });
    await one.resumeQueue('work');
    expect(await waiting).toMatchObject({ data: 'a' });
    await third;
    expect(await one.getTask('work')).toBeUndefined();
    const second = one.waitForTask('work');
    await other.returnTaskResult('work', (await waiting) as CourierTask, 1);
    expect(await second).toMatchObject({ data: 'b' });
  });

  it('whose program was silent for too long are told that they missed events', async () => {
    const [listener, other] = [connect(), connect()];
    const events: QueueEvent[] = [];
    await listener.subscribe('work', (event) => void events.push(event));
    const connection = openSqlite(path);
    connection.exec(`UPDATE counters SET value = 1000 WHERE name = 'forgotten events'`);
    connection.close();
    await other.addTaskToQueue('work', 1);
    await expect.poll(() => events[0]).toMatchObject({ kind: 'missed', queue: 'work', time: expect.any(Number) });
  });
});

describe('functions that are called by a file', () => {
  it('run in a supervisor, with their results, cancels and errors', async () => {
    const [client, served] = [connect(), connect()];
    await using supervisor = new TaskSupervisor({ logger: false, threads: { poolSize: 1 } });
    const worker = new ClassicWorker({ courier: served, queueName: 'work', supervisor, functions: { double } });
    const working = worker.perform();
    const called = viaCourier(client, 'work', double);
    expect(await Promise.all([called(1), called(2), called.with({ priority: 'high' })(3)])).toEqual([2, 4, 6]);
    await client.pauseQueue('work');
    const waiting = called(4);
    waiting.cancel('no need');
    await expect(waiting).rejects.toMatchObject({ code: 'TASK_CANCELED' });
    await client.resumeQueue('work');
    expect(await called(5)).toBe(10);
    worker.stop();
    await working;
    expect(await client.getQueueInfo('work')).toMatchObject({ waiting: { normal: 0 }, leased: 0, deadLetters: 0 });
  });

  it.each<TaskType>(['thread', 'process'])(
    'are called from a %s, too, which has a connection of its own',
    async (type) => {
      const courier = connect();
      class Doubling extends BaseWorker<number> {
        override performSingleTask({ data }: CourierTask<number>): number {
          return data * 2;
        }
      }
      const worker = new Doubling({ courier, queueName: 'work' });
      const working = worker.perform();
      await using supervisor = new TaskSupervisor({ logger: false });
      const asked = asksFile.with({ type, supervisor });
      expect(await Promise.all([asked(path, 1), asked(path, 2)])).toEqual([2, 4]);
      worker.stop();
      await working;
    },
  );
});
