/**
 * What every courier does with values that can't be read, or are far too deep or too long: whichever way they come, they
 * are refused with the code of that way, and a worker that gives one fails that task alone.
 */
import {
  BackgroundQueueWorker,
  BaseWorker,
  backgroundTask,
  ClassicWorker,
  type ClientWorkerTaskCourier,
  type CourierTask,
  TaskSupervisor,
} from 'taskwarden';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';

interface CourierOfValues {
  readonly name: string;
  readonly create: () => Promise<ClientWorkerTaskCourier>;
  /** Nothing is too long or deep for it but for want of memory or stack. Default: false. */
  readonly copiesInMemory?: boolean;
}

function nested(levels: number): object {
  let value: object = {};
  for (let n = 0; n < levels; n += 1) value = n % 2 === 0 ? { value } : [value];
  return value;
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function fail(): never {
  throw Object.create(null); // it has no text, either
}

const unreadable: Readonly<Record<string, () => object>> = {
  'a getter that throws': () => ({
    a: [
      {
        get b(): never {
          return fail();
        },
      },
    ],
  }),
  'a proxy that was revoked': () => ({ inside: [revoked()] }),
  'a proxy that throws at each touch': () => ({
    inside: new Proxy({}, { get: fail, ownKeys: fail, getPrototypeOf: fail }),
  }),
  'levels without end': () => nested(100_000),
};

const unfitForJson: Readonly<Record<string, () => object>> = {
  'a toJSON that throws': () => ({ a: { toJSON: fail } }),
  'a toJSON that can not be read': () => ({
    get toJSON(): never {
      return fail();
    },
  }),
  '8,000 levels': () => nested(8_000),
  'levels that are made as they are read': () => endless(),
  '600 MB of text': () => Array.from({ length: 6 }, () => 'x'.repeat(100_000_000)),
  'a part that is there too often': () => {
    let value: object = { text: 'x' };
    for (let n = 0; n < 60; n += 1) value = { a: value, b: value };
    return value;
  },
};

function endless(): object {
  return {
    get more(): object {
      return endless();
    },
  };
}

export function courierValues({ name, create, copiesInMemory = false }: CourierOfValues): void {
  const kinds = Object.entries(copiesInMemory ? unreadable : { ...unreadable, ...unfitForJson });
  let courier: ClientWorkerTaskCourier;

  beforeAll(async () => {
    courier = await create();
  });

  afterAll(() => courier.close());

  async function take(queue: string): Promise<CourierTask> {
    const task = await courier.waitForTask(queue, { timeoutMs: 20_000 });
    if (task === undefined) throw new Error('no task came');
    return task;
  }

  describe.each(kinds)(`${name}: %s`, (_kind, make) => {
    it('is refused as data, and nothing is added', async () => {
      expect(await failure(courier.addTaskToQueue('data', make()))).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
      const bulk = courier.bulkAddTasksToQueue('data', [1, make()]);
      expect(await failure(bulk)).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
      expect(await courier.getTask('data')).toBeUndefined();
    });

    it('is refused as message and as note, in both directions', async () => {
      const id = await courier.addTaskToQueue('said', 1);
      const task = await take('said');
      const refused = { code: 'MESSAGE_NOT_CLONEABLE' };
      const data = make();
      const said = { kind: 'progress', progress: { fraction: 0.5, note: make() as never } } as const;
      expect(await failure(courier.sendToTask('said', id, { kind: 'message', data }))).toMatchObject(refused);
      expect(await failure(courier.sendToClient('said', task, { kind: 'message', data }))).toMatchObject(refused);
      expect(await failure(courier.sendToClient('said', task, said))).toMatchObject(refused);
      await courier.returnTaskResult('said', task, 1);
    });

    it('is refused as result, and the worker keeps the task', async () => {
      const id = await courier.addTaskToQueue('given', 1);
      const task = await take('given');
      const refused = { code: 'RESULT_NOT_CLONEABLE' };
      expect(await failure(courier.returnTaskResult('given', task, make()))).toMatchObject(refused);
      expect(await failure(courier.bulkReturnTaskResults('given', [[task, make()]]))).toMatchObject(refused);
      await courier.returnTaskResult('given', task, 'plain');
      expect(await courier.getTaskResult('given', id)).toBe('plain');
    });

    it('is left out of an error, or of the reason of a cancel', async () => {
      const id = await courier.addTaskToQueue('failed', 1);
      await courier.returnTaskError('failed', await take('failed'), Object.assign(new Error('odd'), { field: make() }));
      expect(await failure(courier.waitForTaskResult('failed', id))).toMatchObject({ message: 'odd' });
      const other = await courier.addTaskToQueue('failed', 1);
      expect(await courier.cancelTask('failed', other, make())).toBe(true);
      expect(await failure(courier.waitForTaskResult('failed', other))).toMatchObject({ code: 'TASK_CANCELED' });
    });

    it('fails its task alone, whatever the worker', async () => {
      await using supervisor = new TaskSupervisor({ logger: false });
      class Each extends BaseWorker {
        override performSingleTask({ data }: CourierTask): unknown {
          return data === 1 ? make() : data;
        }
      }
      class Bulk extends BaseWorker {
        override performTasks(tasks: readonly CourierTask[]): unknown[] {
          return tasks.map(({ data }) => (data === 1 ? make() : data));
        }
      }
      const options = { courier, maxTasksPerIteration: 3, maxSimultaneousTasks: 3 };
      const classic = new ClassicWorker({
        ...options,
        queueName: 'classic',
        supervisor,
        functions: { give: backgroundTask(give, { type: 'loop' }) },
      });
      const workers = [
        new Each({ ...options, queueName: 'each' }),
        new Bulk({ ...options, queueName: 'bulk' }),
        classic,
      ];
      const item = new BackgroundQueueWorker((n: number) => (n === 1 ? make() : n), {
        name: 'items',
        type: 'loop',
        supervisor,
        queue: { courier, name: 'items' },
      });
      function give(n: number): unknown {
        return n === 1 ? make() : n;
      }
      const performed = workers.map((worker) => worker.perform());
      item.start();
      for (const queue of ['each', 'bulk', 'classic', 'items']) {
        const data = queue === 'classic' ? [0, 1, 2].map((n) => ({ function: 'give', args: [n] })) : [0, 1, 2];
        const ids = await courier.bulkAddTasksToQueue(queue, data);
        const given = await Promise.allSettled(ids.map((id) => courier.waitForTaskResult(queue, id)));
        expect(given).toEqual([
          { status: 'fulfilled', value: 0 },
          { status: 'rejected', reason: expect.objectContaining({ code: 'RESULT_NOT_CLONEABLE' }) },
          { status: 'fulfilled', value: 2 },
        ]);
      }
      for (const worker of workers) worker.stop();
      await item.stop();
      await Promise.all(performed);
    });
  });

  it(`${name}: an error that can't be read fails its task alone`, async () => {
    class Failing extends BaseWorker {
      override performSingleTask({ data }: CourierTask): unknown {
        if (data === 0) throw revoked();
        if (data === 1) throw Object.defineProperty(new Error('x'), 'message', { get: fail });
        if (data === 2) throw Object.defineProperty(new Error('x'), 'stack', { get: fail });
        if (data === 3) throw Object.assign(new Error('long'), { more: nested(100_000) });
        return data;
      }
    }
    const worker = new Failing({ courier, queueName: 'errors' });
    const performed = worker.perform();
    const ids = await courier.bulkAddTasksToQueue('errors', [0, 1, 2, 3, 4]);
    const given = await Promise.allSettled(ids.map((id) => courier.waitForTaskResult('errors', id)));
    expect(given.map(({ status }) => status)).toEqual([...Array(4).fill('rejected'), 'fulfilled']);
    expect(given[3]).toMatchObject({ reason: { message: 'long' } });
    worker.stop();
    await performed;
  });
}
