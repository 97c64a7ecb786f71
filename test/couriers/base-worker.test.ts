/** BaseWorker on a real courier: iterations, results and failures, leases, cancels, and every way that it ends. */
import { setTimeout as pause } from 'node:timers/promises';
import {
  BaseWorker,
  type BaseWorkerOptions,
  type CourierTask,
  type CourierTaskContext,
  MemoryTaskCourier,
  type PerformOptions,
  type TaskUpdate,
  TaskwardenError,
} from 'taskwarden';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { runProgram } from '../fixtures/program.ts';

afterEach(() => void vi.useRealTimers());

type Perform = (data: unknown, context: CourierTaskContext, task: CourierTask) => unknown;

/** Performs one task at a time, as the test says, and writes down what happens. */
class Single extends BaseWorker {
  readonly log: string[] = [];
  readonly troubles: unknown[] = [];
  readonly #perform: Perform;

  constructor(options: BaseWorkerOptions, perform: Perform) {
    super({ onError: (error) => void this.troubles.push(error), ...options });
    this.#perform = perform;
  }

  override init(): unknown {
    return this.log.push('init');
  }

  override destroy(): unknown {
    return this.log.push('destroy');
  }

  override async performSingleTask(task: CourierTask, context: CourierTaskContext): Promise<unknown> {
    this.log.push(`perform ${String(task.data)}`);
    return this.#perform(task.data, context, task);
  }
}

/** Performs what was fetched together. */
class Bulk extends BaseWorker<number> {
  readonly bulks: number[][] = [];
  readonly #perform: (tasks: readonly CourierTask<number>[]) => unknown;

  constructor(options: BaseWorkerOptions<number>, perform: (tasks: readonly CourierTask<number>[]) => unknown) {
    super(options);
    this.#perform = perform;
  }

  override async performTasks(tasks: readonly CourierTask<number>[]): Promise<unknown[]> {
    this.bulks.push(tasks.map(({ data }) => data));
    return this.#perform(tasks) as unknown[];
  }
}

const double: Perform = (data) => (data as number) * 2;
const queueName = 'numbers';

/** What has become of each task: its result, or the message of its error. */
function outcomes(courier: MemoryTaskCourier, ids: readonly string[]): Promise<unknown[]> {
  return Promise.all(
    ids.map((id) =>
      courier
        .waitForTaskResult(queueName, id)
        .catch((error: unknown) => (error instanceof Error ? error.message : error)),
    ),
  );
}

