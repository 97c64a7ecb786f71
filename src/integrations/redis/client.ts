/**
 * A connection of its own to Redis. It comes back when it is lost, as ioredis does it, and says so: a call that was under
 * way is then neither answered nor repeated, for nobody knows whether Redis has done it.
 */
import { setImmediate as nextTurn, setTimeout } from 'node:timers/promises';
import type { Redis, RedisOptions } from 'ioredis';
import { is, type Rule } from '../../base/options.ts';
import { courierKit, TaskwardenError } from '../../index.ts';

const { serverError } = courierKit;

/** A URL, the options of ioredis, or a client of it, which is left alone: what is needed is opened beside it. */
export type RedisConnection = string | RedisOptions | Redis;

export const connectionRule: Rule = is(
  'a Redis URL, the options of ioredis, or a client of it that is no cluster',
  (value) =>
    (typeof value === 'string' && value !== '') ||
    (typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      !('isCluster' in value && value.isCluster)),
);

/** A connection on which no answer comes for so many milliseconds is dead, whatever the system says. */
const silenceMs = 15_000;

/** Before Redis is asked again when it said that it can't yet. */
const passingMs = 100;

/** The connection went while a command was under way. */
export class ConnectionLost extends Error {}

const ownOptions = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: null,
  socketTimeout: silenceMs,
  // A pop takes its time, and one that ioredis gave up could still be done.
  commandTimeout: undefined,
  blockingTimeout: undefined,
};

export class Client {
  readonly #redis: Redis;
  #refusal: Error | undefined;

  private constructor(redis: Redis) {
    this.#redis = redis;
    redis.on('error', (error: Error) => {
      if (isRefusal(error)) this.#refusal = refused(error);
    });
    redis.on('ready', () => {
      this.#refusal = undefined;
    });
  }

  /** Does not wait until it is connected. */
  static async open(connection: RedisConnection, name: string): Promise<Client> {
    const client = new Client(await make(connection, { ...ownOptions, connectionName: name }));
    client.#redis.connect().catch(() => {}); // it tries again, and what can't be mended is in the event
    return client;
  }

  /** To listen on. */
  get redis(): Redis {
    return this.#redis;
  }

  /** Resolves when it is connected; rejects if Redis refuses the user, or ioredis has given up. */
  ready(): Promise<void> {
    return this.#until(() => this.#redis.status === 'ready');
  }

  /** Rejects if it is disconnected for good, for one of these reasons. */
  gone(): Promise<void> {
    return this.#until(() => false);
  }

  #until(isReached: () => boolean): Promise<void> {
    const redis = this.#redis;
    return new Promise((resolve, reject) => {
      const settle = () => {
        if (isReached()) resolve();
        else if (this.#refusal !== undefined) reject(this.#refusal);
        else if (redis.status === 'end')
          reject(refused(new Error('the connection to Redis is closed, and is not opened again')));
        else return;
        for (const event of events) redis.off(event, settle);
      };
      const events = ['ready', 'error', 'end'];
      for (const event of events) redis.on(event, settle);
      settle();
    });
  }

  /**
   * Waits until it is connected. Rejects with what Redis answers, or ConnectionLost: never before the next turn of the event
   * loop, for ioredis says `ready` until it has heard that its socket was closed, and who asks again at once would hinder that.
   */
  async call<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    await this.ready();
    const redis = this.#redis;
    let lose = () => {};
    const lost = new Promise<never>((_, reject) => {
      lose = () => reject(new ConnectionLost('the connection to Redis was lost'));
    });
    redis.once('close', lose);
    try {
      return await Promise.race([command(redis), lost]);
    } catch (error) {
      if (error instanceof TypeError) throw error;
      if (isAnswer(error) && !isPassing(error)) throw refused(error);
      await (isAnswer(error) ? setTimeout(passingMs) : nextTurn());
      throw new ConnectionLost('the connection to Redis was lost', { cause: serverError(error) });
    } finally {
      redis.off('close', lose);
    }
  }

  /** The same until it is answered: for what may be done twice. */
  async insist<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await this.call(command);
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
      }
    }
  }

  close(): void {
    this.#redis.disconnect();
  }
}

async function make(connection: RedisConnection, own: object): Promise<Redis> {
  if (isClient(connection)) return connection.duplicate(own);
  const IoRedis = await loadIoredis();
  return typeof connection === 'string' ? new IoRedis(connection, own) : new IoRedis({ ...connection, ...own });
}

function isClient(connection: RedisConnection): connection is Redis {
  return typeof connection === 'object' && 'duplicate' in connection;
}

async function loadIoredis(): Promise<typeof Redis> {
  try {
    return (await import('ioredis')).Redis;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    const message = 'taskwarden/redis needs the package ioredis: npm install ioredis';
    throw new TaskwardenError('PEER_MISSING', message, { cause });
  }
}

/** In the words of Redis; not with the command that it was, which has passwords and data. */
function refused(error: Error): TaskwardenError {
  const cause = serverError(error);
  return new TaskwardenError('SERVER_REFUSED', cause.message, { cause });
}

/** Redis has said it, and the connection is sound. */
function isAnswer(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** Of a Redis that starts, or changes its role. */
function isPassing({ message }: Error): boolean {
  return /^(LOADING|UNBLOCKED|MASTERDOWN|READONLY|TRYAGAIN)\b/.test(message);
}

/** No further attempt would be let in: a wrong password, no password, a database that is not there. */
function isRefusal(error: Error): boolean {
  return (isAnswer(error) && !isPassing(error)) || /^Ready check failed: (NOAUTH|NOPERM)\b/.test(error.message);
}
