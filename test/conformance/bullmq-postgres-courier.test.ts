/** BullMQTaskCourier on a real PostgreSQL keeps the contract of couriers. */
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { courierConformance } from './courier.ts';
import { courierValues } from './courier-values.ts';

let postgres: PostgresServer;
let couriers = 0;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(() => postgres.stop());

courierConformance({
  name: 'BullMQTaskCourier on PostgreSQL',
  create: async (options) => {
    couriers += 1;
    return new BullMQTaskCourier(postgres.url, { prefix: `test${couriers}`, ...options });
  },
});

courierValues({
  name: 'BullMQTaskCourier on PostgreSQL',
  create: async () => new BullMQTaskCourier(postgres.url, { prefix: 'values' }),
});
