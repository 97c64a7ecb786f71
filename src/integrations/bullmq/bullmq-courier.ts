/**
 * BullMQTaskCourier: tasks for many machines, as ordinary jobs of BullMQ on Redis or PostgreSQL. Needs the packages
 * `bullmq`, and `ioredis` or `pg`.
 */
import { courierKit } from '../../index.ts';
import { ClientSide } from './client/client-side.ts';
import { QueueLimit } from './client/queue-limit.ts';
import { TaskCommands } from './client/task-commands.ts';
import { DeadlineWatch } from './deadlines/deadline-watch.ts';
import { checkPeers } from './peers.ts';
import { Link } from './server/link.ts';
import { PostgresServer } from './server/postgres-server.ts';
import { RedisServer } from './server/redis-server.ts';
import type { BackendSettings, Server } from './server/server.ts';
import { WorkerSide } from './worker/worker-side.ts';

const { checkOptions, rules } = courierKit;

export interface BullMQCourierOptions {
  /**
   * How long a lease lasts unless it is extended, in milliseconds. Workers extend it after a third of this. The tasks of a dead
   * worker go to another after up to one and a half times this. Default: 30,000.
   */
  readonly leaseMs?: number;
  /** How long a result is kept after the end of its task, in milliseconds; failures stay as dead letters. Default: 3,600,000. */
  readonly resultTtlMs?: number;
  /** The prefix of BullMQ's keys on Redis (default: `'bull'`), or the schema of its tables on PostgreSQL (default: `'bullmq'`). */
  readonly prefix?: string;
  /**
   * How many tasks may wait in each queue, delayed ones included. Clients on several machines that add at the same moment can
   * exceed it by what they add. Default: Infinity.
   */
  readonly maxQueued?: number;
  /** A task that has lost so many leases fails with `TASK_STALLED`. Default: 3. */
  readonly maxStalls?: number;
}

const courierRules: Readonly<Record<keyof BullMQCourierOptions, courierKit.Rule>> = {
  leaseMs: rules.positiveMs,
  resultTtlMs: rules.durationMsOrInfinity,
  prefix: rules.string,
  maxQueued: rules.positiveCountOrInfinity,
  maxStalls: rules.positiveCountOrInfinity,
};

/**
 * Carries tasks from clients to workers on any machine, and results back, over a server. It connects at the first call, and
 * again when the connection was lost. While connected it keeps the process alive, until it is closed. In a thread or child it
 * has its own connections. Data, results and messages are JSON.
 *
 * Guarantees: a task that was added is delivered at least once, and settled once. Its order is that of priorities, and first
 * in, first out inside one. Not guaranteed: exactly one delivery; the order of tasks that come back from dead workers.
 */
export class BullMQTaskCourier extends courierKit.CheckedCourier {
  /**
   * @param url `redis://` or `rediss://` (Redis 6.2 or later, Valkey, Dragonfly), or `postgres://` (PostgreSQL 15 or later).
   * @throws TypeError or RangeError for a bad URL or option; TaskwardenError `PEER_MISSING`.
   */
  constructor(url: string, options: BullMQCourierOptions = {}) {
    checkOptions(options, courierRules, 'BullMQTaskCourier');
    const { leaseMs = 30_000, resultTtlMs = 3_600_000, prefix, maxQueued = Infinity, maxStalls = 3 } = options;
    const stalledIntervalMs = Math.max(Math.floor(leaseMs / 4), 10);
    // BullMQ allows one check per interval; the timers of machines may fire a little earlier than that.
    const settings = { leaseMs: Math.ceil(leaseMs), stalledIntervalMs: Math.floor(stalledIntervalMs * 0.9) };
    const link = new Link({ leaseMs: settings.leaseMs, maxStalls }, opener(url, prefix, settings));
    const commands = new TaskCommands();
    const watch = new DeadlineWatch(link, commands);
    super(
      new ClientSide(link, commands, new QueueLimit(link, maxQueued), resultTtlMs, watch),
      new WorkerSide(link, commands, stalledIntervalMs, watch),
    );
  }
}

function opener(
  url: unknown,
  prefix: string | undefined,
  settings: BackendSettings,
): (signal: AbortSignal) => Promise<Server> {
  rules.string(url, 'the URL of BullMQTaskCourier');
  const [scheme] = (url as string).split('://', 1);
  switch (URL.canParse(url as string) ? scheme : undefined) {
    case 'redis':
    case 'rediss':
      checkPeers('BullMQTaskCourier over Redis', ['bullmq', 'ioredis']);
      checkDatabase(url as string);
      return (signal) => RedisServer.connect(url as string, prefix, settings, signal);
    case 'postgres':
    case 'postgresql':
      checkPeers('BullMQTaskCourier over PostgreSQL', ['bullmq', 'pg']);
      return (signal) => PostgresServer.connect(url as string, prefix, settings, signal);
    default:
      throw new TypeError('the URL of BullMQTaskCourier must begin with redis://, rediss:// or postgres://');
  }
}

/** For a path that is not a number, ioredis would use database 0. */
function checkDatabase(url: string): void {
  const { pathname, searchParams } = new URL(url);
  for (const database of [pathname.slice(1), searchParams.get('db') ?? '']) {
    if (/^\d*$/.test(database)) continue;
    throw new TypeError(
      `the path of the URL of BullMQTaskCourier is the number of a database, as in redis://localhost:6379/1; got '${database}'`,
    );
  }
}
