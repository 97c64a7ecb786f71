/** The keys of items: those that the worker's option gives, by which the limits of its queue go. */
import { type BackgroundQueueWorker, backgroundWorker, TaskSupervisor } from 'taskwarden';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';

interface Order {
  readonly tenant: string;
}

let supervisor: TaskSupervisor;

beforeEach(() => {
  supervisor = new TaskSupervisor({ logger: false });
});

afterEach(async () => {
  await supervisor.stop({ wait: false });
});

async function keysOf({ courier, queueName }: BackgroundQueueWorker): Promise<unknown[]> {
  return (await courier.listTasks(queueName, { state: 'waiting' })).map(({ key }) => key);
}

it('are what its function makes of each item, or its text, unless an item has its own', async () => {
  const byTenant = backgroundWorker((_order: Order) => {}, {
    type: 'loop',
    supervisor,
    queue: true,
    name: 'by tenant',
    key: (order: Order) => order.tenant,
  });
  await byTenant.put({ tenant: 'ann' });
  await byTenant.put({ tenant: 'bob' }, { key: 'own' });
  expect(await keysOf(byTenant)).toEqual(['ann', 'own']);
  const all = backgroundWorker((_order: Order) => {}, {
    type: 'loop',
    supervisor,
    queue: true,
    name: 'all',
    key: 'one',
  });
  await all.put({ tenant: 'ann' });
  expect(await keysOf(all)).toEqual(['one']);
});

it('are made of the item alone, also where a worker has a context', async () => {
  const worker = backgroundWorker((_context: unknown, _order: Order) => {}, {
    type: 'loop',
    supervisor,
    queue: true,
    name: 'with context',
    context: { of: 'the worker' },
    key: (...args: unknown[]) => JSON.stringify(args),
  });
  await worker.put({ tenant: 'ann' });
  expect(await keysOf(worker)).toEqual(['[{"tenant":"ann"}]']);
});

it('are those of batches, if it runs these: only a text is one of an item', async () => {
  const options = { type: 'loop', supervisor, queue: { batchSize: 2 } } as const;
  const asked = backgroundWorker((_orders: readonly Order[]) => {}, {
    ...options,
    name: 'asked',
    key: (orders: readonly Order[]) => orders.map(({ tenant }) => tenant).join(),
  });
  const said = backgroundWorker((_orders: readonly Order[]) => {}, { ...options, name: 'said', key: 'batch' });
  for (const worker of [asked, said]) await worker.put({ tenant: 'ann' });
  expect([...(await keysOf(asked)), ...(await keysOf(said))]).toEqual([undefined, 'batch']);
});

it('refuse the item if their function fails', async () => {
  const worker = backgroundWorker((_order: Order) => {}, {
    type: 'loop',
    supervisor,
    queue: true,
    name: 'fails',
    key: (order: Order) => order.tenant.toUpperCase(),
  });
  expect(await failure(worker.put(undefined as never))).toMatchObject({ code: 'KEY_FAILED' });
  expect(await failure(worker.put({ tenant: '' }))).toMatchObject({ code: 'KEY_FAILED' });
  expect(await keysOf(worker)).toEqual([]);
});

it('hold back those of a key that has its share', async () => {
  const running: string[] = [];
  let most = 0;
  const worker = backgroundWorker(
    async ({ tenant }: Order) => {
      running.push(tenant);
      most = Math.max(most, running.filter((each) => each === tenant).length);
      await new Promise((resolve) => setImmediate(resolve));
      running.splice(running.indexOf(tenant), 1);
    },
    {
      type: 'loop',
      supervisor,
      name: 'limited',
      key: ({ tenant }: Order) => tenant,
      queue: { concurrency: 4, maxPerKey: 1 },
    },
  );
  await worker.start();
  const ids: string[] = [];
  for (const tenant of ['ann', 'ann', 'bob', 'ann']) ids.push(await worker.put({ tenant }));
  await Promise.all(ids.map((id) => worker.courier.waitForTaskResult(worker.queueName, id)));
  expect(most).toBe(1);
  await worker.stop();
});
