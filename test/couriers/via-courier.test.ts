/** viaCourier from end to end: calls like any other, performed by a ClassicWorker on the far side of a real courier. */
import {
  type BackgroundTask,
  backgroundTask,
  ClassicWorker,
  type ClassicWorkerOptions,
  MemoryTaskCourier,
  Task,
  TaskSupervisor,
  viaCourier,
} from 'taskwarden';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { begun, failure, heard } from '../fixtures/listening.ts';
import { add, echo } from '../fixtures/tasks/echo.ts';
import { callsFar } from '../fixtures/tasks/far.ts';
import { Gate, holds, yields } from '../fixtures/tasks/holds.ts';
import { answers, collects, countsWhatItTells, waitsUntilStopped } from '../fixtures/tasks/talks.ts';
import { throws } from '../fixtures/tasks/throws.ts';

const queueName = 'far';

/** A client with a supervisor of its own, and a far machine that may serve the queue. */
class World implements AsyncDisposable {
  readonly courier = new MemoryTaskCourier();
  readonly here = new TaskSupervisor({ logger: false, name: 'here' });
  readonly there = new TaskSupervisor({ logger: false, name: 'there', threads: { poolSize: 2 } });
  #worker: ClassicWorker | undefined;
  #performed: Promise<void> | undefined;

  static serving(functions: ClassicWorkerOptions['functions']): World {
    return new World().serve(functions);
  }

  serve(functions: ClassicWorkerOptions['functions']): this {
    const { courier, there: supervisor } = this;
    this.#worker = new ClassicWorker({ queueName, courier, supervisor, functions, maxSimultaneousTasks: 4 });
    this.#performed = this.#worker.perform();
    return this;
  }

  far<T extends BackgroundTask<never>>(task: T): T {
    return viaCourier(this.courier, queueName, task).with({ supervisor: this.here }) as unknown as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#worker?.stop();
    await this.here.stop({ wait: false });
    await this.#performed;
    await this.there.stop({ wait: false });
    await this.courier.close();
  }
}

