/** BullMQTaskCourier on a real PostgreSQL keeps the contract of couriers. */
import { Client } from 'pg';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { type CourierUnderTest, courierConformance } from './courier.ts';
import { courierDeadlines } from './courier-deadlines.ts';
import { courierKeys } from './courier-keys.ts';
import { courierValues } from './courier-values.ts';
import { courierWork } from './courier-work.ts';

let postgres: PostgresServer;
let admin: Client;
let schemas = 0;
const emptied: string[] = [];
const used: string[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  admin = new Client({ connectionString: postgres.url });
  await admin.connect();
});

afterAll(async () => {
  await admin.end();
  await postgres.stop();
});

// After the couriers are closed. To make the tables of a schema takes longer than most tests.
afterEach(async () => {
  for (const schema of used.splice(0)) {
    const { rows } = await admin.query<{ name: string }>(
      "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = $1 and tablename <> 'migration'",
      [schema],
    );
    await admin.query(rows.map(({ name }) => `delete from ${name}`).join(';'));
    emptied.push(schema);
  }
});

const tested: CourierUnderTest = {
  name: 'BullMQTaskCourier on PostgreSQL',
  create: async (options) => {
    const schema = emptied.pop() ?? `test${++schemas}`;
    used.push(schema);
    return new BullMQTaskCourier(postgres.url, { prefix: schema, ...options });
  },
};

courierConformance(tested);
courierKeys(tested);
courierWork(tested);
courierDeadlines(tested);

courierValues({
  name: 'BullMQTaskCourier on PostgreSQL',
  create: async () => new BullMQTaskCourier(postgres.url, { prefix: 'values' }),
});