/** Resolves when it is told to. */
function gate<T = void>(): { readonly opened: Promise<T>; readonly open: (value: T) => void } {
  let open!: (value: T) => void;
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('a worker', () => {
  it('performs so many iterations, between init and destroy', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2, 3]);
    const worker = new Single({ queueName, courier }, double);
    await worker.perform({ totalIterations: 2 });
    expect(worker.log).toEqual(['init', 'perform 1', 'perform 2', 'destroy']);
    expect(await outcomes(courier, ids.slice(0, 2))).toEqual([2, 4]);
    expect(await courier.checkForDone(queueName, ids[2] as string)).toBe(false);
    expect((await courier.getQueueInfo(queueName)).leased).toBe(0);
  });

  it('can perform again when it has ended', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2]);
    const worker = new Single({ queueName, courier }, double);
    await worker.perform({ totalIterations: 1 });
    await worker.perform({ totalIterations: 1 });
    expect(await outcomes(courier, ids)).toEqual([2, 4]);
  });

  it('waits for tasks that come later', async () => {
    const courier = new MemoryTaskCourier();
    const worker = new Single({ queueName, courier }, double);
    const performed = worker.perform({ totalIterations: 1 });
    const id = await courier.addTaskToQueue(queueName, 21);
    expect(await courier.waitForTaskResult(queueName, id)).toBe(42);
    await performed;
  });

  it('has its options from its fields, where a subclass fixes them', async () => {
    class Fixed extends BaseWorker<number, number> {
      override queueName = queueName;
      override maxTasksPerIteration = 3;
      readonly bulks: number[] = [];
      override performTasks(tasks: readonly CourierTask<number>[]): number[] {
        this.bulks.push(tasks.length);
        return tasks.map(({ data }) => -data);
      }
    }
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2, 3, 4]);
    const worker = new Fixed({ courier });
    await worker.perform({ totalIterations: 2 });
    expect(worker.bulks).toEqual([3, 1]);
    expect(await outcomes(courier, ids)).toEqual([-1, -2, -3, -4]);
  });

  it('asks an override of waitForTasks again when it gave none, and counts no iteration', async () => {
    class Picky extends Single {
      asked = 0;
      override async waitForTasks(): Promise<readonly CourierTask[]> {
        this.asked += 1;
        return this.asked < 3 ? [] : this.courier.bulkGetTasks(this.queueName, 1);
      }
    }
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [5]);
    const worker = new Picky({ queueName, courier }, double);
    await worker.perform({ totalIterations: 1 });
    expect(worker.asked).toBe(3);
    expect(await outcomes(courier, ids)).toEqual([10]);
  });

  it('runs iterations side by side, with room for more than one', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2, 3, 4, 5]);
    let now = 0;
    let most = 0;
    const all = gate();
    const worker = new Single({ queueName, courier, maxSimultaneousTasks: 3 }, async (data) => {
      now += 1;
      most = Math.max(most, now);
      if (now === 3) all.open();
      await all.opened;
      now -= 1;
      return data;
    });
    await worker.perform({ totalIterations: 5 });
    expect(most).toBe(3);
    expect(await outcomes(courier, ids)).toEqual([1, 2, 3, 4, 5]);
  });

  it('performs no more than maxSimultaneousTasks of a bulk at once', async () => {
    const courier = new MemoryTaskCourier();
    await courier.bulkAddTasksToQueue(queueName, [1, 2, 3, 4, 5]);
    let now = 0;
    const seen: number[] = [];
    const worker = new Single({ queueName, courier, maxTasksPerIteration: 5, maxSimultaneousTasks: 2 }, async () => {
      now += 1;
      seen.push(now);
      await new Promise(setImmediate);
      now -= 1;
    });
    await worker.perform({ totalIterations: 1 });
    expect(Math.max(...seen)).toBe(2);
    expect(seen).toHaveLength(5);
  });

  it.each<[string, BaseWorkerOptions, PerformOptions, RegExp]>([
    ['no courier', { queueName }, {}, /"courier" of Single must be a courier; got undefined/],
    ['no queue', { courier: new MemoryTaskCourier() }, {}, /"queueName" of Single must be a string that is not empty/],
    ['a bad number', { queueName, courier: new MemoryTaskCourier() }, { totalIterations: -1 }, /totalIterations/],
  ])('refuses to perform with %s', (_what, options, perform, message) => {
    expect(() => new Single(options, double).perform(perform)).toThrow(message);
  });

  it('refuses options that it does not know, and bad ones', () => {
    expect(() => new Single({ queue: 'x' } as never, double)).toThrow(/Single has no option "queue"/);
    expect(() => new Single({ maxTasksPerIteration: 0 }, double)).toThrow(RangeError);
  });

  it('refuses to perform if nothing says how', () => {
    class Idle extends BaseWorker {}
    const courier = new MemoryTaskCourier();
    expect(() => new Idle({ queueName, courier }).perform()).toThrow(
      /Idle has to override performSingleTask\(\) or performTasks\(\)/,
    );
  });

  it('refuses to perform twice at once', async () => {
    const courier = new MemoryTaskCourier();
    const worker = new Single({ queueName, courier }, double);
    const performed = worker.perform();
    expect(await failure(worker.perform())).toMatchObject({ code: 'ALREADY_PERFORMING' });
    worker.stop();
    await performed;
    expect(worker.log).toEqual(['init', 'destroy']);
  });
});

