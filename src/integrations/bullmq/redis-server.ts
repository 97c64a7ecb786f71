/**
 * A Redis (or Valkey, or Dragonfly). Calls that are to be answered at once share a connection that fails fast; those that
 * block have one each, which waits for the server to come back.
 */
import type { IQueueBackend, QueueBaseOptions } from 'bullmq';
import type { Redis, RedisOptions } from 'ioredis';
import { priorityNumbers } from './job-format.ts';
import { loadBullMq, loadIoRedis } from './peers.ts';
import { RedisClaims } from './redis-claims.ts';
import { answerMs, type BackendSettings, type Claims, longestPauseMs, type Server } from './server.ts';

/** As BullMQ's own. */
const defaultPrefix = 'bull';

const retryStrategy = (times: number) => Math.min(50 * 2 ** Math.min(times, 10), longestPauseMs);

export class RedisServer implements Server {
  readonly #redis: Redis;
  readonly #settings: BackendSettings;
  readonly #prefix: string;
  readonly #shared: IQueueBackend;

  /** @throws what the connection fails with. */
  static async connect(url: string, prefix: string | undefined, settings: BackendSettings): Promise<RedisServer> {
    const { Redis } = loadIoRedis();
    const redis = new Redis(url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: answerMs,
      connectTimeout: answerMs,
      keepAlive: 10_000,
      retryStrategy,
    });
    let problem: unknown;
    redis.on('error', (error) => {
      problem = error; // what `connect()` rejects with says only that it was closed
    });
    try {
      await redis.connect();
      const server = new RedisServer(redis, prefix ?? defaultPrefix, settings);
      await server.#shared.waitUntilReady();
      return server;
    } catch (error) {
      redis.disconnect();
      throw problem ?? error;
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
    const own = () => {
      const redis = this.#redis.duplicate(blockingOptions);
      redis.on('error', () => {}); // it connects again, and whoever asks it hears of what fails
      return new RedisConnection(redis, { shared: false, blocking: true });
    };
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
    return backend;
  }

  backend(queue: string): IQueueBackend {
    return this.#shared.forQueue(queue, this.#prefix);
  }

  async waiting(queue: string): Promise<IQueueBackend> {
    const backend = this.#build(queue, { main: false });
    await backend.waitUntilReady();
    return backend;
  }

  async reading(queue: string): Promise<IQueueBackend> {
    const backend = this.#build(queue, { main: true });
    await backend.waitUntilReady();
    return backend;
  }

  claims(queue: string): Claims {
    return new RedisClaims(this.#redis, this.backend(queue), priorityNumbers.normal);
  }

  reconnect(): void {
    this.#redis.disconnect(true);
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }
}

const blockingOptions: Partial<RedisOptions> = {
  lazyConnect: false,
  enableOfflineQueue: true,
  maxRetriesPerRequest: null,
  commandTimeout: undefined,
};
