/**
 * A connection of its own to Redis. When it is lost, ioredis opens it again, and this is reported: a call that was under
 * way is then neither answered nor repeated, for nobody knows whether Redis has done it. What Redis refuses at first is for
 * good; later it is an outage, as all else, but for a key of another type.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Redis, RedisOptions } from 'ioredis';
import { is, type Rule } from '../base/options.ts';
import { courierKit, TaskwardenError } from '../index.ts';
import { isRefusalOfRedis, isReply, keepToDatabase } from './redis-connection.ts';

const { backoffMs, fieldOf, messageOf, pause, serverError } = courierKit;

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

/** A connection on which no answer comes for so many milliseconds counts as dead, whatever its state is. */
const silenceMs = 15_000;

/** Before a command that Redis refused is sent again: the first pause, and the longest, in milliseconds. */
const firstPauseMs = 100;
const longestPauseMs = 2_000;

/** The connection went while a command was under way, or Redis can't do it now. */
export class NotAnswered extends Error {
  constructor(thrown: unknown) {
    const cause = serverError(thrown);
    super(`Redis can't be reached, or can't do it: ${cause.message}`, { cause });
    this.name = 'NotAnswered';
  }
}

const ownOptions = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false, // where it is refused then, nobody hears of it
  maxRetriesPerRequest: null,
  socketTimeout: silenceMs,
  // A pop takes its time, and one that ioredis gave up could still be done.
  commandTimeout: undefined,
  blockingTimeout: undefined,
};

export class Client {
  readonly #redis: Redis;
  readonly #report: (error: Error) => void;
  readonly #end = new AbortController();
  #isAdmitted = false;
  #refusal: Error | undefined;
  /** How often in a row Redis could not do what it was asked. */
  #failures = 0;
  #isTold = false;
  /** Rejects the calls that are not answered yet. */
  readonly #unanswered = new Set<() => void>();
  /** Of the last try to connect. */
  #problem: unknown = new Error('it can not be connected');

  private constructor(redis: Redis, report: (error: Error) => void) {
    this.#redis = redis;
    this.#report = report;
    redis.setMaxListeners(0); // many may wait until it is connected
    keepToDatabase(redis);
    redis.on('close', () => {
      for (const lose of this.#unanswered) lose();
    });
    redis.on('error', (error: Error) => {
      this.#problem = error;
      if (!this.#isAdmitted && isRefusalOfRedis(error)) this.#refusal = refused(error);
      else if (this.#refusal === undefined) this.#note(new NotAnswered(error));
    });
    redis.on('ready', () => {
      this.#refusal = undefined;
    });
  }

  /**
   * Does not wait until it is connected.
   * @param report Called once for each outage.
   * @param user What of this package needs ioredis.
   */
  static async open(
    connection: RedisConnection,
    name: string,
    report: (error: Error) => void,
    user = 'taskwarden/redis',
  ): Promise<Client> {
    const client = new Client(await make(connection, { ...ownOptions, connectionName: name }, user), report);
    client.#redis.connect().catch(() => {}); // it tries again, and what can't be mended is in the event
    return client;
  }

  /** Redis has done what this is for: what it refuses from now on is an outage. */
  admit(): void {
    this.#isAdmitted = true;
  }

  #note(error: Error): void {
    if (this.#isTold || this.#end.signal.aborted) return;
    this.#isTold = true;
    this.#report(error);
  }

  /** To listen on. */
  get redis(): Redis {
    return this.#redis;
  }

  /** Resolves when it is connected; rejects if Redis refuses the user, or ioredis has given up. */
  ready(): Promise<void> {
    return this.#until(() => this.#redis.status === 'ready');
  }

  /** Resolves when it is not connected any more; rejects as `ready()`. */
  lost(): Promise<void> {
    return this.#until(() => !['ready', 'end'].includes(this.#redis.status));
  }

  #until(isReached: () => boolean): Promise<void> {
    const redis = this.#redis;
    if (isReached()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = () => {
        if (isReached()) resolve();
        else if (this.#refusal !== undefined) reject(this.#refusal);
        else if (redis.status === 'end')
          reject(refused(new Error('the connection to Redis is closed, and is not opened again')));
        else return;
        for (const event of events) redis.off(event, settle);
      };
      const events = ['ready', 'error', 'close', 'end'];
      for (const event of events) redis.on(event, settle);
      settle();
    });
  }

  /**
   * Waits until it is connected. Rejects with what Redis refuses, or NotAnswered: never before the next turn of the event
   * loop, for ioredis says `ready` until it has heard that its socket was closed, and who asks again at once would hinder that.
   */
  async call<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    await this.ready();
    const redis = this.#redis;
    let lose = () => {};
    const lost = new Promise<never>((_, reject) => {
      lose = () => reject(new Error('the connection was lost'));
    });
    this.#unanswered.add(lose);
    try {
      const answer = await Promise.race([command(redis), lost]);
      this.#failures = 0;
      this.#isTold = false;
      return answer;
    } catch (error) {
      if (error instanceof TypeError) throw error;
      if (isOfOtherType(error) || (!this.#isAdmitted && isRefusalOfRedis(error))) throw refused(error);
      const problem = new NotAnswered(error);
      this.#note(problem);
      this.#failures += 1;
      if (isReply(error))
        await pause(
          backoffMs({ minMs: firstPauseMs / 2, maxMs: longestPauseMs, jitter: 1 }, this.#failures),
          this.#end.signal,
        );
      await nextTurn();
      throw problem;
    } finally {
      this.#unanswered.delete(lose);
    }
  }

  /** The same, but where it is not connected, it waits only for the next try to connect. */
  async attempt<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = this.#redis;
    let isTried = false;
    const close = () => {
      isTried = true;
    };
    redis.once('close', close);
    try {
      await this.#until(() => isTried || redis.status === 'ready');
    } finally {
      redis.off('close', close);
    }
    if (isTried) throw new NotAnswered(this.#problem);
    return this.call(command);
  }

  /** The same until it is answered: for what may be done twice. */
  async insist<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await this.call(command);
      } catch (error) {
        if (!(error instanceof NotAnswered)) throw error;
      }
    }
  }

  close(): void {
    this.#end.abort();
    this.#redis.disconnect();
    // Its timer for an answer that does not come goes on, and would keep the process alive.
    const timer = fieldOf(this.#redis, 'socketTimeoutTimer');
    if (typeof fieldOf(timer, 'unref') === 'function') (timer as NodeJS.Timeout).unref();
  }
}

async function make(connection: RedisConnection, own: object, user: string): Promise<Redis> {
  if (isClient(connection)) return connection.duplicate(own);
  const IoRedis = await loadIoredis(user);
  return typeof connection === 'string' ? new IoRedis(connection, own) : new IoRedis({ ...connection, ...own });
}

function isClient(connection: RedisConnection): connection is Redis {
  return typeof connection === 'object' && 'duplicate' in connection;
}

async function loadIoredis(user: string): Promise<typeof Redis> {
  try {
    return (await import('ioredis')).Redis;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    const message = `${user} needs the package ioredis: npm install ioredis`;
    throw new TaskwardenError('PEER_MISSING', message, { cause });
  }
}

/** In the words of Redis; not with the command that it was, which has passwords and data. */
function refused(error: unknown): TaskwardenError {
  const cause = serverError(error);
  return new TaskwardenError('SERVER_REFUSED', cause.message, { cause });
}

/** The key has something that is no list: no time mends that. */
function isOfOtherType(error: unknown): boolean {
  return isReply(error) && messageOf(error).startsWith('WRONGTYPE');
}