describe('results', () => {
  it('are returned in bulk, once for each iteration', async () => {
    const courier = new MemoryTaskCourier();
    const bulk = vi.spyOn(courier, 'bulkReturnTaskResults');
    const single = vi.spyOn(courier, 'returnTaskResult');
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2, 3, 4]);
    const worker = new Single({ queueName, courier, maxTasksPerIteration: 2, maxSimultaneousTasks: 2 }, double);
    await worker.perform({ totalIterations: 2 });
    expect(bulk.mock.calls.map(([, results]) => results.map(([, result]) => result))).toEqual([
      [2, 4],
      [6, 8],
    ]);
    expect(single).not.toHaveBeenCalled();
    expect(await outcomes(courier, ids)).toEqual([2, 4, 6, 8]);
  });

  it('of one that throws are its error, whatever that is, and the others have theirs', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2, 3, 4]);
    const worker = new Single({ queueName, courier, maxTasksPerIteration: 4 }, (data) => {
      if (data === 2) throw new RangeError('no 2');
      if (data === 3) throw 'just text';
      return data;
    });
    await worker.perform({ totalIterations: 1 });
    expect(await outcomes(courier, ids)).toEqual([1, 'no 2', 'just text', 4]);
    expect(await failure(courier.getTaskResult(queueName, ids[1] as string))).toBeInstanceOf(RangeError);
    expect(worker.troubles).toEqual([]);
  });

  it('of an error are retried by the courier', async () => {
    const courier = new MemoryTaskCourier();
    const id = await courier.addTaskToQueue(queueName, 1, { retries: 2, retryDelayMs: 1 });
    const attempts: number[] = [];
    const worker = new Single({ queueName, courier }, (data, _context, { attempt }) => {
      attempts.push(attempt);
      if (attempt < 3) throw new Error('not yet');
      return data;
    });
    await worker.perform({ totalIterations: 3 });
    expect(attempts).toEqual([1, 2, 3]);
    expect(await courier.getTaskResult(queueName, id)).toBe(1);
  });

  it('may be undefined', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1]);
    await new Single({ queueName, courier }, () => undefined).perform({ totalIterations: 1 });
    expect(await outcomes(courier, ids)).toEqual([undefined]);
  });

  it('that need no returning are undefined, but failures are returned', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2]);
    const worker = new Single({ queueName, courier, maxTasksPerIteration: 2, needsResultReturning: false }, (data) => {
      if (data === 2) throw new Error('bad');
      return 'nobody needs it';
    });
    await worker.perform({ totalIterations: 1 });
    expect(await outcomes(courier, ids)).toEqual([undefined, 'bad']);
  });

  it('that can not be copied are failures of their tasks alone', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2, 3]);
    const worker = new Single({ queueName, courier, maxTasksPerIteration: 3 }, (data) =>
      data === 2 ? () => {} : data,
    );
    await worker.perform({ totalIterations: 1 });
    expect(await outcomes(courier, ids)).toEqual([1, expect.any(String), 3]);
    expect(await failure(courier.getTaskResult(queueName, ids[1] as string))).toMatchObject({
      code: 'RESULT_NOT_CLONEABLE',
    });
  });
});

describe('the tasks of the next iteration', () => {
  it('come as results are returned, as long as some wait', async () => {
    const courier = new MemoryTaskCourier();
    const waited = vi.spyOn(courier, 'bulkWaitForTasks');
    const returned = vi.spyOn(courier, 'bulkReturnTaskResults');
    await courier.bulkAddTasksToQueue(queueName, [1, 2, 3, 4, 5]);
    const worker = new Bulk({ queueName, courier, maxTasksPerIteration: 2 }, (tasks) => tasks.map(({ data }) => data));
    const performed = worker.perform();
    await vi.waitUntil(() => waited.mock.calls.length === 2);
    expect(worker.bulks).toEqual([[1, 2], [3, 4], [5]]);
    expect(returned.mock.calls.map(([, results, options]) => [results.length, options])).toEqual([
      [2, { next: 2 }],
      [2, { next: 2 }],
      [1, { next: 2 }],
    ]);
    worker.stop();
    await performed;
  });

  it('are no more than are left to perform', async () => {
    const courier = new MemoryTaskCourier();
    await courier.bulkAddTasksToQueue(queueName, [1, 2, 3, 4, 5, 6]);
    const worker = new Bulk({ queueName, courier, maxSimultaneousTasks: 2 }, (tasks) => tasks);
    await worker.perform({ totalIterations: 5 });
    expect(worker.bulks).toHaveLength(5);
    expect(await courier.getQueueInfo(queueName)).toMatchObject({ waiting: { normal: 1 }, leased: 0 });
  });

  it('are fetched by waitForTasks() and returned by returnTaskResults() where these are overridden', async () => {
    const courier = new MemoryTaskCourier();
    const returned = vi.spyOn(courier, 'bulkReturnTaskResults');
    await courier.bulkAddTasksToQueue(queueName, [1, 2]);
    const fetching = new Single({ queueName, courier }, () => {});
    const fetch = vi.spyOn(fetching, 'waitForTasks');
    await fetching.perform({ totalIterations: 2 });
    expect(fetch).toHaveBeenCalledTimes(2);
    await courier.bulkAddTasksToQueue(queueName, [1, 2]);
    const returning = new Single({ queueName, courier }, () => {});
    const give = vi.spyOn(returning, 'returnTaskResults');
    await returning.perform({ totalIterations: 2 });
    expect(give).toHaveBeenCalledTimes(2);
    for (const [, , options] of returned.mock.calls) expect(options).toBeUndefined();
  });

  it('are given back if the worker is stopped meanwhile', async () => {
    const courier = new MemoryTaskCourier();
    const [first = ''] = await courier.bulkAddTasksToQueue(queueName, [1, 2]);
    const worker = new Single({ queueName, courier }, (data) => data);
    const give = courier.bulkReturnTaskResults.bind(courier);
    vi.spyOn(courier, 'bulkReturnTaskResults').mockImplementation(async (...args) => {
      const next = await give(...args);
      expect(next).toMatchObject([{ data: 2 }]);
      worker.stop();
      return next;
    });
    await worker.perform();
    expect(worker.log).toEqual(['init', 'perform 1', 'destroy']);
    expect(await courier.getTaskResult(queueName, first)).toBe(1);
    expect(await courier.getQueueInfo(queueName)).toMatchObject({ waiting: { normal: 1 }, leased: 0 });
    expect(await courier.getTask(queueName)).toMatchObject({ data: 2, attempt: 1 });
  });

  it('are waited for where the courier knows nothing of the option', async () => {
    const courier = new MemoryTaskCourier();
    const give = courier.bulkReturnTaskResults.bind(courier);
    const old = async (queue: string, results: Parameters<typeof give>[1]) => void (await give(queue, results));
    vi.spyOn(courier, 'bulkReturnTaskResults').mockImplementation(old as unknown as typeof give);
    await courier.bulkAddTasksToQueue(queueName, [1, 2]);
    const worker = new Single({ queueName, courier }, () => {});
    await worker.perform({ totalIterations: 2 });
    expect(worker.log).toEqual(['init', 'perform 1', 'perform 2', 'destroy']);
  });
});

