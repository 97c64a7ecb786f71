/**
 * A PostgreSQL. BullMQ's tables are made in a schema of their own, when they are not there. A pool serves the calls that are
 * to be answered at once; what waits or reads has a connection of its own, too.
 */
import type { Socket } from 'node:net';
import type { IQueueBackend, PostgresConnectionOptions, QueueBaseOptions } from 'bullmq';
import type { Client, ClientConfig, Pool, PoolClient } from 'pg';
import { courierKit } from '../../../index.ts';
import type { DeadlineStore } from '../deadlines/deadline-store.ts';
import { PostgresDeadlines } from '../deadlines/postgres-deadlines.ts';
import { priorityNumbers } from '../job/job-format.ts';
import { loadBullMq, loadPg } from '../peers.ts';
import { PostgresClaims } from './postgres-claims.ts';
import { answerMs, type BackendSettings, type Claims, closeMs, type Server } from './server.ts';
import { Sockets } from './sockets.ts';
import { PostgresWork } from './work/postgres-work.ts';
import type { StoredWork } from './work/stored-work.ts';

const { onAbort, Timer } = courierKit;

/** As BullMQ's own. */
const defaultSchema = 'bullmq';

/** What connections are called that wait for jobs, in `pg_stat_activity`. */
const waitingName = 'taskwarden:waiting';

/** Connections for calls that are answered at once. */
const poolSize = 8;

/** From one to the next by the index: there may be many jobs in each. */
const queueNames = `
WITH RECURSIVE names AS (
  (SELECT queue FROM job ORDER BY queue LIMIT 1)
  UNION ALL
  SELECT (SELECT queue FROM job WHERE queue > names.queue ORDER BY queue LIMIT 1) FROM names WHERE names.queue IS NOT NULL
)
SELECT queue FROM names WHERE queue IS NOT NULL`;

export class PostgresServer implements Server {
  readonly ordersEvents = false;
  readonly #url: string;
  readonly #schema: string;
  readonly #settings: BackendSettings;
  readonly #pool: Pool;
  readonly #shared: IQueueBackend;
  readonly #sockets: Sockets;
  readonly #backends: IQueueBackend[] = [];

  /** @throws what the connection, or the making of the tables, fails with. */
  static async connect(
    url: string,
    prefix: string | undefined,
    settings: BackendSettings,
    signal: AbortSignal,
  ): Promise<PostgresServer> {
    const schema = prefix ?? defaultSchema;
    const { Pool } = loadPg();
    const options = `-c search_path=${loadBullMq().quoteSchemaName(schema)}`;
    const sockets = new Sockets();
    const unlisten = onAbort(signal, () => sockets.destroy());
    const pool = new Pool({ ...connectionTo(url, sockets), max: 2, options });
    pool.on('error', () => {}); // of a connection that was idle: the next query makes a new one
    try {
      const client = await pool.connect();
      try {
        await migrate(client, schema);
      } finally {
        client.release();
      }
      const server = new PostgresServer(url, schema, settings, pool, sockets);
      await server.#shared.waitUntilReady();
      return server;
    } catch (error) {
      sockets.destroy();
      throw error;
    } finally {
      unlisten();
    }
  }

  private constructor(url: string, schema: string, settings: BackendSettings, pool: Pool, sockets: Sockets) {
    this.#url = url;
    this.#schema = schema;
    this.#settings = settings;
    this.#pool = pool;
    this.#sockets = sockets;
    this.#shared = this.#build('taskwarden', poolSize);
  }

  /** @param waiting For what waits for jobs on a connection of its own: gets all sockets that are open. */
  #build(queue: string, max: number, waiting?: Set<Socket>): IQueueBackend {
    const stream = () => {
      const socket = this.#sockets.make();
      waiting?.add(socket);
      socket.once('close', () => waiting?.delete(socket));
      return socket;
    };
    const connection: PostgresConnectionOptions = {
      ...connectionTo(this.#url, this.#sockets),
      stream,
      schema: this.#schema,
      max,
    };
    const options = {
      connection,
      lockDuration: this.#settings.leaseMs,
    } as unknown as QueueBaseOptions<PostgresConnectionOptions>;
    const { PostgresConnection, PostgresQueueBackend } = loadBullMq();
    const connected = new PostgresConnection(connection);
    Object.assign(connected, { pgModule: { Client: quietClient() } }); // what listens is made by it, and not by the pool
    const backend = new PostgresQueueBackend(connected, queue, options, true, waiting && queue);
    backend.on('error', () => {});
    this.#backends.push(backend);
    return backend;
  }

