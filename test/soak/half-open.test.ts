/** Connections that fall silent without being closed, on a real Redis and a real PostgreSQL: new ones work. */
import { Client } from 'pg';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { expect, it, onTestFinished } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startProxy } from '../servers/proxy.ts';
import { startRedis } from '../servers/redis.ts';

function connect(url: string): BullMQTaskCourier {
  const courier = new BullMQTaskCourier(url);
  onTestFinished(() => courier.close());
  return courier;
}

async function connectSql(url: string): Promise<Client> {
  const sql = new Client({ connectionString: url });
  await sql.connect();
  sql.on('error', () => {}); // its server ends first
  onTestFinished(() => sql.end());
  return sql;
}

it('an idle worker on Redis whose connections fall silent fetches again', { timeout: 120_000 }, async () => {
  await using server = await startRedis();
  await using proxy = await startProxy(server.port);
  const worker = connect(server.url.replace(`${server.port}`, `${proxy.port}`));
  const client = connect(server.url);
  const first = worker.waitForTask('q');
  await client.addTaskToQueue('q', 1);
  expect(await first).toMatchObject({ data: 1 });
  const second = worker.waitForTask('q');
  proxy.mute();
  await client.addTaskToQueue('q', 2);
  expect(await second).toMatchObject({ data: 2 });
});

it('many calls that are not answered break their connection once', { timeout: 60_000 }, async () => {
  await using server = await startRedis();
  await using proxy = await startProxy(server.port);
  const warnings: string[] = [];
  const note = ({ message }: Error) => void warnings.push(message);
  process.on('warning', note);
  onTestFinished(() => void process.off('warning', note));
  const courier = connect(server.url.replace(`${server.port}`, `${proxy.port}`));
  await courier.addTaskToQueue('q', 0);
  proxy.mute();
  const calls = Array.from({ length: 30 }, (_, n) => courier.addTaskToQueue('q', n));
  for (const call of calls) expect(await failure(call)).toMatchObject({ code: 'COURIER_UNREACHABLE' });
  await courier.addTaskToQueue('q', 0, { wait: true });
  expect(warnings).toEqual([]);
});

it('an idle worker on PostgreSQL whose connections fall silent listens again', { timeout: 120_000 }, async () => {
  await using server = await startPostgres();
  await using proxy = await startProxy(server.port);
  const sql = await connectSql(server.url);
  const listening = async () => {
    const text = "SELECT pid FROM pg_stat_activity WHERE application_name = 'taskwarden:waiting'";
    return (await sql.query(text)).rows.map(({ pid }) => pid as number);
  };
  const worker = connect(server.url.replace(`${server.port}`, `${proxy.port}`));
  const client = connect(server.url);
  const first = worker.waitForTask('q');
  await expect.poll(listening, { timeout: 20_000 }).toHaveLength(1);
  const [dead] = await listening();
  proxy.mute();
  await client.addTaskToQueue('q', 1);
  expect(await first).toMatchObject({ data: 1 });
  const second = worker.waitForTask('q');
  await expect.poll(async () => (await listening()).some((pid) => pid !== dead), { timeout: 60_000 }).toBe(true);
  await client.addTaskToQueue('q', 2);
  expect(await second).toMatchObject({ data: 2 });
});

it('a connection on PostgreSQL that is ended while its courier closes ends no process', async () => {
  await using server = await startPostgres();
  await using proxy = await startProxy(server.port);
  const sql = await connectSql(server.url);
  const others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
  const courier = connect(server.url.replace(`${server.port}`, `${proxy.port}`));
  const waits = courier.waitForTask('q').catch(() => {});
  await expect
    .poll(async () => (await sql.query(`SELECT ${others} AND application_name <> ''`)).rowCount, { timeout: 20_000 })
    .toBe(1);
  proxy.freeze();
  await sql.query(`SELECT pg_terminate_backend(pid) ${others}`);
  await expect.poll(async () => (await sql.query(`SELECT ${others}`)).rowCount).toBe(0);
  const closed = courier.close();
  proxy.thaw(); // only now it hears that its connections have ended
  await closed;
  await waits;
});
