/** ClassicWorker on a real courier and real threads: what it calls, what it refuses, and what goes back to the queue. */
import {
  backgroundTask,
  ClassicWorker,
  type ClassicWorkerOptions,
  MemoryTaskCourier,
  type TaskInfo,
  TaskSupervisor,
  type TaskUpdate,
} from 'taskwarden';
import { describe, expect, it, vi } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { add, echo } from '../fixtures/tasks/echo.ts';
import { exits } from '../fixtures/tasks/exits.ts';
import { Gate, holds, yields } from '../fixtures/tasks/holds.ts';
import { collects, countsWhatItTells, waitsUntilStopped } from '../fixtures/tasks/talks.ts';
import { throws } from '../fixtures/tasks/throws.ts';

const queueName = 'calls';

/** A courier, a supervisor, and a worker between them that performs until the end of the test. */
class Machine implements AsyncDisposable {
  readonly courier = new MemoryTaskCourier();
  readonly supervisor = new TaskSupervisor({ logger: false, threads: { poolSize: 2 } });
  readonly worker: ClassicWorker;
  readonly performed: Promise<void>;

  constructor(functions: ClassicWorkerOptions['functions'], options: Partial<ClassicWorkerOptions> = {}) {
    const { courier, supervisor } = this;
    this.worker = new ClassicWorker({ queueName, courier, supervisor, functions, ...options });
    this.performed = this.worker.perform();
  }

  call(name: string, ...args: unknown[]): Promise<unknown> {
    return this.order({ function: name, args });
  }

  async order(data: unknown): Promise<unknown> {
    return this.courier.waitForTaskResult(queueName, await this.courier.addTaskToQueue(queueName, data));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.worker.stop();
    await this.performed;
    await this.supervisor.stop();
  }
}

describe('a call', () => {
  it('runs as a supervised task in a thread, and gives its result', async () => {
    await using machine = new Machine({ add, echo });
    expect(await machine.call('add', 1, 2)).toBe(3);
    expect(await machine.call('echo', { deep: [new Date(0)] })).toEqual({ deep: [new Date(0)] });
    expect(machine.supervisor.getTasks().map(({ name, type, status }) => [name, type, status])).toEqual([
      ['add', 'thread', 'completed'],
      ['echo', 'thread', 'completed'],
    ]);
  });

  it('may have no arguments', async () => {
    await using machine = new Machine({ nothing: (...args: unknown[]) => args.length });
    expect(await machine.order({ function: 'nothing' })).toBe(0);
  });

  it('of a function alone runs as putTask(fn) would, under the name of the allow-list', async () => {
    const triple = (n: number) => n * 3;
    await using machine = new Machine({ times3: triple });
    expect(await machine.call('times3', 14)).toBe(42);
    expect(machine.supervisor.getTasks()).toMatchObject([{ name: 'times3', type: 'thread' }]);
  });

  it('of a task of the event loop runs there, closures and all', async () => {
    const seen: number[] = [];
    const note = backgroundTask((n: number) => seen.push(n), { name: 'note', type: 'loop' });
    await using machine = new Machine({ note });
    expect(await machine.call('note', 7)).toBe(1);
    expect(seen).toEqual([7]);
  });

  it('has the priority of its courier task', async () => {
    await using machine = new Machine({ echo });
    const id = await machine.courier.addTaskToQueue(
      queueName,
      { function: 'echo', args: [1] },
      { priority: 'critical' },
    );
    await machine.courier.waitForTaskResult(queueName, id);
    expect(machine.supervisor.getTasks()).toMatchObject([{ priority: 'critical' }]);
  });

  it('that throws fails with that error', async () => {
    await using machine = new Machine({ throws });
    const error = await failure(machine.call('throws', 'subclass'));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ name: 'OutOfStock', code: 'OUT_OF_STOCK', item: { sku: 'tea', left: 0 } });
    expect(await failure(machine.call('throws', 'string'))).toBe('just text');
  });

  it('whose thread dies fails, and the worker goes on', async () => {
    await using machine = new Machine({ exits, echo });
    expect(await failure(machine.call('exits', 3))).toMatchObject({ code: 'TASK_CRASHED', exitCode: 3 });
    expect(await machine.call('echo', 'still here')).toBe('still here');
  });

  it('is run once for each delivery, whatever its own options say of retries and delays', async () => {
    let runs = 0;
    const fails = backgroundTask(
      () => {
        runs += 1;
        throw new Error(`run ${runs}`);
      },
      { name: 'fails', type: 'loop', retries: 5, retryDelayMs: 0, delayMs: 3_600_000 },
    );
    await using machine = new Machine({ fails });
    const id = await machine.courier.addTaskToQueue(queueName, { function: 'fails' }, { retries: 1, retryDelayMs: 1 });
    expect(await failure(machine.courier.waitForTaskResult(queueName, id))).toMatchObject({ message: 'run 2' });
    expect(runs).toBe(2);
  });

  it('may be allowed less time than its definition says, and never more', async () => {
    const slow = yields.with({ timeoutMs: 60_000 });
    const quick = yields.with({ timeoutMs: 50 });
    await using machine = new Machine({ slow, quick });
    for (const order of [
      { function: 'slow', timeoutMs: 50 },
      { function: 'quick', timeoutMs: 60_000 },
    ]) {
      expect(await failure(machine.order(order))).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 50 });
    }
  });

  it('waits for room, if the supervisor takes no more', async () => {
    await using gate = await Gate.create();
    await using machine = new Machine({ holds, echo }, { maxSimultaneousTasks: 8 });
    machine.supervisor.configure({ maxQueued: 1, threads: { poolSize: 1, reserveNormal: 0 } });
    const held = machine.call('holds', gate.port, 'x');
    await gate.arrived(1);
    const results = Promise.all([1, 2, 3, 4, 5].map((n) => machine.call('echo', n)));
    gate.open();
    expect(await results).toEqual([1, 2, 3, 4, 5]);
    expect(await held).toBe('x');
  });

  it('does not wait for others of the worker', async () => {
    await using gate = await Gate.create();
    await using machine = new Machine({ holds, echo }, { maxSimultaneousTasks: 2 });
    const held = machine.call('holds', gate.port, 'x');
    await gate.arrived(1);
    for (const n of [1, 2, 3]) expect(await machine.call('echo', n)).toBe(n);
    gate.open();
    await held;
  });
});

