/** The connections of a worker: for commands, for results if they are elsewhere, for what is published, and to wait for messages. */
import { Client, type RedisConnection } from '../../redis-client.ts';
import type { CeleryConnectionOptions } from '../connection-options.ts';
import { Names } from '../protocol/names.ts';

export interface Connections {
  readonly broker: Client;
  /** The broker, unless results are elsewhere. */
  readonly backend: Client;
  readonly subscriber: Client;
  readonly watcher: Client;
  readonly names: Names;
  close(): void;
}

/** Does not wait until they are connected. @param report Called once for each outage. */
export async function openConnections(
  options: CeleryConnectionOptions,
  report: (error: Error) => void,
): Promise<Connections> {
  const { broker, backend = broker, keyPrefix, resultKeyPrefix } = options;
  const clients: Client[] = [];
  const close = () => {
    for (const client of clients) client.close();
  };
  const open = async (connection: RedisConnection, reports: (error: Error) => void) => {
    const client = await Client.open(connection, 'taskwarden:celery', reports, 'taskwarden/celery');
    clients.push(client);
    return client;
  };
  try {
    const toBroker = await open(broker, report);
    const silent = () => {}; // what they meet, the first one meets, too
    return {
      broker: toBroker,
      backend: backend === broker ? toBroker : await open(backend, report),
      subscriber: await open(broker, silent),
      watcher: await open(broker, silent),
      names: new Names({ database: toBroker.redis.options.db ?? 0, keyPrefix, resultKeyPrefix }),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}