describe('a call', () => {
  it('is performed by whoever serves the queue', async () => {
    await using world = World.serving({ add });
    const far = world.far(add);
    expect(far.name).toBe('add');
    const handle = far(1, 2);
    expect(handle).toMatchObject({ name: 'add', priority: 'normal', done: false });
    expect(await handle).toBe(3);
    expect(handle).toMatchObject({ status: 'completed', result: 3, done: true });
    expect(world.there.getTasks()).toMatchObject([{ name: 'add', type: 'thread', status: 'completed' }]);
  });

  it('adds what a ClassicWorker takes, under its own id', async () => {
    await using world = new World();
    const handle = world.far(add).with({ priority: 'high' })(1, 2);
    const task = await world.courier.waitForTask(queueName);
    expect(task).toMatchObject({ id: handle.id, priority: 'high', data: { function: 'add', args: [1, 2] } });
    expect(Object.keys(task?.data as object)).toEqual(['function', 'args']);
    await world.courier.returnTaskResult(queueName, task as never, 'from elsewhere');
    expect(await handle).toBe('from elsewhere');
  });

  it('can have an id that an ended task has had', async () => {
    await using world = World.serving({ echo });
    const far = world.far(echo).with({ taskId: 'my:own' });
    expect([await far(1), await far(2)]).toEqual([1, 2]);
  });

  it('waits for a worker to come', async () => {
    await using world = new World();
    const handle = world.far(add)(20, 22);
    await vi.waitUntil(async () => (await world.courier.getQueueInfo(queueName)).waiting.normal === 1);
    world.serve({ add });
    expect(await handle).toBe(42);
  });

  it('can be mapped, and put', async () => {
    await using world = World.serving({ add });
    const far = world.far(add);
    const results: number[] = [];
    for await (const sum of far.map(
      [
        [1, 1],
        [2, 2],
        [3, 3],
      ],
      { ordered: true, concurrency: 2 },
    ))
      results.push(sum);
    expect(results).toEqual([2, 4, 6]);
    expect(await world.here.putTask(far, { args: [4, 4] })).toBe(8);
  });

  it('fails with the error of the task', async () => {
    await using world = World.serving({ throws });
    const handle = world.far(throws)('subclass');
    const error = await failure(handle);
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ name: 'OutOfStock', code: 'OUT_OF_STOCK' });
    expect(handle.status).toBe('failed');
  });

  it('fails if the worker does not know its function, or the arguments can not be copied', async () => {
    await using world = World.serving({ add });
    expect(await failure(world.far(echo)(1))).toMatchObject({ code: 'FUNCTION_NOT_ALLOWED' });
    expect(await failure(world.far(echo)(() => {}))).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
  });

  it('fails if the courier is closed', async () => {
    await using world = new World();
    const handle = world.far(add)(1, 1);
    await vi.waitUntil(async () => (await world.courier.getQueueInfo(queueName)).waiting.normal === 1);
    await world.courier.close();
    expect(await failure(handle)).toMatchObject({ code: 'COURIER_CLOSED' });
  });

  it('inside a thread is refused, and while a module loads there does nothing', async () => {
    await using world = new World();
    const error = await failure(callsFar.with({ supervisor: world.there })());
    expect(error).toMatchObject({ code: 'NOT_IN_PROGRAM', message: expect.stringContaining('task "add"') });
  });

  it('leaves no listener behind', async () => {
    await using world = World.serving({ add });
    const unfollow = vi.fn();
    const follow = world.courier.subscribeToTask.bind(world.courier);
    vi.spyOn(world.courier, 'subscribeToTask').mockImplementation(async (...given) => {
      const stop = await follow(...given);
      return () => {
        unfollow();
        stop();
      };
    });
    await world.far(add)(1, 1);
    expect(unfollow).toHaveBeenCalledOnce();
  });
});

