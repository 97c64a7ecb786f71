/** BullMQTaskCourier on a real PostgreSQL keeps the contract of couriers. */
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { type CourierUnderTest, courierConformance } from './courier.ts';
import { courierDeadlines } from './courier-deadlines.ts';
import { courierKeys } from './courier-keys.ts';
import { courierValues } from './courier-values.ts';
import { courierWork } from './courier-work.ts';

let postgres: PostgresServer;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(() => postgres.stop());

// To make the tables of a schema takes longer than most tests.
const tested: CourierUnderTest = {
  name: 'BullMQTaskCourier on PostgreSQL',
  create: async (options) => new BullMQTaskCourier(postgres.url, options),
  createEmpty: async (options) => new BullMQTaskCourier(postgres.url, { prefix: 'empty', ...options }),
};

courierConformance(tested);
courierKeys(tested);
courierWork(tested);
courierDeadlines(tested);

courierValues({ name: tested.name, create: async () => new BullMQTaskCourier(postgres.url) });
