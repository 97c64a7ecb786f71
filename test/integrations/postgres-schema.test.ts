/** BullMQ's tables on PostgreSQL: made by whoever comes first, brought up to date, and else only read. */
import { LATEST_SCHEMA_VERSION } from 'bullmq';
import { Client } from 'pg';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { startPostgres } from '../servers/postgres.ts';
import type { Server } from '../servers/server.ts';

let server: Server;
let admin: Client;

beforeAll(async () => {
  server = await startPostgres();
  admin = new Client({ connectionString: server.url });
  await admin.connect();
});

afterAll(async () => {
  await admin.end();
  await server.stop();
});

function connect(schema: string): BullMQTaskCourier {
  const courier = new BullMQTaskCourier(server.url, { prefix: schema });
  onTestFinished(() => courier.close());
  return courier;
}

async function versionOf(schema: string): Promise<number> {
  const { rows } = await admin.query(`SELECT max(version)::int AS version FROM ${schema}.migration`);
  return rows[0].version;
}

it('are made once, by whichever of many machines is first', async () => {
  const couriers = Array.from({ length: 5 }, () => connect('many'));
  const ids = await Promise.all(couriers.map((courier, n) => courier.addTaskToQueue('q', n)));
  expect(new Set(ids).size).toBe(5);
  expect(await couriers[0]?.getQueueInfo('q')).toMatchObject({ waiting: { normal: 5 } });
  expect(await versionOf('many')).toBe(LATEST_SCHEMA_VERSION);
});

it('are brought up to date', async () => {
  await connect('made').getQueueInfo('q');
  await admin.query('CREATE SCHEMA older');
  await admin.query('CREATE TABLE older.migration (LIKE made.migration INCLUDING ALL)'); // of before the first version
  await connect('older').addTaskToQueue('q', 1);
  expect(await versionOf('older')).toBe(LATEST_SCHEMA_VERSION);
});

it('are left as they are while somebody reads them, such as a backup', async () => {
  await connect('made').addTaskToQueue('read', 1);
  await admin.query('BEGIN');
  onTestFinished(async () => void (await admin.query('ROLLBACK')));
  await versionOf('made');
  expect(await connect('made').getQueueInfo('read')).toMatchObject({ waiting: { normal: 1 } });
});

it('serve a role that may use them and make none', async () => {
  await connect('made').addTaskToQueue('given', 1);
  await admin.query(`CREATE ROLE guest LOGIN;
    GRANT USAGE ON SCHEMA made TO guest;
    GRANT ALL ON ALL TABLES IN SCHEMA made TO guest;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA made TO guest`);
  const url = new URL(server.url);
  url.username = 'guest';
  const courier = new BullMQTaskCourier(`${url}`, { prefix: 'made' });
  onTestFinished(() => courier.close());
  const id = await courier.addTaskToQueue('given', 2);
  expect(await courier.getQueueInfo('given')).toMatchObject({ waiting: { normal: 2 } });
  expect(await courier.cancelTask('given', id)).toBe(true);
});