describe('options', () => {
  it('of retries are the courier’s: so many, and one', async () => {
    let runs = 0;
    const fails = backgroundTask(
      () => {
        runs += 1;
        if (runs < 3) throw new Error(`run ${runs}`);
        return runs;
      },
      { name: 'fails', type: 'loop', retries: 2, retryDelayMs: 1 },
    );
    await using world = World.serving({ fails });
    const handle = world.far(fails)();
    expect(await handle).toBe(3);
    expect(handle.info.attempt).toBe(1);
    runs = 0;
    expect(await failure(world.far(fails).with({ retries: 1 })())).toMatchObject({ message: 'run 2' });
  });

  it('of delays are the courier’s', async () => {
    await using world = new World();
    void world.far(add).with({ delayMs: 3_600_000 })(1, 1);
    await vi.waitUntil(async () => (await world.courier.getQueueInfo(queueName)).delayed === 1);
  });

  it('of callbacks are called here', async () => {
    await using world = World.serving({ add });
    const callback = vi.fn();
    await world.far(add).with({ callback })(1, 1);
    expect(callback).toHaveBeenCalledExactlyOnceWith(2);
  });

  it('of run time hold at the worker, where with() makes it shorter', async () => {
    await using world = World.serving({ yields });
    expect(await failure(world.far(yields).with({ timeoutMs: 50 })())).toMatchObject({
      code: 'TASK_TIMEOUT',
      timeoutMs: 50,
    });
  });

  it('of waiting time hold until a worker begins', async () => {
    await using world = new World();
    const handle = world.far(add).with({ queueTimeoutMs: 20 })(1, 1);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_EXPIRED', timeoutMs: 20 });
    expect((await world.courier.getQueueInfo(queueName)).waiting.normal).toBe(0);
  });

  it('of waiting time are over when a worker has begun', async () => {
    await using gate = await Gate.create();
    await using world = World.serving({ holds });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    try {
      const handle = world.far(holds).with({ queueTimeoutMs: 1_000 })(gate.port, 'x');
      await gate.arrived(1);
      await vi.advanceTimersByTimeAsync(2_000);
      gate.open();
      expect(await handle).toBe('x');
    } finally {
      vi.useRealTimers();
    }
  });

  it('of deadlines: what no worker has begun expires, here and at the courier', async () => {
    await using world = new World();
    const handle = world.far(add).with({ deadlineMs: 30 })(1, 1);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_EXPIRED', timeoutMs: 30 });
    await vi.waitFor(async () => {
      const letters = await world.courier.getDeadLetters(queueName);
      expect(letters).toMatchObject([{ id: handle.id, error: { code: 'TASK_EXPIRED' } }]);
    });
  });

  it('of deadlines: what runs is ended, here and where it runs, and not tried again', async () => {
    await using gate = await Gate.create();
    await using world = World.serving({ holds });
    const ended = heard(world.there, 'task:canceled');
    const handle = world.far(holds).with({ deadlineMs: 2_000, retries: 5, retryDelayMs: 0 })(gate.port, 'x');
    await gate.arrived(1);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 2_000 });
    expect(await ended).toMatchObject({ task: { name: 'holds', endReason: 'canceled' } });
    const [letter] = await world.courier.getDeadLetters(queueName);
    expect(letter).toMatchObject({ id: handle.id, attempts: 1, error: { code: 'TASK_TIMEOUT' } });
  });

  it('of deadlines: a call whose next attempt could not begin in time ends at once', async () => {
    await using world = World.serving({ throws });
    const patient = world.far(throws).with({ deadlineMs: 600_000, retries: 5, retryDelayMs: 3_600_000 });
    expect(await failure(patient('error'))).toMatchObject({
      code: 'TASK_TIMEOUT',
      timeoutMs: 600_000,
      cause: { message: 'plain' },
    });
  });

  it('of deadlines hold for all attempts of a task that was added without one', async () => {
    const fails = backgroundTask(
      () => {
        throw new Error('no');
      },
      { name: 'fails', type: 'loop', retries: 1_000_000, retryDelayMs: 5, deadlineMs: 100 },
    );
    await using world = World.serving({ fails });
    const id = await world.courier.addTaskToQueue(queueName, { function: 'fails' });
    const error = await failure(world.courier.waitForTaskResult(queueName, id));
    expect(error).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 100, taskId: id });
    const late = backgroundTask(() => {}, { name: 'late', type: 'loop', deadlineMs: 1 });
    await using idle = new World();
    const unseen = await idle.courier.addTaskToQueue(queueName, { function: 'late' });
    const added = Date.now();
    await vi.waitUntil(() => Date.now() > added + 1);
    idle.serve({ late });
    const expired = await failure(idle.courier.waitForTaskResult(queueName, unseen));
    expect(expired).toMatchObject({ code: 'TASK_EXPIRED', taskId: unseen });
  });

  it('that can not go by a courier are refused', () => {
    const courier = new MemoryTaskCourier();
    const picky = add.with({ retryIf: () => true });
    expect(() => viaCourier(courier, queueName, picky)).toThrow(/"retryIf" of task "add" is a function/);
    const more = { retryIf: () => true } as never;
    expect(() => viaCourier(courier, queueName, add).with(more)).toThrow(TypeError);
    const slow = add.with({ retryDelayMs: () => 5 });
    expect(() => viaCourier(courier, queueName, slow)).toThrow(/"retryDelayMs" of task "add" is a function/);
    for (const task of [picky.with({ retryIf: undefined }), slow.with({ retryDelayMs: undefined })]) {
      expect(viaCourier(courier, queueName, task).name).toBe('add'); // as the messages say
    }
    expect(() => viaCourier({} as never, queueName, add)).toThrow(/must be a courier/);
    expect(() => viaCourier(courier, '', add)).toThrow(/must be a string that is not empty/);
    expect(() => viaCourier(courier, queueName, (() => {}) as never)).toThrow(/must be a background task/);
    expect(() => new Task(viaCourier(courier, queueName, echo) as never, 1)).toThrow(/can't get its TaskContext/);
  });
});

