/** How many calls of the server a task takes on its way: no more than plain BullMQ makes. */
import { Redis } from 'ioredis';
import { BaseWorker, type CourierTask } from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

let server: Server;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

class Echo extends BaseWorker {
  override performSingleTask({ data }: CourierTask): unknown {
    return data;
  }
}

/** A client, and a worker that has performed a first task. */
async function start(maxSimultaneousTasks: number, maxTasksPerIteration: number): Promise<BullMQTaskCourier> {
  const queueName = 'counted';
  const [courier, client] = [new BullMQTaskCourier(server.url), new BullMQTaskCourier(server.url)];
  const worker = new Echo({ queueName, courier, maxSimultaneousTasks, maxTasksPerIteration });
  const performed = worker.perform();
  onTestFinished(async () => {
    worker.stop();
    await performed;
    await Promise.all([courier.close(), client.close()]);
    await redis.flushall();
  });
  await client.waitForTaskResult(queueName, await client.addTaskToQueue(queueName, 'first'));
  return client;
}

/** How often each command was called, without those that scripts call. */
async function callsOf(act: () => Promise<unknown>): Promise<(name: string) => number> {
  await redis.config('RESETSTAT');
  await act();
  const stats = await redis.info('commandstats');
  return (name) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

it('a task of many is added in one script, and fetched and returned in another', async () => {
  const client = await start(8, 4);
  const count = 400;
  const calls = await callsOf(async () => {
    const ids = await client.bulkAddTasksToQueue('counted', Array.from({ length: count }));
    await Promise.all(ids.map((id) => client.waitForTaskResult('counted', id)));
  });
  expect(calls('evalsha') + calls('eval')).toBeLessThan(2.1 * count);
});

it('one alone takes no more, and waiting for its result looks nothing up', async () => {
  const client = await start(1, 1);
  const count = 50;
  const calls = await callsOf(async () => {
    for (let n = 0; n < count; n += 1) {
      await client.waitForTaskResult('counted', await client.addTaskToQueue('counted', n));
    }
  });
  // One script each to add, to fetch and to return; and sometimes a fetch that finds none, as after each signal.
  expect(calls('evalsha') + calls('eval')).toBeLessThanOrEqual(4 * count + 10);
  expect(calls('bzpopmin')).toBeLessThanOrEqual(2 * count + 10);
});