  backend(queue: string): IQueueBackend {
    return this.#shared.forQueue(queue);
  }

  /**
   * A connection that only listens is silent when it is well, and when it is dead: after a wait that nothing has ended it is
   * asked something, and replaced if it does not answer.
   */
  async waiting(queue: string): Promise<IQueueBackend> {
    const sockets = new Set<Socket>();
    const backend = await this.#ready(this.#build(queue, 1, sockets));
    const wait = backend.waitForJob.bind(backend);
    backend.waitForJob = async (seconds) => {
      const signal = await wait(seconds);
      if (signal !== null) return signal;
      try {
        await backend.setName(waitingName);
      } catch (error) {
        for (const socket of sockets) socket.destroy();
        throw error;
      }
      return signal;
    };
    return backend;
  }

  async reading(queue: string): Promise<IQueueBackend> {
    return this.#ready(this.#build(queue, 1));
  }

  /** A backend that could not connect at first never does. */
  async #ready(backend: IQueueBackend): Promise<IQueueBackend> {
    try {
      await backend.waitUntilReady();
      return backend;
    } catch (error) {
      await backend.close().catch(() => {});
      throw error;
    }
  }

  eventsAfter(queue: string, place: string): ReturnType<IQueueBackend['readEvents']> {
    return this.backend(queue).readEvents(place, 1); // one that shares its connection does not wait
  }

  claims(queue: string): Claims {
    return new PostgresClaims(this.#pool, queue, priorityNumbers.normal, this.#settings.stalledIntervalMs);
  }

  async queueNames(): Promise<string[]> {
    const { rows } = await this.#pool.query(queueNames);
    return rows.map(({ queue }) => queue as string);
  }

  work(queue: string): StoredWork {
    return new PostgresWork(this.#pool, queue);
  }

  deadlines(queue: string): DeadlineStore {
    return new PostgresDeadlines(this.#pool, queue);
  }

  reconnect(): void {
    // A query that is not answered ends its connection, and the pool makes another.
  }

  async close(): Promise<void> {
    const backends = this.#backends.splice(0);
    const closed = Promise.allSettled([this.#pool.end(), ...backends.map((backend) => backend.disconnect())]);
    const timer = new Timer(closeMs, () => this.#sockets.destroy());
    await closed;
    timer.cancel();
    this.#sockets.destroy(); // of what was about to connect
  }
}

/**
 * Makes BullMQ's tables, or brings them up to date. Where they are, this only reads: BullMQ would alter one of them each time,
 * which takes long, and waits for all who read it, such as a backup. Machines that come at once take turns, and look again.
 */
async function migrate(client: PoolClient, schema: string): Promise<void> {
  const { assertSchemaCompatibility, LATEST_SCHEMA_VERSION, runMigrations, SchemaMigrationRequiredError } =
    loadBullMq();
  try {
    if ((await assertSchemaCompatibility(client, schema)) >= LATEST_SCHEMA_VERSION) return;
  } catch (error) {
    if (!(error instanceof SchemaMigrationRequiredError)) throw error;
  }
  await runMigrations(client, schema);
}

function connectionTo(url: string, sockets: Sockets) {
  return {
    Client: quietClient(),
    stream: () => sockets.make(),
    connectionString: url,
    keepAlive: true,
    connectionTimeoutMillis: answerMs,
    query_timeout: answerMs,
  };
}

/**
 * A connection that breaks emits an error that nobody needs, and may do so before anybody listens, or when nobody does any more:
 * that would end the process.
 */
function quietClient(): new (config?: string | ClientConfig) => Client {
  const { Client } = loadPg();
  return class QuietClient extends Client {
    override emit(event: string | symbol, ...args: unknown[]): boolean {
      if (event === 'error' && this.listenerCount(event) === 0) return false;
      return super.emit(event as never, ...(args as never[]));
    }
  };
}
