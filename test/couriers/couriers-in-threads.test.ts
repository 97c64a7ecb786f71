/** A memory courier of the program, used from threads and children. */
import { setTimeout as pause } from 'node:timers/promises';
import { MemoryTaskCourier, type TaskOptions, TaskSupervisor, type TaskType } from 'taskwarden';
import { afterEach, describe, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { runProgram } from '../fixtures/program.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import * as tasks from '../fixtures/tasks/courier-calls.ts';

const { numbers } = tasks;
let queues = 0;

/** A queue that no other test has used: they share the courier. */
function newQueue(): string {
  queues += 1;
  return `queue ${queues}`;
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause(1);
}

describe.each<TaskType>(['thread', 'process'])('a courier of the program, used in a %s', (type) => {
  let supervisor: TaskSupervisor;

  const shared = new SharedSupervisors();

  function on(poolSize = 2): TaskOptions<never> {
    const pool = { poolSize, reserveNormal: 0, reserveHigh: 0 };
    supervisor = shared.take({ threads: pool, processes: pool, logger: false });
    return { type, supervisor };
  }

  afterEach(async () => {
    if (supervisor.getInfo().pending > 0) await supervisor.stop({ wait: 0 });
    else await supervisor[Symbol.asyncDispose]();
  });

  it('gives each of many clients its own result, of workers elsewhere', async () => {
    const options = on(3);
    const queue = newQueue();
    const worker = tasks.doubles.with(options)(queue, 20);
    const clients = Array.from({ length: 20 }, (_, n) => tasks.asks.with(options)(queue, n));
    expect(await Promise.all(clients)).toEqual(Array.from({ length: 20 }, (_, n) => n * 2));
    expect(await worker).toBe(20);
  });

  it('lends the slot of a client that waits, so that a pool of one is no dead end', async () => {
    const options = on(1);
    const queue = newQueue();
    const client = tasks.asks.with(options)(queue, 4);
    expect(await tasks.doubles.with(options)(queue, 1)).toBe(1);
    expect(await client).toBe(8);
  });

  it('lends the slot of a client that waits for room, too', async () => {
    const options = on(1);
    const queue = newQueue();
    const producer = tasks.produces.with(options)(queue, 4);
    expect(await tasks.consumes.with(options)(queue, 4)).toEqual([0, 1, 2, 3]);
    await producer;
  });

  it('carries between the program and the other side', async () => {
    const options = on();
    const queue = newQueue();
    const id = await numbers.addTaskToQueue(queue, 5);
    await tasks.doubles.with(options)(queue, 1);
    expect(await numbers.getTaskResult(queue, id)).toBe(10);
  });

  it('gives errors of tasks with their class, code and cause', async () => {
    const options = on();
    const queue = newQueue();
    const client = tasks.asks.with(options)(queue, 1);
    await tasks.refuses.with(options)(queue);
    const error = (await failure(client)) as RangeError & { code: string };
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ name: 'OddError', message: 'odd', code: 'ODD' });
    expect(error.cause).toBeInstanceOf(TypeError);
    const [letter] = (await tasks.calls.with(options)('getDeadLetters', queue)) as { error: unknown }[];
    expect(letter?.error).toMatchObject({ message: 'odd' });
  });

  it('gives the reason of a cancel with its class and code', async () => {
    const queue = newQueue();
    const id = await numbers.addTaskToQueue(queue, 1);
    expect(await tasks.cancels.with(on())(queue, id)).toBe(true);
    const { code, cause } = (await failure(numbers.getTaskResult(queue, id))) as { code: string; cause: unknown };
    expect(code).toBe('TASK_CANCELED');
    expect(cause).toBeInstanceOf(RangeError);
    expect(cause).toMatchObject({ name: 'OddError', code: 'ODD' });
  });

  it.each([
    ['getTaskResult', ['none'], 'TASK_NOT_FOUND'],
    ['returnTaskResult', [{ id: 'none', lease: 'none' }, 1], 'LEASE_LOST'],
    ['waitForTaskResult', ['none'], 'TASK_NOT_FOUND'],
  ])('rejects %s with the code that it has in the program', async (method, args, code) => {
    expect(await failure(tasks.calls.with(on())(method, newQueue(), ...args))).toMatchObject({ code });
  });

  it('refuses bad options at the call', async () => {
    const error = await failure(tasks.calls.with(on())('addTaskToQueue', newQueue(), 1, { prioritty: 'high' }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ message: expect.stringContaining('"prioritty"') });
  });

  it('refuses a result that can not be copied, and the worker still has the task', async () => {
    const options = on();
    const queue = newQueue();
    const client = tasks.asks.with(options)(queue, 1);
    await tasks.returnsAFunction.with(options)(queue);
    expect(await client).toBe('RESULT_NOT_CLONEABLE');
  });

  it('ends a wait by its signal, with the reason, and loses no task', async () => {
    const options = on();
    const queue = newQueue();
    const task = tasks.givesUp.with(options)(queue);
    for await (const word of task.messages()) {
      expect(word).toBe('waits');
      break;
    }
    await task.send('go');
    expect(await task).toEqual({ isReason: true });
    await numbers.addTaskToQueue(queue, 'kept');
    expect(await numbers.getTask(queue)).toMatchObject({ data: 'kept', attempt: 1 });
  });

  it('ends the waits of a task with the task', async () => {
    const options = on();
    const queue = newQueue();
    await tasks.leavesAWait.with(options)(queue);
    await until(() => supervisor.getInfo().pending === 0);
    await numbers.addTaskToQueue(queue, 'kept');
    expect(await numbers.getTask(queue)).toMatchObject({ data: 'kept', attempt: 1 });
  });

  it('ends the waits of a task that is canceled', async () => {
    const options = on();
    const queue = newQueue();
    const task = tasks.doubles.with(options)(queue, 1);
    await until(() => supervisor.getTasks({ name: 'MemoryTaskCourier.waitForTask', status: 'started' }).length > 0);
    task.cancel();
    await failure(task);
    await until(() => supervisor.getInfo().pending === 0);
    await numbers.addTaskToQueue(queue, 'kept');
    expect(await numbers.getTask(queue)).toMatchObject({ data: 'kept', attempt: 1 });
  });

  it('does what a task has asked for that did not wait for it', async () => {
    const options = on();
    const queue = newQueue();
    const added = numbers.waitForTask(queue);
    await tasks.throwsIn.with(options)(queue, 'data');
    expect(await added).toMatchObject({ data: 'data' });
  });

  it('hears who extends a lease while the event loop of the program is blocked, before it loses that', async () => {
    const queue = newQueue();
    const id = await tasks.brief.addTaskToQueue(queue, 1);
    const worker = tasks.extendsLease.with(on())(queue);
    for await (const word of worker.messages()) {
      expect(word).toBe('holds');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
      await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setImmediate(resolve));
      expect(await tasks.brief.getQueueInfo(queue)).toMatchObject({ leased: 1 });
      worker.send('end');
    }
    expect(await tasks.brief.waitForTaskResult(queue, id)).toBe('held');
  });

  it('lets a task be followed: all that was said before the result is heard before it', async () => {
    const options = on();
    const queue = newQueue();
    const client = tasks.follows.with(options)(queue, 'followed');
    await tasks.tells.with(options)(queue, 200);
    const { result, heard } = await client;
    expect(result).toBe('told');
    expect(heard).toEqual(Array.from({ length: 200 }, (_, data) => ({ kind: 'message', data })));
  });

  it('lets a worker heed what clients say, to the end', async () => {
    const options = on();
    const queue = newQueue();
    const id = await numbers.addTaskToQueue(queue, 1);
    await numbers.sendToTask(queue, id, { kind: 'message', data: 1 });
    const worker = tasks.heeds.with(options)(queue);
    const subscribes = () => supervisor.getTasks({ name: 'MemoryTaskCourier.subscribeToClient', status: 'started' });
    await until(() => subscribes().some(({ parentId }) => parentId === worker.id));
    await numbers.sendToTask(queue, id, { kind: 'stop' });
    await numbers.cancelTask(queue, id, new TypeError('no more'));
    expect(await worker).toEqual({ kinds: ['message', 'stop', 'cancel'], isTypeError: true, code: 'LEASE_LOST' });
  });

  it('refuses what a task that has ended still calls', async () => {
    const pool = { poolSize: 1, reserveNormal: 0, reserveHigh: 0 };
    supervisor = new TaskSupervisor({ threads: pool, processes: pool, logger: false }); // with one host
    const options: TaskOptions<never> = { type, supervisor };
    const queue = newQueue();
    await tasks.callsLater.with(options)(queue);
    expect(await tasks.whatCameLater.with(options)()).toBe('NOT_IN_TASK');
  });

  it('is closed by a task as by the program: its name is free again', async () => {
    const closed = new MemoryTaskCourier({ name: 'to be closed' });
    await tasks.closes.with(on())('to be closed');
    await expect(closed.getQueueInfo('queue')).rejects.toMatchObject({ code: 'COURIER_CLOSED' });
    await new MemoryTaskCourier({ name: 'to be closed' }).close();
  });

  it('says that a courier is to have a name that the program knows', async () => {
    const error = await failure(tasks.asksAStranger.with(on())('unknown'));
    expect(error).toMatchObject({
      code: 'OBJECT_NOT_FOUND',
      message: expect.stringContaining('MemoryTaskCourier "unknown"'),
    });
  });

  it('tells what happens to the tasks of a queue, and to the queue', async () => {
    const options = on();
    const queue = newQueue();
    const watching = tasks.watches.with(options)(queue, 'completed');
    for await (const message of watching.messages()) if (message === 'listens') break;
    await numbers.pauseQueue(queue);
    const id = await numbers.addTaskToQueue(queue, 5, { key: 'a' });
    await numbers.resumeQueue(queue);
    await tasks.doubles.with(options)(queue, 1);
    const events = await watching;
    expect(events.map(({ kind }) => kind)).toEqual(['paused', 'added', 'resumed', 'started', 'completed']);
    expect(events[1]).toEqual({ kind: 'added', queue, id, name: undefined, key: 'a', time: expect.any(Number) });
  });

  it('lists the tasks of a queue, with their errors', async () => {
    const options = on();
    const queue = newQueue();
    const id = await numbers.addTaskToQueue(queue, 1, { deadlineMs: 1 });
    await failure(numbers.waitForTaskResult(queue, id));
    const waiting = await numbers.addTaskToQueue(queue, 2, { priority: 'low' });
    expect(await tasks.lists.with(options)(queue, 'failed')).toMatchObject([{ id, code: 'TASK_EXPIRED' }]);
    expect(await tasks.lists.with(options)(queue, 'waiting')).toMatchObject([
      { id: waiting, priority: 'low', attempts: 0, timeQueued: expect.any(Number) },
    ]);
  });

  it('leaves nothing that runs', async () => {
    const options = on();
    const queue = newQueue();
    const client = tasks.follows.with(options)(queue, 'followed');
    await tasks.tells.with(options)(queue, 1);
    await client;
    await until(() => supervisor.getInfo().pending === 0);
    expect(await numbers.getQueueInfo(queue)).toMatchObject({ leased: 0, delayed: 0 });
  });
});

it('finds a courier without a name by its place, and does nothing while a module loads', async () => {
  const { code, lines, stderr } = await runProgram('couriers.mjs');
  expect(stderr).toBe('');
  expect(lines).toEqual(['1', 'rest', '42', 'OBJECT_NOT_FOUND', '1']);
  expect(code).toBe(0);
});

it('does not keep the process alive while nobody waits for what its timers bring', async () => {
  expect(await runProgram('courier-waits.mjs')).toMatchObject({ code: 0, lines: ['end'], stderr: '' });
});
