/** Chaos around BullMQTaskCourier on a real PostgreSQL. */
import { Client } from 'pg';
import { courierChaos } from '../chaos/couriers.ts';
import { startPostgres } from '../servers/postgres.ts';

const others = `FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`;

async function ask(url: string, query: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(query)).rows;
  } finally {
    await client.end();
  }
}

courierChaos({
  name: 'PostgreSQL',
  start: startPostgres,
  connections: async (url) => Number((await ask(url, `SELECT count(*) AS count ${others}`))[0]?.['count']),
  breakConnections: async (url) => void (await ask(url, `SELECT pg_terminate_backend(pid) ${others}`)),
  mostOfClient: 12,
  refusedUrl: async (url) => url.replace(/[^/]+$/, 'no-such-database'),
});