describe('performTasks()', () => {
  it.each<[string, (tasks: readonly CourierTask<number>[]) => unknown, unknown[]]>([
    ['results in order', (tasks) => tasks.map(({ data }) => data * 10), [10, 20, 30]],
    ['pairs in any order', (tasks) => tasks.map((task) => [task, task.data * 10]).reverse(), [10, 20, 30]],
    [
      'results that are pairs of something else',
      (tasks) => tasks.map(({ data }) => [data, data]),
      [
        [1, 1],
        [2, 2],
        [3, 3],
      ],
    ],
    [
      'an error in place of a result',
      (tasks) => tasks.map(({ data }) => (data === 2 ? new Error('bad') : data)),
      [1, 'bad', 3],
    ],
    [
      'pairs with an error',
      (tasks) => tasks.map((task) => [task, new Error(`bad ${task.data}`)]),
      ['bad 1', 'bad 2', 'bad 3'],
    ],
    ['too few results', () => [1, 2], [1, 2, expect.stringContaining('gave none for it')]],
    ['too few pairs', ([first]) => [[first, 1]], [1, expect.stringContaining('gave none for it'), expect.any(String)]],
    ['too many results', () => [1, 2, 3, 4], Array(3).fill(expect.stringContaining('4 results for 3 tasks'))],
    [
      'pairs and something else',
      ([first]) => [[first, 1], 2, 3],
      Array(3).fill(expect.stringContaining('among them something else')),
    ],
    ['nothing', () => undefined, Array(3).fill(expect.stringContaining('performTasks() gave undefined'))],
    [
      'an exception',
      () => {
        throw new Error('all bad');
      },
      ['all bad', 'all bad', 'all bad'],
    ],
  ])('may give %s', async (_what, perform, expected) => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2, 3]);
    await new Bulk({ queueName, courier, maxTasksPerIteration: 10 }, perform).perform({ totalIterations: 1 });
    expect(await outcomes(courier, ids)).toEqual(expected);
  });

  it('says which task has no result', async () => {
    const courier = new MemoryTaskCourier();
    const id = await courier.addTaskToQueue(queueName, 1);
    await new Bulk({ queueName, courier }, () => []).perform({ totalIterations: 1 });
    expect(await failure(courier.getTaskResult(queueName, id))).toMatchObject({ code: 'RESULT_MISSING', taskId: id });
  });

  it('may give promises: each of them fails alone', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, -2, 3]);
    const worker = new Bulk({ queueName, courier, maxTasksPerIteration: 3 }, (tasks) =>
      tasks.map(async ({ data }) => {
        if (data < 0) throw new RangeError('negative');
        return data * 2;
      }),
    );
    await worker.perform({ totalIterations: 1 });
    expect(await outcomes(courier, ids)).toEqual([2, 'negative', 6]);
  });

  it('may give nothing where no result needs returning', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2]);
    const options = { queueName, courier, maxTasksPerIteration: 2, needsResultReturning: false };
    await new Bulk(options, () => undefined).perform({ totalIterations: 1 });
    expect(await outcomes(courier, ids)).toEqual([undefined, undefined]);
  });

  it('has the signal of each of its tasks', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2]);
    const aborted: boolean[] = [];
    const worker = new Bulk({ queueName, courier, maxTasksPerIteration: 2 }, async (tasks) => {
      await courier.cancelTask(queueName, ids[0] as string);
      for (const task of tasks) aborted.push(worker.contextOf(task).signal.aborted);
      return tasks.map(({ data }) => data);
    });
    await worker.perform({ totalIterations: 1 });
    expect(aborted).toEqual([true, false]);
    expect(await outcomes(courier, ids)).toEqual([expect.stringContaining('canceled'), 2]);
  });
});

