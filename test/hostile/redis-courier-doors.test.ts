import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll } from 'vitest';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { testCourierDoors } from './courier-doors.ts';

let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(() => redis.stop());

testCourierDoors('BullMQTaskCourier on Redis', () => new BullMQTaskCourier(redis.url));
