/** All that a PostgreSQL may say, or do, instead of what it is asked. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { startPostgres } from '../servers/postgres.ts';
import { behindProxy, commonTroubles, storm, type Trouble, TroubledServer, type Troubles } from './troubled-server.ts';

/** Those of the user who is troubled. */
const backends = "FROM pg_stat_activity WHERE usename = 'worker'";

export class TroubledPostgres extends TroubledServer {
  static async start(): Promise<TroubledPostgres> {
    const server = new TroubledPostgres(...(await behindProxy(await startPostgres())));
    await server.ask('CREATE ROLE worker SUPERUSER LOGIN');
    return server;
  }

  override get url(): string {
    return `postgres://worker@127.0.0.1:${this.proxy.port}/postgres`;
  }

  /** On a connection of its own, not by the proxy, and as another user; it stays open for what `hold` needs it for. */
  async ask(query: string, hold: (client: Client) => Promise<void> = async () => {}): Promise<void> {
    const client = new Client({ connectionString: this.server.url });
    client.on('error', () => {}); // a server that is away comes back
    await client.connect();
    try {
      await client.query(query);
      await hold(client);
    } finally {
      await client.end().catch(() => {});
    }
  }

  killAll(): Promise<void> {
    return this.ask(`SELECT pg_terminate_backend(pid) ${backends}`);
  }
}

/** Each statement of the user is limited, and a lock is in the way. */
function locked(limit: string): Trouble<TroubledPostgres> {
  return {
    begin: async (server) => {
      await server.ask(`ALTER ROLE worker SET ${limit} = '500ms'`);
      await server.killAll();
      let end = () => {};
      const ended = new Promise<void>((resolve) => {
        end = resolve;
      });
      const holding = server.ask(await locks(server), () => ended);
      return async () => {
        end();
        await holding;
        await server.ask(`ALTER ROLE worker RESET ${limit}`);
        await server.killAll();
      };
    },
  };
}

/** The queues of all who use it. */
async function locks(server: TroubledPostgres): Promise<string> {
  const tables = await schemas(server);
  return `BEGIN; SET LOCAL lock_timeout = 0; ${tables.map((schema) => `LOCK TABLE ${schema}.job IN ACCESS EXCLUSIVE MODE;`).join(' ')}`;
}

async function schemas(server: TroubledPostgres): Promise<string[]> {
  let found: string[] = [];
  await server.ask('', async (client) => {
    const { rows } = await client.query("SELECT schemaname FROM pg_tables WHERE tablename = 'job'");
    found = rows.map(({ schemaname }) => `"${schemaname}"`);
  });
  return found;
}

/** Each change of a job fails. */
function refusing(code: string): Trouble<TroubledPostgres> {
  return {
    isTotal: true,
    begin: async (server) => {
      const names = await schemas(server);
      const each = (make: (schema: string) => string) => server.ask(names.map(make).join(';'));
      await each(
        (schema) => `
          CREATE OR REPLACE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'in trouble' USING ERRCODE = '${code}'; END $$;
          CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ${schema}.job FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.refuse()`,
      );
      return () => each((schema) => `DROP TRIGGER refuse ON ${schema}.job`);
    },
  };
}

function striking(strike: string): Trouble<TroubledPostgres> {
  return {
    begin: async (server) =>
      storm(async () => {
        await server.ask(`SELECT ${strike}(pid) ${backends}`);
        await pause(20);
      }),
  };
}

/** The postmaster is asked to end, and breaks all connections. */
async function end({ server }: TroubledPostgres, signal: NodeJS.Signals): Promise<void> {
  const [pid] = (await readFile(join(server.folder, 'data', 'postmaster.pid'), 'utf8')).split('\n');
  process.kill(Number(pid), signal);
}

export const postgresTroubles: Troubles<TroubledPostgres> = {
  'a lock, with a limit for statements (57014)': locked('statement_timeout'),
  'a lock, with a limit for locks (55P03)': locked('lock_timeout'),
  'queries that are canceled (57014)': striking('pg_cancel_backend'),
  'deadlocks (40P01)': refusing('40P01'),
  'conflicts of transactions (40001)': refusing('40001'),
  'objects in use (55006)': refusing('55006'),
  'a full disk (53100)': refusing('53100'),
  'errors that nobody knows (P0001)': refusing('P0001'),
  'connections that are ended again and again (57P01)': striking('pg_terminate_backend'),
  'a server that is down': {
    begin: async (server) => {
      await end(server, 'SIGINT');
      return () => server.server.restart();
    },
  },
  'a server that was killed, and recovers': {
    begin: async ({ server }) => {
      await server.kill();
      return () => server.restart();
    },
  },
  'a server that only reads (25006)': {
    begin: async (server) => {
      await server.ask('ALTER ROLE worker SET default_transaction_read_only = on');
      await server.killAll();
      return async () => {
        await server.ask('ALTER ROLE worker RESET default_transaction_read_only');
        await server.killAll(); // as where it is another server that only reads
      };
    },
  },
  'a user who may not come in any more (28000)': {
    begin: async (server) => {
      await server.ask('ALTER ROLE worker NOLOGIN');
      await server.killAll();
      return () => server.ask('ALTER ROLE worker LOGIN');
    },
  },
  ...commonTroubles,
};