describe('clients', () => {
  it('hear that their task begins, how far it is, and what it says, before its result', async () => {
    const courier = new MemoryTaskCourier();
    const heard: TaskUpdate[] = [];
    await courier.subscribeToTask(queueName, 'a', (news) => heard.push(news));
    await courier.addTaskToQueue(queueName, 1, { id: 'a' });
    const worker = new Single({ queueName, courier }, async (data, context) => {
      await context.send({ kind: 'progress', progress: { fraction: 0.5, note: 'half' } });
      await context.send({ kind: 'message', data: 'hello' });
      return data;
    });
    await worker.perform({ totalIterations: 1 });
    expect(heard).toEqual([
      { kind: 'started', attempt: 1 },
      { kind: 'progress', progress: { fraction: 0.5, note: 'half' } },
      { kind: 'message', data: 'hello' },
    ]);
  });

  it('are heard from the first word, in order', async () => {
    const courier = new MemoryTaskCourier();
    const id = await courier.addTaskToQueue(queueName, 1);
    await courier.sendToTask(queueName, id, { kind: 'message', data: 'early' });
    const stopped = gate();
    const commands: unknown[] = [];
    const begun = gate();
    const worker = new Single({ queueName, courier }, async (_data, context) => {
      await new Promise(setImmediate); // the first comes before anybody heeds it
      context.onCommand((command) => {
        commands.push(command);
        if (command.kind === 'stop') stopped.open();
      });
      begun.open();
      await stopped.opened;
      return context.signal.aborted;
    });
    const performed = worker.perform({ totalIterations: 1 });
    await begun.opened;
    await courier.sendToTask(queueName, id, { kind: 'message', data: 'late' });
    await courier.sendToTask(queueName, id, { kind: 'stop' });
    expect(await courier.waitForTaskResult(queueName, id)).toBe(false);
    await performed;
    expect(commands).toEqual([{ kind: 'message', data: 'early' }, { kind: 'message', data: 'late' }, { kind: 'stop' }]);
  });

  it('that cancel a task abort its signal, and its late result is dropped', async () => {
    const courier = new MemoryTaskCourier();
    const returned = vi.spyOn(courier, 'bulkReturnTaskResults');
    const id = await courier.addTaskToQueue(queueName, 1);
    const begun = gate();
    const reasons: unknown[] = [];
    const worker = new Single({ queueName, courier }, async (_data, { signal }) => {
      begun.open();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      reasons.push(signal.reason);
      return 'too late';
    });
    const performed = worker.perform({ totalIterations: 1 });
    await begun.opened;
    await courier.cancelTask(queueName, id, 'changed my mind');
    await performed;
    expect(reasons).toEqual([expect.objectContaining({ code: 'TASK_CANCELED', cause: 'changed my mind', taskId: id })]);
    expect(await failure(courier.getTaskResult(queueName, id))).toMatchObject({ code: 'TASK_CANCELED' });
    expect(returned).not.toHaveBeenCalled();
    expect(worker.troubles).toEqual([]);
  });

  it('are not listened to any more while the result of a task is on its way', async () => {
    const courier = new MemoryTaskCourier();
    const log: string[] = [];
    vi.spyOn(courier, 'subscribeToClient').mockResolvedValue(() => void log.push('listened to no more'));
    const give = courier.bulkReturnTaskResults.bind(courier);
    vi.spyOn(courier, 'bulkReturnTaskResults').mockImplementation((...args) => {
      log.push('result returned');
      return give(...args);
    });
    await courier.addTaskToQueue('work', 1);
    const worker = new Single({ queueName: 'work', courier }, () => new Promise((resolve) => setImmediate(resolve)));
    await worker.perform({ totalIterations: 1 });
    expect(log).toEqual(['listened to no more', 'result returned']);
  });

  it('that cancel a task of a bulk before its turn keep it from being performed', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2]);
    const worker = new Single({ queueName, courier, maxTasksPerIteration: 2 }, async (data) => {
      await courier.cancelTask(queueName, ids[1] as string);
      return data;
    });
    await worker.perform({ totalIterations: 1 });
    expect(worker.log).toEqual(['init', 'perform 1', 'destroy']);
  });
});