describe('a handle', () => {
  it('talks with the task, wherever it runs', async () => {
    await using world = World.serving({ answers });
    const handle = world.far(answers)();
    for (const data of ['a', 'b', null]) void handle.send(data);
    const heardBack: unknown[] = [];
    for await (const data of handle.messages()) heardBack.push(data);
    expect(heardBack).toEqual(['a', 'b']);
    expect(await handle).toBe('over');
  });

  it('warns of a message that can not be copied, and sends the others', async () => {
    await using world = World.serving({ collects });
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const handle = world.far(collects)();
    for (const data of ['a', () => {}, 'b']) void handle.send(data);
    await handle.stop();
    expect(await handle).toEqual(['a', 'b']);
    expect(warned.mock.calls).toEqual([[expect.objectContaining({ code: 'MESSAGE_NOT_CLONEABLE' })]]);
    warned.mockRestore();
  });

  it('hears of its progress, and of all messages before the result', async () => {
    await using world = World.serving({ countsWhatItTells });
    const handle = world.far(countsWhatItTells)(200);
    const messages: unknown[] = [];
    const reading = (async () => {
      for await (const data of handle.messages()) messages.push(data);
    })();
    expect(await handle).toBe(200);
    await reading;
    expect(messages).toEqual(Array.from({ length: 200 }, (_, n) => n));
    expect(handle.info.progress).toEqual({ fraction: 199 / 200 });
  });

  it('tells the task to finish, after what was sent before; what that gives is the result', async () => {
    await using world = World.serving({ collects, waitsUntilStopped });
    const collecting = world.far(collects)();
    for (const data of ['a', 'b', 'c']) void collecting.send(data);
    await collecting.stop();
    expect(await collecting).toEqual(['a', 'b', 'c']);
    const waiting = world.far(waitsUntilStopped)();
    await begun(waiting);
    await waiting.stop();
    expect(waiting.result).toBe('TASK_STOPPED');
  });

  it('cancels the task while it runs', async () => {
    await using world = World.serving({ yields });
    const handle = world.far(yields)();
    await begun(handle);
    const canceled = heard(world.there, 'task:canceled');
    handle.cancel('not needed');
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'not needed' });
    expect((await canceled).task).toMatchObject({ name: 'yields', endReason: 'canceled' });
    expect(await world.courier.checkForDone(queueName, handle.id)).toBe(true);
  });

  it('cancels the task after it has told it to finish', async () => {
    await using gate = await Gate.create();
    await using world = World.serving({ holds });
    const handle = world.far(holds)(gate.port, 'x');
    await gate.arrived(1);
    const canceled = heard(world.there, 'task:canceled');
    void handle.stop();
    await new Promise(setImmediate);
    handle.cancel();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    gate.open();
    expect((await canceled).task).toMatchObject({ name: 'holds' });
  });

  it('cancels a task that waits: it never runs', async () => {
    await using world = new World();
    const signal = new AbortController();
    const handle = world.far(add).with({ signal: signal.signal })(1, 1);
    await vi.waitUntil(async () => (await world.courier.getQueueInfo(queueName)).waiting.normal === 1);
    signal.abort('gone');
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: 'gone' });
    expect((await world.courier.getQueueInfo(queueName)).waiting.normal).toBe(0);
  });

  it('cancels with a reason that can not be copied, too', async () => {
    await using world = new World();
    const handle = world.far(add)(1, 1);
    await vi.waitUntil(async () => (await world.courier.getQueueInfo(queueName)).waiting.normal === 1);
    const reason = () => {};
    vi.spyOn(world.courier, 'cancelTask').mockRejectedValueOnce(new DOMException('no copy', 'DataCloneError'));
    handle.cancel(reason);
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED', cause: reason });
    expect((await world.courier.getQueueInfo(queueName)).waiting.normal).toBe(0);
  });

  it('that is canceled at once adds nothing', async () => {
    await using world = new World();
    const handle = world.far(add)(1, 1);
    handle.cancel();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    await new Promise(setImmediate);
    expect((await world.courier.getQueueInfo(queueName)).waiting.normal).toBe(0);
  });
});

