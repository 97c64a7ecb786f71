/**
 * The connections to a broker and its result backend, which all calls with the same options share. They are opened for a
 * call, and closed when there has been none for a while, so that they don't keep the process alive.
 */
import { courierKit } from '../../../index.ts';
import { Client, NotAnswered, type RedisConnection } from '../../redis-client.ts';
import type { CeleryConnectionOptions } from '../connection-options.ts';
import { Names } from '../protocol/names.ts';
import { ResultWaits } from './result-waits.ts';

const { callSafely, Timer } = courierKit;

/** How long connections that nobody uses stay open, in milliseconds. */
const idleMs = 500;

/** Opened connections. */
export interface Link {
  readonly broker: Client;
  readonly backend: Client;
  readonly names: Names;
  readonly waits: ResultWaits;
}

export class SharedLink {
  readonly #options: CeleryConnectionOptions;
  #opened: Promise<Link> | undefined;
  #users = 0;
  #idle: InstanceType<typeof Timer> | undefined;

  constructor(options: CeleryConnectionOptions) {
    this.#options = options;
  }

  /** Whether these options are for the same connections. */
  isFor(options: CeleryConnectionOptions): boolean {
    const keys = ['broker', 'backend', 'keyPrefix', 'resultKeyPrefix', 'onError'] as const;
    return keys.every((key) => options[key] === this.#options[key]);
  }

  /** The connections are there until the promise settles. */
  async use<R>(work: (link: Link) => Promise<R>): Promise<R> {
    this.#users += 1;
    this.#idle?.cancel();
    this.#opened ??= this.#open();
    try {
      return await work(await this.#opened);
    } finally {
      this.#users -= 1;
      if (this.#users === 0) this.#idle = new Timer(idleMs, () => void this.#close());
    }
  }

  async #open(): Promise<Link> {
    const { broker, backend = broker, keyPrefix, resultKeyPrefix } = this.#options;
    const clients: Client[] = [];
    const open = async (connection: RedisConnection, report: (error: Error) => void) => {
      const client = await Client.open(connection, 'taskwarden:celery', report, 'taskwarden/celery');
      clients.push(client);
      return client;
    };
    try {
      const toBroker = await open(broker, this.#report);
      const toBackend = backend === broker ? toBroker : await open(backend, this.#report);
      const subscriber = await open(backend, () => {}); // what it meets, the other one meets, too
      const names = new Names({ database: toBroker.redis.options.db ?? 0, keyPrefix, resultKeyPrefix });
      return { broker: toBroker, backend: toBackend, names, waits: new ResultWaits(subscriber, toBackend, names) };
    } catch (error) {
      for (const client of clients) client.close();
      this.#opened = undefined;
      throw error;
    }
  }

  readonly #report = (error: Error): void => {
    if (this.#users === 0) return;
    const report = this.#options.onError ?? ((problem: Error) => console.warn(`celeryTask(): ${problem.message}`));
    callSafely(report, error, () => {});
  };

  async #close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    const link = await opened;
    link?.waits.close();
    link?.broker.close();
    link?.backend.close();
  }
}

const links: SharedLink[] = [];

/** The one for these options. */
export function linkFor(options: CeleryConnectionOptions): SharedLink {
  let link = links.find((each) => each.isFor(options));
  if (link === undefined) {
    link = new SharedLink(options);
    links.push(link);
  }
  return link;
}

/** Whether Redis could not be asked, or its answer is not known. */
export function isNotAnswered(error: unknown): boolean {
  return error instanceof NotAnswered;
}