describe('leases', () => {
  it('are extended while a task is in flight, in good time', async () => {
    vi.useFakeTimers();
    const courier = new MemoryTaskCourier({ leaseMs: 900 });
    const extend = vi.spyOn(courier, 'bulkExtendLeases');
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2]);
    const done = gate();
    const worker = new Single(
      { queueName, courier, maxTasksPerIteration: 2, maxSimultaneousTasks: 2 },
      async (data) => {
        await done.opened;
        return data;
      },
    );
    const performed = worker.perform({ totalIterations: 1 });
    await vi.advanceTimersByTimeAsync(299);
    expect(extend).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(extend.mock.calls.map(([, tasks]) => tasks.map(({ id }) => id))).toEqual([ids]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(extend).toHaveBeenCalledTimes(34);
    done.open();
    await performed;
    expect(await outcomes(courier, ids)).toEqual([1, 2]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(extend).toHaveBeenCalledTimes(34);
    expect(worker.troubles).toEqual([]);
    await courier.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('are extended while results are returned, however long that takes', async () => {
    vi.useFakeTimers();
    const courier = new MemoryTaskCourier({ leaseMs: 900 });
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2]);
    const saved = gate();
    const worker = new (class extends Single {
      override async returnTaskResults(results: readonly (readonly [CourierTask, unknown])[]): Promise<void> {
        await saved.opened;
        await super.returnTaskResults(results);
      }
    })({ queueName, courier, maxTasksPerIteration: 2 }, double);
    const performed = worker.perform({ totalIterations: 1 });
    await vi.advanceTimersByTimeAsync(10_000);
    saved.open();
    await performed;
    expect(await outcomes(courier, ids)).toEqual([2, 4]);
    expect(worker.troubles).toEqual([]);
    await courier.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that are lost abort the signal; the late result is dropped, and the worker goes on', async () => {
    vi.useFakeTimers();
    const courier = new MemoryTaskCourier({ leaseMs: 100 });
    vi.spyOn(courier, 'bulkExtendLeases').mockResolvedValue([]); // it says that all is well, and extends nothing
    const id = await courier.addTaskToQueue(queueName, 1);
    const attempts: number[] = [];
    const worker = new Single({ queueName, courier }, async (_data, { signal }, { attempt }) => {
      attempts.push(attempt);
      if (attempt === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return `attempt ${attempt}`;
    });
    const performed = worker.perform({ totalIterations: 2 });
    await vi.advanceTimersByTimeAsync(200);
    await performed;
    expect(attempts).toEqual([1, 2]);
    expect(await courier.getTaskResult(queueName, id)).toBe('attempt 2');
    expect(worker.troubles).toEqual([expect.objectContaining({ code: 'LEASE_LOST', taskId: id })]);
  });

  it('are known to be lost from what extending them says', async () => {
    vi.useFakeTimers();
    const courier = new MemoryTaskCourier({ leaseMs: 300 });
    vi.spyOn(courier, 'subscribeToClient').mockResolvedValue(() => {}); // nobody tells
    vi.spyOn(courier, 'bulkExtendLeases').mockImplementation(async (_queue, tasks) => [...tasks]);
    await courier.addTaskToQueue(queueName, 1);
    const worker = new Single({ queueName, courier }, async (_data, { signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    });
    const performed = worker.perform({ totalIterations: 1 });
    await vi.advanceTimersByTimeAsync(100);
    await performed;
    expect(worker.troubles).toEqual([expect.objectContaining({ code: 'LEASE_LOST' })]);
  });

  it('that are found lost when results are returned are no failure of the worker', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2, 3]);
    vi.spyOn(courier, 'subscribeToClient').mockResolvedValue(() => {}); // nobody tells
    const worker = new Single({ queueName, courier, maxTasksPerIteration: 3 }, async (data) => {
      await courier.cancelTask(queueName, ids[(data as number) - 1] as string);
      if (data === 1) throw new Error('too late');
      return data;
    });
    await worker.perform({ totalIterations: 1 });
    expect(worker.troubles).toEqual([
      expect.objectContaining({ code: 'LEASE_LOST' }),
      expect.objectContaining({ code: 'LEASE_LOST' }),
    ]);
  });

  it('that can not be extended now are tried again', async () => {
    vi.useFakeTimers();
    const courier = new MemoryTaskCourier({ leaseMs: 300 });
    const extend = vi.spyOn(courier, 'bulkExtendLeases').mockRejectedValueOnce(new Error('no answer'));
    const id = await courier.addTaskToQueue(queueName, 1);
    const done = gate();
    const worker = new Single({ queueName, courier }, () => done.opened);
    const performed = worker.perform({ totalIterations: 1 });
    await vi.advanceTimersByTimeAsync(350);
    done.open();
    await performed;
    expect(extend).toHaveBeenCalledTimes(3);
    expect(worker.troubles).toEqual([expect.objectContaining({ message: 'no answer' })]);
    expect(await courier.checkForDone(queueName, id)).toBe(true);
  });

  it('of tasks that are given back are free at once', async () => {
    const courier = new MemoryTaskCourier();
    const id = await courier.addTaskToQueue(queueName, 1);
    const attempts: number[] = [];
    const worker = new Single({ queueName, courier }, async (data, context, { attempt }) => {
      attempts.push(attempt);
      if (attempts.length > 1) return data;
      await context.release();
      expect(context.signal.aborted).toBe(true);
      return 'dropped';
    });
    await worker.perform({ totalIterations: 2 });
    expect(attempts).toEqual([1, 1]);
    expect(await courier.getTaskResult(queueName, id)).toBe(1);
  });
});

