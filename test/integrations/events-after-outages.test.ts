/** What listeners of a queue hear when its server was away and has come back, on a real Redis and a real PostgreSQL. */
import type { QueueEvent } from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { expect, it, onTestFinished } from 'vitest';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';

it.each<[string, () => Promise<Server>]>([
  ['Redis', startRedis],
  ['PostgreSQL', startPostgres],
])(
  'they hear that some may have been missed, and then what happens, from %s',
  { timeout: 120_000 },
  async (_, start) => {
    const server = await start();
    onTestFinished(() => server.stop());
    const courier = new BullMQTaskCourier(server.url);
    onTestFinished(() => courier.close());
    const heard: QueueEvent[] = [];
    await courier.subscribe('work', (event) => heard.push(event));
    const before = await courier.addTaskToQueue('work', 1);
    await expect.poll(() => heard, { timeout: 20_000 }).toMatchObject([{ kind: 'added', id: before }]);
    await server.kill();
    await server.restart();
    await expect
      .poll(() => heard.slice(1), { timeout: 60_000 })
      .toEqual([{ kind: 'missed', queue: 'work', time: expect.any(Number) }]);
    const after = await courier.addTaskToQueue('work', 2, { wait: true });
    await expect
      .poll(() => heard.slice(2), { timeout: 60_000 })
      .toContainEqual(expect.objectContaining({ kind: 'added', id: after }));
  },
);
