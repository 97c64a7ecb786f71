/** BullMQTaskCourier against the model of couriers, on a real Redis and a real PostgreSQL. */
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { describe, it } from 'vitest';
import { PostgresServer } from '../../src/integrations/bullmq/server/postgres-server.ts';
import { RedisServer } from '../../src/integrations/bullmq/server/redis-server.ts';
import type { Server } from '../../src/integrations/bullmq/server/server.ts';
import { BullQueue } from '../../src/integrations/bullmq/worker/bull-queue.ts';
import { randomRuns } from '../fixtures/random-runs.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import { type CourierToTry, courierSteps, tryCourier } from './courier.ts';

const longMs = 600_000;
const never = new AbortController().signal;
const settings = { leaseMs: longMs, stalledIntervalMs: 1 };

/** All leases of the queue run out: what is found active is marked, and taken back the next time. */
async function loseLeases(queue: BullQueue, expire: () => Promise<unknown>): Promise<void> {
  await expire();
  do await queue.recover();
  while ((await queue.backend.getCounts(['active']))[0] !== 0);
}

async function tryOn(
  url: string,
  connect: (prefix: string) => Promise<Server>,
  expire: (prefix: string) => Promise<unknown>,
  numRuns: number,
  more: Pick<CourierToTry, 'keepsPlaces'>,
): Promise<void> {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(courierSteps, fc.integer({ min: 1, max: 3 }), async (steps, maxStalls) => {
      runs += 1;
      const prefix = `run${runs}`;
      const courier = new BullMQTaskCourier(url, { prefix, leaseMs: longMs, maxStalls });
      const server = await connect(prefix);
      const queue = new BullQueue(server, 'tried', { leaseMs: longMs, maxStalls });
      try {
        const tried = {
          courier,
          maxStalls,
          loseLeases: () => loseLeases(queue, () => expire(prefix)),
          letRetry: async () => {},
          ...more,
        };
        await tryCourier(tried, steps);
      } finally {
        await courier.close();
        await server.close();
      }
    }),
    { numRuns, endOnFailure: true },
  );
}

describe('loses nothing, settles nothing twice, and delivers in order', () => {
  it('on Redis', { timeout: 120_000 }, async () => {
    const server = await startRedis();
    const { url } = server;
    const redis = new Redis(url);
    const expire = async (prefix: string) => {
      const locks = await redis.keys(`${prefix}:*:lock`);
      if (locks.length > 0) await redis.del(...locks);
    };
    try {
      await tryOn(url, (prefix) => RedisServer.connect(url, prefix, settings, never), expire, randomRuns(200), {
        keepsPlaces: false,
      });
    } finally {
      redis.disconnect();
      await server.stop();
    }
  });

  it('on PostgreSQL', { timeout: 120_000 }, async () => {
    const server = await startPostgres();
    const { url } = server;
    const sql = new Client({ connectionString: url }); // a pool has ended before its connections have
    const expire = (prefix: string) => sql.query(`UPDATE ${prefix}.job SET locked_until_ms = 0 WHERE state = 'active'`);
    try {
      await sql.connect();
      await tryOn(url, (prefix) => PostgresServer.connect(url, prefix, settings, never), expire, randomRuns(25), {});
    } finally {
      await sql.end();
      await server.stop();
    }
  });
});