describe('perform() ends', () => {
  it('when its signal aborts: what is in flight is finished and returned, and nothing more is fetched', async () => {
    const courier = new MemoryTaskCourier();
    const ids = await courier.bulkAddTasksToQueue(queueName, [1, 2, 3]);
    const end = new AbortController();
    const worker = new Single({ queueName, courier, maxTasksPerIteration: 2 }, (data) => {
      end.abort();
      return data;
    });
    await worker.perform({ signal: end.signal });
    expect(await outcomes(courier, ids.slice(0, 2))).toEqual([1, 2]);
    expect((await courier.getQueueInfo(queueName)).waiting.normal).toBe(1);
    expect(worker.log).toEqual(['init', 'perform 1', 'perform 2', 'destroy']);
  });

  it('when its signal aborts while it waits, and leaves nothing behind', async () => {
    const courier = new MemoryTaskCourier();
    const end = new AbortController();
    const remove = vi.spyOn(end.signal, 'removeEventListener');
    const worker = new Single({ queueName, courier }, double);
    const performed = worker.perform({ signal: end.signal });
    end.abort(new Error('enough'));
    await performed;
    expect(remove).toHaveBeenCalledOnce();
    await courier.addTaskToQueue(queueName, 1);
    expect((await courier.getQueueInfo(queueName)).waiting.normal).toBe(1);
  });

  it('at once if its signal had aborted', async () => {
    const courier = new MemoryTaskCourier();
    await courier.addTaskToQueue(queueName, 1);
    const worker = new Single({ queueName, courier }, double);
    await worker.perform({ signal: AbortSignal.abort() });
    expect(worker.log).toEqual(['init', 'destroy']);
  });

  it('with the error of a courier that was closed, after destroy()', async () => {
    const courier = new MemoryTaskCourier();
    const worker = new Single({ queueName, courier, maxSimultaneousTasks: 3 }, double);
    const performed = worker.perform();
    await new Promise(setImmediate);
    await courier.close();
    expect(await failure(performed)).toMatchObject({ code: 'COURIER_CLOSED' });
    expect(worker.log).toEqual(['init', 'destroy']);
    expect(worker.troubles).toEqual([]);
  });

  it('with the error of a courier that closes while tasks are in flight', async () => {
    const courier = new MemoryTaskCourier();
    await courier.addTaskToQueue(queueName, 1);
    const worker = new Single({ queueName, courier }, async () => {
      await courier.close();
    });
    expect(await failure(worker.perform())).toMatchObject({ code: 'COURIER_CLOSED' });
    expect(worker.log.at(-1)).toBe('destroy');
  });

  it('with the error of init(), and destroys what there is', async () => {
    class Uninitial extends Single {
      override init(): unknown {
        throw new Error('no connection');
      }
    }
    const worker = new Uninitial({ queueName, courier: new MemoryTaskCourier() }, double);
    expect(await failure(worker.perform())).toMatchObject({ message: 'no connection' });
    expect(worker.log).toEqual(['destroy']);
  });

  it('with the first of its errors, and reports the others', async () => {
    class Fragile extends Single {
      override async init(): Promise<void> {
        throw new Error('first');
      }
      override async destroy(): Promise<void> {
        throw new Error('second');
      }
    }
    const worker = new Fragile({ queueName, courier: new MemoryTaskCourier() }, double);
    expect(await failure(worker.perform())).toMatchObject({ message: 'first' });
    expect(worker.troubles).toEqual([expect.objectContaining({ message: 'second' })]);
  });
});