describe('calls that are unique', () => {
  const keyed = add.with({ key: (a) => `add ${a}` });

  /** Another program, with its own supervisor, on the same courier. */
  function elsewhere(): TaskSupervisor {
    const supervisor = new TaskSupervisor({ logger: false, name: 'elsewhere' });
    onTestFinished(async () => {
      await supervisor.stop({ wait: false });
    });
    return supervisor;
  }

  /** Waits until its relay has added it, or joined another. */
  function isAdded(world: World, count: number): Promise<void> {
    return vi.waitFor(async () => {
      expect((await world.courier.getQueueInfo(queueName)).waiting.normal).toBe(count);
    });
  }

  it('join one task of all programs, and have its result', async () => {
    await using world = new World();
    const join = keyed.with({ unique: 'join', uniqueForMs: 60_000 });
    const first = world.far(join)(1, 2);
    await isAdded(world, 1);
    const second = world.far(join).with({ supervisor: elsewhere() })(1, 5);
    const other = world.far(join)(2, 2);
    await isAdded(world, 2);
    world.serve({ add });
    expect(await Promise.all([first, second, other])).toEqual([3, 3, 4]);
    expect(await world.far(join).with({ supervisor: elsewhere() })(1, 9)).toBe(3); // it is kept
    expect(world.there.getTasks()).toHaveLength(2);
  });

  it('that have joined leave the task alone when they are canceled', async () => {
    await using world = new World();
    const join = world.far(keyed.with({ unique: 'join' }));
    const first = join(1, 2);
    await isAdded(world, 1);
    const second = join.with({ supervisor: elsewhere() })(1, 2);
    const third = join.with({ supervisor: elsewhere(), deadlineMs: 50 })(1, 2);
    expect(await failure(third)).toMatchObject({ timeoutMs: 50 });
    second.cancel('not wanted');
    expect(await failure(second)).toMatchObject({ code: 'TASK_CANCELED', cause: 'not wanted' });
    world.serve({ add });
    expect(await first).toBe(3);
  });

  it('are refused while there is another', async () => {
    await using world = new World();
    const refuse = world.far(keyed.with({ unique: 'refuse' }));
    const first = refuse(1, 2);
    await isAdded(world, 1);
    const second = refuse.with({ supervisor: elsewhere() })(1, 2);
    expect(await failure(second)).toMatchObject({ code: 'TASK_EXISTS', taskId: first.id });
    world.serve({ add });
    expect(await first).toBe(3);
  });

  it('replace one that waits, of this program or another', async () => {
    await using world = new World();
    const replace = world.far(keyed.with({ unique: 'replace' }));
    const first = replace(1, 1);
    await isAdded(world, 1);
    const second = replace.with({ supervisor: elsewhere() })(1, 2);
    expect(await failure(first)).toMatchObject({ code: 'TASK_REPLACED' });
    const third = replace.with({ supervisor: elsewhere() })(1, 3);
    expect(await failure(second)).toMatchObject({ code: 'TASK_REPLACED' });
    world.serve({ add });
    expect(await third).toBe(4);
  });

  it('can not be unique only while they wait', () => {
    const courier = new MemoryTaskCourier();
    const waiting = keyed.with({ unique: 'join', uniqueWhile: 'waiting' });
    expect(() => viaCourier(courier, queueName, waiting)).toThrow(/"uniqueWhile" of task "add" must not be 'waiting'/);
  });
});
