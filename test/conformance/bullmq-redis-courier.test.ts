/** BullMQTaskCourier on a real Redis keeps the contract of couriers. */
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll } from 'vitest';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { courierConformance } from './courier.ts';
import { courierValues } from './courier-values.ts';

let redis: RedisServer;
let couriers = 0;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(() => redis.stop());

courierConformance({
  name: 'BullMQTaskCourier on Redis',
  create: async (options) => {
    couriers += 1;
    return new BullMQTaskCourier(redis.url, { prefix: `test${couriers}`, ...options });
  },
});

courierValues({
  name: 'BullMQTaskCourier on Redis',
  create: async () => new BullMQTaskCourier(redis.url, { prefix: 'values' }),
});