it('keeps the process alive while it performs, and no longer', async () => {
  expect(await runProgram('courier-worker.mjs')).toMatchObject({ code: 0, lines: ['performed'], stderr: '' });
});

it('says on the console what nobody else hears, unless onError does', async () => {
  class Plain extends BaseWorker {
    override performSingleTask(): string {
      return 'done';
    }
  }
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  const courier = new MemoryTaskCourier();
  vi.spyOn(courier, 'sendToClient').mockRejectedValue(new Error('no line'));
  const id = await courier.addTaskToQueue(queueName, 1);
  await new Plain({ queueName, courier }).perform({ totalIterations: 1 });
  expect(warn.mock.calls).toEqual([[expect.stringMatching(`worker of queue "numbers", task ${id}: Error: no line`)]]);
});

describe('workers that die or stall', () => {
  it('lose nothing of 1,000 tasks, and settle none of them twice', { timeout: 60_000 }, async () => {
    const courier = new MemoryTaskCourier({ leaseMs: 60, maxStalls: Infinity });
    const count = 1_000;
    const settled = new Map<string, number>();
    let refused = 0;
    const note = (tasks: readonly (readonly [CourierTask, unknown])[]) => {
      for (const [{ id }] of tasks) settled.set(id, (settled.get(id) ?? 0) + 1);
    };
    // What the courier has taken is what it did not refuse.
    class Counting extends BaseWorker<number, number> {
      override maxTasksPerIteration = 7;
      override maxSimultaneousTasks = 7;
      override queueName = queueName;
      override onError(): void {}
      override async performSingleTask({ data }: CourierTask<number>): Promise<number> {
        if (data % 10 === 0) await pause(1);
        return -data;
      }
      override async returnTaskResults(
        results: readonly (readonly [CourierTask<number>, number | Error])[],
      ): Promise<void> {
        for (const result of results) {
          try {
            await this.courier.returnTaskResult(queueName, result[0], result[1]);
            note([result]);
          } catch (error) {
            refused += 1;
            if (!(error instanceof TaskwardenError) || error.code !== 'LEASE_LOST') throw error;
          }
        }
      }
    }
    /** Takes tasks and is never seen again. */
    class Dying extends Counting {
      override async performTasks(): Promise<never> {
        return new Promise(() => {});
      }
    }
    /** Returns what it has only when it has lost it. */
    class Stalling extends Counting {
      override async performTasks(tasks: readonly CourierTask<number>[]): Promise<number[]> {
        const lost = tasks.map((task) => new Promise((resolve) => courier.subscribeToClient(queueName, task, resolve)));
        await Promise.all(lost);
        return tasks.map(({ data }) => -data);
      }
    }
    // It never extends a lease, and hears of nothing.
    const lifeless = new Proxy(courier, {
      get: (target, key) => {
        if (key === 'leaseMs') return 2 ** 30;
        if (key === 'subscribeToClient') return async () => () => {};
        const value: unknown = Reflect.get(target, key);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const ids = await courier.bulkAddTasksToQueue(
      queueName,
      Array.from({ length: count }, (_, n) => n),
    );
    const end = new AbortController();
    for (let n = 0; n < 5; n += 1) void new Dying({ courier: lifeless }).perform({ totalIterations: 1 });
    const stalling = Array.from({ length: 3 }, () => new Stalling({ courier: lifeless }).perform(end));
    const living = Array.from({ length: 4 }, () => new Counting({ courier }).perform(end));
    const results = await Promise.all(ids.map((id) => courier.waitForTaskResult<number>(queueName, id)));
    end.abort();
    await Promise.all([...living, ...stalling]);
    expect(results).toEqual(Array.from({ length: count }, (_, n) => -n));
    expect(ids.filter((id) => settled.get(id) !== 1)).toEqual([]);
    expect(refused).toBeGreaterThan(0);
    expect(await courier.getQueueInfo(queueName)).toMatchObject({ leased: 0, delayed: 0, deadLetters: 0 });
  });
});
