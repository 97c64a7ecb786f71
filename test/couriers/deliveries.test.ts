/** What a task that came through a courier sees of itself, and which of its definition's options hold there. */
import {
  BackgroundQueueWorker,
  backgroundTask,
  ClassicWorker,
  type ClientWorkerTaskCourier,
  currentTask,
  DoNotRetry,
  MemoryTaskCourier,
  TaskSupervisor,
  viaCourier,
} from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

let servers: Server[] = [];

beforeAll(async () => {
  servers = await Promise.all([startRedis(), startPostgres()]);
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
});

const couriers: Readonly<Record<string, () => ClientWorkerTaskCourier>> = {
  'in memory': () => new MemoryTaskCourier(),
  'on Redis': () => new BullMQTaskCourier(servers[0]?.url as string),
  'on PostgreSQL': () => new BullMQTaskCourier(servers[1]?.url as string),
};

let queues = 0;

describe.each(Object.entries(couriers))('through a courier %s', (_name, create) => {
  let courier: ClientWorkerTaskCourier;

  beforeAll(() => {
    courier = create();
  });

  afterAll(() => courier.close());

  /** A queue that a worker with these functions serves. */
  function serve(functions: ConstructorParameters<typeof ClassicWorker>[0]['functions']) {
    queues += 1;
    const queue = `deliveries${queues}`;
    const supervisor = new TaskSupervisor({ logger: false, threads: { poolSize: 1 } });
    const worker = new ClassicWorker({ courier, queueName: queue, supervisor, functions });
    const performed = worker.perform();
    onTestFinished(async () => {
      worker.stop();
      await performed;
      await supervisor.stop();
    });
    const add = (name: string, options: { id?: string; retries?: number; retryDelayMs?: number } = {}) =>
      courier.addTaskToQueue(queue, { function: name }, options);
    return { queue, supervisor, add };
  }

  const types = ['loop', 'thread'] as const;

  it.each(types)('the attempt is that of the courier, on a %s', async (type) => {
    const flaky = backgroundTask(
      async () => {
        const { attempt } = (await import('taskwarden')).currentTask();
        if (attempt < 3) throw new Error(`attempt ${attempt} failed`);
        return `attempt ${attempt} worked`;
      },
      { name: 'flaky', type },
    );
    const { queue, supervisor } = serve({ flaky });
    const far = viaCourier(courier, queue, flaky).with({ supervisor, retries: 5, retryDelayMs: 1 });
    expect(await far()).toBe('attempt 3 worked');
  });

  it.each(types)("the id is that of the courier's task, on a %s", async (type) => {
    const seen = backgroundTask(
      async () => {
        const { id, idempotencyKey, attempt } = (await import('taskwarden')).currentTask();
        if (attempt === 1) throw new Error('again');
        return { id, idempotencyKey, attempt };
      },
      { name: 'seen', type },
    );
    const { queue, add } = serve({ seen });
    const id = await add('seen', { id: 'mine', retries: 1, retryDelayMs: 1 });
    expect(await courier.waitForTaskResult(queue, id)).toEqual({ id: 'mine', idempotencyKey: 'mine', attempt: 2 });
  });

  it('both hold for the items of a queue worker', async () => {
    queues += 1;
    await using supervisor = new TaskSupervisor({ logger: false });
    const worker = new BackgroundQueueWorker(
      (item: string) => {
        const { id, attempt } = currentTask();
        if (attempt < 3) throw new Error('again');
        return { item, id, attempt };
      },
      { name: `items${queues}`, type: 'loop', supervisor, queue: { courier }, onError: () => {} },
    );
    worker.start();
    const id = await worker.put('a', { retries: 2, retryDelayMs: 1 });
    expect(await courier.waitForTaskResult(worker.queueName, id)).toEqual({ item: 'a', id, attempt: 3 });
    await worker.stop();
  });

  it('retries of the definition hold where the task was added with none', async () => {
    const attempts: number[] = [];
    const asked: number[] = [];
    const picky = backgroundTask(
      () => {
        attempts.push(currentTask().attempt);
        throw new Error(`attempt ${attempts.length}`);
      },
      {
        name: 'picky',
        type: 'loop',
        retries: 5,
        retryDelayMs: 1,
        retryIf: (_error, attempt) => {
          asked.push(attempt);
          return attempt < 3;
        },
      },
    );
    const { queue, add } = serve({ picky });
    expect(await failure(courier.waitForTaskResult(queue, await add('picky')))).toMatchObject({ message: 'attempt 3' });
    expect({ attempts, asked }).toEqual({ attempts: [1, 2, 3], asked: [1, 2, 3] });
  });

  it('retryIf of the definition ends the retries of the courier', async () => {
    const attempts: number[] = [];
    const picky = backgroundTask(
      () => {
        attempts.push(currentTask().attempt);
        throw new Error(`attempt ${attempts.length}`);
      },
      { name: 'picky', type: 'loop', retries: 9, retryIf: async (_error, attempt) => attempt < 2 },
    );
    const { queue, add } = serve({ picky });
    const id = await add('picky', { retries: 5, retryDelayMs: 1 });
    expect(await failure(courier.waitForTaskResult(queue, id))).toMatchObject({ message: 'attempt 2' });
    expect(attempts).toEqual([1, 2]);
    expect(await courier.getDeadLetters(queue)).toMatchObject([{ id, attempts: 2 }]);
  });

  it('DoNotRetry ends the retries of the courier, of a worker of any kind', async () => {
    const attempts: number[] = [];
    const run = () => {
      attempts.push(currentTask().attempt);
      throw new DoNotRetry('no such address');
    };
    const hopeless = backgroundTask(run, { name: 'hopeless', type: 'loop' });
    const { queue, add, supervisor } = serve({ hopeless });
    const id = await add('hopeless', { retries: 5, retryDelayMs: 1 });
    const error = await failure(courier.waitForTaskResult(queue, id));
    expect(error).toMatchObject({ name: 'DoNotRetry', message: 'no such address', retry: false });
    expect(error).toBeInstanceOf(DoNotRetry);
    expect(await courier.getDeadLetters(queue)).toMatchObject([{ id, attempts: 1 }]);

    const worker = new BackgroundQueueWorker(run, {
      type: 'loop',
      supervisor,
      queue: { courier, name: `${queue}own` },
      onError: () => {},
    });
    worker.start();
    const item = await worker.put(1, { retries: 5, retryDelayMs: 1 });
    await failure(courier.waitForTaskResult(`${queue}own`, item));
    await worker.stop();
    expect(attempts).toEqual([1, 1]);
  });

  it.each([5, { minMs: 1, maxMs: 2, factor: 1.5, jitter: 0 }])('pauses before each retry: %j', async (retryDelayMs) => {
    const flaky = backgroundTask(
      () => {
        if (currentTask().attempt < 3) throw new Error('not yet');
        return currentTask().attempt;
      },
      { name: 'flaky', type: 'loop' },
    );
    const { queue, supervisor } = serve({ flaky });
    expect(await viaCourier(courier, queue, flaky).with({ supervisor, retries: 5, retryDelayMs })()).toBe(3);
  });

  it('retries: 0 of the call counts, whatever the definition says', async () => {
    let runs = 0;
    const fails = backgroundTask(
      () => {
        runs += 1;
        throw new Error('no');
      },
      { name: 'fails', type: 'loop', retries: 5, retryDelayMs: 1 },
    );
    const { queue, supervisor } = serve({ fails });
    await failure(viaCourier(courier, queue, fails).with({ supervisor, retries: 0 })());
    expect(runs).toBe(1);
  });

  it('retries of the definition are made by the courier, and counted there', async () => {
    const asked: number[] = [];
    const fails = backgroundTask(
      () => {
        throw new Error('no');
      },
      {
        name: 'fails',
        type: 'loop',
        retries: 2,
        retryDelayMs: (attempt) => {
          asked.push(attempt);
          return 1;
        },
      },
    );
    const { queue, add } = serve({ fails });
    const id = await add('fails');
    await failure(courier.waitForTaskResult(queue, id));
    expect(await courier.getDeadLetters(queue)).toMatchObject([{ id, attempts: 3 }]);
    expect(asked).toEqual([1, 2, 3]);
    const once = await add('fails', { retries: 0 });
    await failure(courier.waitForTaskResult(queue, once));
    expect(await courier.getDeadLetters(queue)).toMatchObject([{ id }, { id: once, attempts: 1 }]);
  });

  it('retries of a queue worker are made by the courier, unless the item brings its own', async () => {
    const { queue, supervisor } = serve({});
    const runs: string[] = [];
    const worker = new BackgroundQueueWorker(
      (item: string) => {
        runs.push(`${item} ${currentTask().attempt}`);
        throw new Error('no');
      },
      {
        type: 'loop',
        supervisor,
        retries: 2,
        retryDelayMs: 1,
        queue: { courier, name: `${queue}own` },
        onError: () => {},
      },
    );
    worker.start();
    for (const [item, options] of [['its own', { retries: 1, retryDelayMs: 1 }], ['none']] as const) {
      await failure(courier.waitForTaskResult(`${queue}own`, await worker.put(item, options)));
    }
    await worker.stop();
    expect(runs).toEqual(['its own 1', 'its own 2', 'none 1', 'none 2', 'none 3']);
  });

  it('what has waited for longer than its definition or its call allows is never begun, nor tried again', async () => {
    let runs = 0;
    const run = () => {
      runs += 1;
    };
    const options = { type: 'loop', retries: 5, retryDelayMs: 1 } as const;
    const brief = backgroundTask(run, { ...options, name: 'brief', queueTimeoutMs: 10 });
    const patient = backgroundTask(run, { ...options, name: 'patient', queueTimeoutMs: 3_600_000 });
    queues += 1;
    const queue = `late${queues}`;
    const addAs = (name: string, more: object = {}, add: { delayMs?: number } = {}) =>
      courier.addTaskToQueue(queue, { function: name, ...more }, add);
    const late = await addAs('brief', {}, { delayMs: 20 });
    const refused = await addAs('patient', { expiresAt: Date.now() });
    const inTime = await addAs('patient');
    await new Promise((resolve) => setTimeout(resolve, 50)); // until it is too late
    await using supervisor = new TaskSupervisor({ logger: false });
    const worker = new ClassicWorker({ courier, queueName: queue, supervisor, functions: { brief, patient } });
    const performed = worker.perform();
    for (const id of [late, refused]) {
      const error = await failure(courier.waitForTaskResult(queue, id));
      expect(error).toMatchObject({ code: 'TASK_EXPIRED', taskId: id });
    }
    await courier.waitForTaskResult(queue, inTime);
    expect(runs).toBe(1);
    worker.stop();
    await performed;
  });
});
