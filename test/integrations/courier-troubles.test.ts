/** Servers that never let anybody in, or not into the right database. Those that come back are in test/soak. */
import { Redis } from 'ioredis';
import { BaseWorker, type TaskwardenError } from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { expect, it, onTestFinished } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';

it('a Redis that never lets anybody in is a clear error, without the password', async () => {
  await using server = await startRedis({ args: ['--user', 'worker', 'on', '>right', '~*', '&*', '+@all'] });
  for (const [wrong, why] of [
    [server.url.replace('://', '://worker:S3cret@'), /WRONGPASS/],
    [`${server.url}/99`, /DB index is out of range/],
  ] as const) {
    const courier = new BullMQTaskCourier(wrong);
    onTestFinished(() => courier.close());
    const worker = new (class extends BaseWorker {
      override performSingleTask(): void {}
    })({ courier, queueName: 'any', onError: () => {} });
    const calls = [
      courier.addTaskToQueue('any', 1, { wait: true }),
      courier.waitForTaskResult('any', 'x'),
      worker.perform(),
    ];
    for (const call of calls) {
      const error = (await failure(call)) as TaskwardenError;
      expect(error).toMatchObject({ code: 'SERVER_REFUSED', message: expect.stringMatching(why) });
      expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('S3cret');
    }
  }
});

it('a courier whose database may not be chosen when its connections come back does not work in another one', async () => {
  const user = ['worker', 'on', '>right', '~*', '&*', '+@all'] as const;
  await using server = await startRedis({ args: ['--user', ...user] });
  const redis = new Redis(server.url);
  redis.on('error', () => {}); // its server ends first
  onTestFinished(() => redis.disconnect());
  const courier = new BullMQTaskCourier(`${server.url.replace('://', '://worker:right@')}/1`);
  onTestFinished(() => courier.close());
  const task = courier.waitForTask('any');
  await expect.poll(() => redis.client('LIST'), { timeout: 10_000 }).toContain('flags=b');
  await redis.acl('SETUSER', 'worker', '-select');
  await redis.client('KILL', 'USER', 'worker');
  const added = courier.addTaskToQueue('any', 1, { wait: true });
  await expect.poll(async () => ((await redis.acl('LOG')) as unknown[]).length, { timeout: 10_000 }).toBeGreaterThan(0);
  expect(await redis.keys('*')).toEqual([]);
  await redis.acl('SETUSER', ...user);
  expect(await task).toMatchObject({ id: await added });
  expect(await redis.keys('*')).toEqual([]);
});

it('a PostgreSQL that never lets anybody in is a clear error', async () => {
  await using server = await startPostgres();
  for (const [wrong, why] of [
    [server.url.replace('postgres@', 'nobody:S3cret@'), /role "nobody" does not exist/],
    [server.url.replace(/postgres$/, 'nowhere'), /database "nowhere" does not exist/],
  ] as const) {
    const courier = new BullMQTaskCourier(wrong);
    onTestFinished(() => courier.close());
    expect(await failure(courier.addTaskToQueue('any', 1, { wait: true }))).toMatchObject({
      code: 'SERVER_REFUSED',
      message: expect.stringMatching(why),
    });
  }
});
