/**
 * A Redis (or Valkey, or Dragonfly). Calls that are to be answered at once share a connection that fails fast; those that
 * block have one each, which waits for the server to come back.
 */
import type { IQueueBackend, QueueBaseOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { courierKit } from '../../../index.ts';
import { keepToDatabase } from '../../redis-connection.ts';
import type { DeadlineStore } from '../deadlines/deadline-store.ts';
import { RedisDeadlines } from '../deadlines/redis-deadlines.ts';
import { priorityNumbers } from '../job/job-format.ts';
import { loadBullMq, loadIoRedis } from '../peers.ts';
import { RedisClaims } from './redis-claims.ts';
import { answerMs, type BackendSettings, type Claims, closeMs, longestPauseMs, type Server } from './server.ts';
import { RedisWork } from './work/redis-work.ts';
import type { StoredWork } from './work/stored-work.ts';

const { onAbort } = courierKit;

/** As BullMQ's own. */
const defaultPrefix = 'bull';

const retryStrategy = (times: number) => Math.min(50 * 2 ** Math.min(times, 10), longestPauseMs);

/** What blocks asks again after 5 seconds: a connection on which nothing comes for longer is dead. */
const silenceMs = 2 * answerMs;

/** At how many keys one call looks. */
const scannedAtOnce = 1_000;

export class RedisServer implements Server {
  readonly ordersEvents = true;
  readonly #redis: Redis;
  readonly #settings: BackendSettings;
  readonly #prefix: string;
  readonly #shared: IQueueBackend;
  /** With the connections of their own. */
  readonly #blocking = new Map<IQueueBackend, Redis>();
  #isReconnecting = false;
  #isClosed = false;

  /** @throws what the connection fails with. */
  static async connect(
    url: string,
    prefix: string | undefined,
    settings: BackendSettings,
    signal: AbortSignal,
  ): Promise<RedisServer> {
    const { Redis } = loadIoRedis();
    const redis = new Redis(url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: answerMs,
      connectTimeout: answerMs,
      disconnectTimeout: closeMs,
      keepAlive: 10_000,
      retryStrategy,
    });
    let problem: unknown;
    redis.on('error', (error) => {
      problem ??= error; // `connect()` rejects only with the fact that it was closed
    });
    keepToDatabase(redis);
    const unlisten = onAbort(signal, () => redis.disconnect());
    try {
      await redis.connect();
      const server = new RedisServer(redis, prefix ?? defaultPrefix, settings);
      await server.#shared.waitUntilReady();
      return server;
    } catch (error) {
      redis.disconnect();
      throw problem ?? error;
    } finally {
      unlisten();
    }
  }

  private constructor(redis: Redis, prefix: string, settings: BackendSettings) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#settings = settings;
    this.#shared = this.#build('taskwarden');
  }

  /** @param blocking A connection of its own for calls that block. */
  #build(queue: string, blocking?: { readonly main: boolean }): IQueueBackend {
    const { RedisConnection, RedisQueueBackend, QueueKeys } = loadBullMq();
    const redis = blocking && this.#duplicate();
    const own = () => new RedisConnection(redis as Redis, { shared: false, blocking: true });
    const shared = () => new RedisConnection(this.#redis, { shared: true, blocking: false });
    const names = new QueueKeys(this.#prefix);
    const backend = new RedisQueueBackend(
      blocking?.main ? own() : shared(),
      queue,
      names.getKeys(queue),
      (type) => names.toKey(queue, type),
      {
        prefix: this.#prefix,
        lockDuration: this.#settings.leaseMs,
        stalledInterval: this.#settings.stalledIntervalMs,
        maxStalledCount: Number.MAX_SAFE_INTEGER, // how many are too many is for the courier to say
      } as unknown as QueueBaseOptions,
      blocking?.main === false ? own() : undefined,
    );
    backend.on('error', () => {});
    if (redis !== undefined) this.#blocking.set(backend, redis);
    return backend;
  }

  #duplicate(): Redis {
    const redis = this.#redis.duplicate({
      lazyConnect: false,
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      commandTimeout: silenceMs,
      retryStrategy: (times) => (this.#isClosed ? null : retryStrategy(times)),
    });
    redis.on('error', () => {}); // it connects again, and whoever asks it hears of what fails
    keepToDatabase(redis);
    redis.on('connect', () => {
      if (this.#isClosed) redis.disconnect(); // BullMQ was about to connect it again
    });
    return redis;
  }

  backend(queue: string): IQueueBackend {
    return this.#shared.forQueue(queue, this.#prefix);
  }

  async waiting(queue: string): Promise<IQueueBackend> {
    const backend = this.#build(queue, { main: false });
    await backend.waitUntilReady();
    return backend;
  }

  /** A read that was not answered is sent again when the connection is back. */
  async reading(queue: string, onBack: () => void): Promise<IQueueBackend> {
    const backend = this.#build(queue, { main: true });
    await backend.waitUntilReady();
    this.#blocking.get(backend)?.on('ready', onBack);
    return backend;
  }

  /** BullMQ's own call would break the connection of all calls if it were not answered within a second. */
  eventsAfter(queue: string, place: string): ReturnType<IQueueBackend['readEvents']> {
    return this.#redis.xread('STREAMS', this.backend(queue).toKey('events'), place);
  }

  claims(queue: string): Claims {
    return new RedisClaims(this.#redis, this.backend(queue), priorityNumbers.normal);
  }

  /** Each queue has a counter for the ids of its jobs. */
  async queueNames(): Promise<string[]> {
    const [start, end] = [`${this.#prefix}:`, ':id'];
    const pattern = `${start.replaceAll(/[\\*?[\]]/g, '\\$&')}*${end}`;
    const names = new Set<string>();
    for (let cursor: string | undefined; cursor !== '0'; ) {
      const [next, keys] = await this.#redis.scan(cursor ?? 0, 'MATCH', pattern, 'COUNT', scannedAtOnce);
      for (const key of keys) names.add(key.slice(start.length, -end.length));
      cursor = next;
    }
    return [...names].filter((name) => name !== '' && !name.includes(':'));
  }

  work(queue: string): StoredWork {
    return new RedisWork(this.#redis, this.backend(queue));
  }

  deadlines(queue: string): DeadlineStore {
    const backend = this.backend(queue);
    return new RedisDeadlines(this.#redis, (name) => backend.toKey(name));
  }

  /** Once for all whose calls were not answered: they notice it together. */
  reconnect(): void {
    const redis = this.#redis;
    if (this.#isReconnecting || redis.status !== 'ready') return;
    this.#isReconnecting = true;
    redis.once('close', () => {
      this.#isReconnecting = false;
    });
    redis.disconnect(true);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#redis.disconnect();
    for (const [backend, redis] of this.#blocking) {
      void backend.close(true).catch(() => {}); // else it would connect again
      redis.disconnect();
    }
  }
}