describe('what is refused', () => {
  it.each(['remove', '__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'is a function that is not in the allow-list: %s',
    async (name) => {
      await using machine = new Machine({ echo });
      expect(await failure(machine.call(name, 1))).toMatchObject({ code: 'FUNCTION_NOT_ALLOWED' });
      expect(machine.supervisor.getTasks()).toEqual([]);
    },
  );

  it('is a function that the allow-list inherits, or is given later', async () => {
    const functions: Record<string, typeof echo> = Object.assign(Object.create({ inherited: echo }), { echo });
    await using machine = new Machine(functions);
    functions['later'] = echo;
    expect(await failure(machine.call('inherited', 1))).toMatchObject({ code: 'FUNCTION_NOT_ALLOWED' });
    expect(await failure(machine.call('later', 1))).toMatchObject({ code: 'FUNCTION_NOT_ALLOWED' });
    expect(await machine.call('echo', 1)).toBe(1);
  });

  it.each<[unknown, RegExp]>([
    [undefined, /takes an object/],
    ['process.exit()', /takes an object/],
    [['echo', 1], /takes an object/],
    [{}, /"function" .* must be a string/],
    [{ function: () => {} }, /./],
    [{ function: 1 }, /must be a string/],
    [{ function: 'echo', args: 'x' }, /"args" .* must be an array/],
    [{ function: 'echo', args: { length: 1 } }, /"args" .* must be an array/],
    [{ function: 'echo', kwargs: {} }, /no option "kwargs"/],
    [{ function: 'echo', timeoutMs: -1 }, /"timeoutMs"/],
  ])('is data of another shape: %o', async (data, message) => {
    const courier = new MemoryTaskCourier({ copies: false });
    const worker = new ClassicWorker({ queueName, courier, functions: { echo } });
    const id = await courier.addTaskToQueue(queueName, data);
    await worker.perform({ totalIterations: 1 });
    const error = await failure(courier.getTaskResult(queueName, id));
    expect(error).toMatchObject({ code: 'TASK_MALFORMED', taskId: id, message: expect.stringMatching(message) });
  });

  it('is an allow-list that is none, at once', () => {
    const courier = new MemoryTaskCourier();
    expect(() => new ClassicWorker({ queueName, courier } as never)).toThrow(/"functions" of ClassicWorker must be/);
    expect(() => new ClassicWorker({ queueName, courier, functions: { echo: 'echo' } as never })).toThrow(TypeError);
    expect(() => new ClassicWorker({ queueName, courier, functions: {}, pool: 3 } as never)).toThrow(
      /no option "pool"/,
    );
    expect(() => new ClassicWorker({ queueName, courier, functions: { bound: add.bind(null) } })).toThrow(/no source/);
  });
});

describe('the client of a call', () => {
  it('hears its progress and messages, all before its result', async () => {
    await using machine = new Machine({ countsWhatItTells });
    const news: TaskUpdate[] = [];
    await machine.courier.subscribeToTask(queueName, 'a', (each) => news.push(each));
    await machine.courier.addTaskToQueue(queueName, { function: 'countsWhatItTells', args: [200] }, { id: 'a' });
    expect(await machine.courier.waitForTaskResult(queueName, 'a')).toBe(200);
    expect(news[0]).toEqual({ kind: 'started', attempt: 1 });
    expect(news.flatMap((each) => (each.kind === 'message' ? [each.data] : []))).toEqual(
      Array.from({ length: 200 }, (_, n) => n),
    );
    expect(news.filter(({ kind }) => kind === 'progress').at(-1)).toEqual({
      kind: 'progress',
      progress: { fraction: 199 / 200 },
    });
  });

  it('is heard by it, and can tell it to finish', async () => {
    await using machine = new Machine({ collects });
    const { courier } = machine;
    const id = await courier.addTaskToQueue(queueName, { function: 'collects' });
    for (const data of ['a', 'b']) await courier.sendToTask(queueName, id, { kind: 'message', data });
    await courier.sendToTask(queueName, id, { kind: 'stop' });
    expect(await courier.waitForTaskResult(queueName, id)).toEqual(['a', 'b']);
  });

  it('can cancel it while it runs', async () => {
    await using machine = new Machine({ yields });
    const { courier, supervisor } = machine;
    const running = heard(supervisor, 'task:progress');
    const canceled = heard(supervisor, 'task:canceled');
    const id = await courier.addTaskToQueue(queueName, { function: 'yields' });
    const result = failure(courier.waitForTaskResult(queueName, id));
    await running;
    expect(await courier.cancelTask(queueName, id, 'not needed')).toBe(true);
    expect(await result).toMatchObject({ code: 'TASK_CANCELED', cause: 'not needed' });
    expect((await canceled).task).toMatchObject({ name: 'yields', endReason: 'canceled' });
  });
});

describe('when its supervisor stops', () => {
  it.each([
    ['at once', { wait: false }],
    ['in time', { wait: 500 }],
    ['with a request', { cancelTasks: true }],
  ])('%s, a task that runs goes back to the queue as it was, and perform() ends', async (_how, options) => {
    const machine = new Machine({ waitsUntilStopped: yields });
    const { courier, supervisor } = machine;
    const running = heard(supervisor, 'task:progress');
    const id = await courier.addTaskToQueue(queueName, { function: 'waitsUntilStopped' });
    await running;
    await supervisor.stop(options);
    await machine.performed;
    expect(await courier.checkForDone(queueName, id)).toBe(false);
    expect(await courier.getTask(queueName)).toMatchObject({ id, attempt: 1 });
  });

  it('and waits for its tasks, they end well; the next one goes back to the queue', async () => {
    const machine = new Machine({ waitsUntilStopped }, { maxSimultaneousTasks: 1 });
    const { courier, supervisor } = machine;
    const running = heard(supervisor, 'task:progress');
    const data = { function: 'waitsUntilStopped' };
    const [first, second] = await courier.bulkAddTasksToQueue(queueName, [data, data]);
    await running;
    const stopped = supervisor.stop();
    await courier.sendToTask(queueName, first as string, { kind: 'stop' });
    expect(await courier.waitForTaskResult(queueName, first as string)).toBe('TASK_STOPPED');
    await machine.performed;
    await stopped;
    expect(await courier.getTask(queueName)).toMatchObject({ id: second, attempt: 1 });
  });
});

it('cancels the local task of a lease that is lost', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  const supervisor = new TaskSupervisor({ logger: false });
  try {
    const courier = new MemoryTaskCourier({ leaseMs: 1_000, maxStalls: 1 });
    vi.spyOn(courier, 'bulkExtendLeases').mockResolvedValue([]); // it says that all is well, and extends nothing
    const onError = vi.fn();
    const worker = new ClassicWorker({ queueName, courier, supervisor, functions: { yields }, onError });
    const running = heard(supervisor, 'task:progress');
    const canceled = heard(supervisor, 'task:canceled');
    const performed = worker.perform({ totalIterations: 1 });
    const id = await courier.addTaskToQueue(queueName, { function: 'yields' });
    const result = failure(courier.waitForTaskResult(queueName, id));
    await running;
    await vi.advanceTimersByTimeAsync(1_000);
    const { task }: { readonly task: TaskInfo } = await canceled;
    expect(task.error).toMatchObject({ code: 'TASK_CANCELED', cause: { code: 'LEASE_LOST', taskId: id } });
    await performed;
    expect(onError).toHaveBeenCalledOnce();
    expect(await result).toMatchObject({ code: 'TASK_STALLED' });
  } finally {
    vi.useRealTimers();
    await supervisor.stop({ wait: false });
  }
});
