/** BullMQTaskCourier on a real Redis keeps the contract of couriers. */
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll } from 'vitest';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type CourierUnderTest, courierConformance } from './courier.ts';
import { courierDeadlines } from './courier-deadlines.ts';
import { courierKeys } from './courier-keys.ts';
import { courierValues } from './courier-values.ts';
import { courierWork } from './courier-work.ts';

let redis: RedisServer;
let couriers = 0;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(() => redis.stop());

const tested: CourierUnderTest = {
  name: 'BullMQTaskCourier on Redis',
  create: async (options) => {
    couriers += 1;
    return new BullMQTaskCourier(redis.url, { prefix: `test${couriers}`, ...options });
  },
};

courierConformance(tested);
courierKeys(tested);
courierWork(tested);
courierDeadlines(tested);

courierValues({
  name: 'BullMQTaskCourier on Redis',
  create: async () => new BullMQTaskCourier(redis.url, { prefix: 'values' }),
});
