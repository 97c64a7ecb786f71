/** What waits for results cost a Redis: each task is looked up for itself, and not once for each that is waited for. */
import { Redis } from 'ioredis';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RedisServer, startRedis } from '../servers/redis.ts';

describe('waits for results', () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(() => redis.stop());

  /** All scripts that it has run. */
  async function scripts(): Promise<number> {
    const client = new Redis(redis.url);
    const stats = await client.info('commandstats');
    client.disconnect();
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  }

  it('ask the server a few times for each task, however many are waited for', async () => {
    const courier = new BullMQTaskCourier(redis.url);
    const count = 200;
    const ids = await courier.bulkAddTasksToQueue('waits', new Array(count).fill('data'));
    const before = await scripts();
    const results = Promise.all(ids.map((id) => courier.waitForTaskResult('waits', id)));
    for (let left = count; left > 0; ) {
      const tasks = await courier.bulkWaitForTasks('waits', 50);
      await courier.bulkReturnTaskResults(
        'waits',
        tasks.map((task) => [task, task.data]),
      );
      left -= tasks.length;
    }
    expect(await results).toEqual(new Array(count).fill('data'));
    expect((await scripts()) - before).toBeLessThan(10 * count);
    await courier.close();
  });
});
