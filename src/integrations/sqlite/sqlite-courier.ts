/**
 * SqliteTaskCourier: durable tasks for the programs of one machine, in a file, without a server. Needs Node 22.13 or later,
 * or the package `better-sqlite3`.
 */
import { resolve } from 'node:path';
import { courierKit, TaskwardenError } from '../../index.ts';
import { ClientSide } from './client-side.ts';
import { findDriver } from './driver.ts';
import { refusalOf } from './refusals.ts';
import { Subscriptions } from './subscriptions.ts';
import { checkThread, ThreadLink } from './thread-link.ts';
import { WorkerSide } from './worker-side.ts';

const { checkOptions, rules } = courierKit;

export interface SqliteCourierOptions {
  /** How long a lease lasts unless it is extended, in milliseconds. Default: 30,000. */
  readonly leaseMs?: number;
  /** How long a result is kept after the end of its task, in milliseconds; failures stay as dead letters. Default: 3,600,000. */
  readonly resultTtlMs?: number;
  /** How many tasks may wait in each queue, delayed ones included. Default: Infinity. */
  readonly maxQueued?: number;
  /** A task that has lost so many leases fails with `TASK_STALLED`; it is for the courier of the last worker to say. Default: 3. */
  readonly maxStalls?: number;
  /**
   * How long a call waits while another program writes, in milliseconds, before it fails with `COURIER_UNREACHABLE`.
   * Default: 5,000.
   */
  readonly busyTimeoutMs?: number;
}

const courierRules: Readonly<Record<keyof SqliteCourierOptions, courierKit.Rule>> = {
  leaseMs: rules.positiveMs,
  resultTtlMs: rules.durationMsOrInfinity,
  maxQueued: rules.positiveCountOrInfinity,
  maxStalls: rules.positiveCountOrInfinity,
  busyTimeoutMs: rules.durationMs,
};

/**
 * Carries tasks from clients to workers, and results back, over a file that the programs of one machine share. What was
 * added, and what was returned, is on the disk when the promise resolves. The file is opened at the first call. It keeps the
 * process alive while a call waits, or a queue is subscribed to. Data, results and messages are JSON.
 *
 * Guarantees: a task that was added is delivered at least once, and settled once. Its order is that of priorities, and first
 * in, first out inside one. Not guaranteed: exactly one delivery.
 */
export class SqliteTaskCourier extends courierKit.CheckedCourier {
  /**
   * @param path Of the file, which is made if it is missing, in a folder that exists on a local disk.
   * @throws TypeError or RangeError for a bad path or option; TaskwardenError `PEER_MISSING`.
   */
  constructor(path: string, options: SqliteCourierOptions = {}) {
    checkPath(path);
    checkOptions(options, courierRules, 'SqliteTaskCourier');
    const { leaseMs = 30_000, resultTtlMs = 3_600_000, maxQueued = Infinity, maxStalls = 3 } = options;
    const found = findDriver();
    if ('problem' in found) throw new TaskwardenError('PEER_MISSING', `SqliteTaskCourier needs ${found.problem}`);
    checkThread();
    const settings = {
      path: resolve(path),
      leaseMs,
      resultTtlMs,
      maxQueued,
      maxStalls,
      busyTimeoutMs: Math.ceil(options.busyTimeoutMs ?? 5_000),
      answered: new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT),
    };
    const subscriptions = new Subscriptions();
    const link: ThreadLink = new ThreadLink(settings, found.driver, {
      onNotice: (notice) => {
        if (notice.kind !== 'outage') subscriptions.onNotice(notice);
        else worker.reportOutage(refusalOf(notice.failure, '', settings, { what: 'no task was fetched' }));
      },
      onRestart: () => void client.listenAgain().catch(() => {}),
    });
    const client = new ClientSide(link, subscriptions);
    const worker = new WorkerSide(link, subscriptions);
    super(client, worker);
  }
}

function checkPath(path: unknown): void {
  rules.string(path, 'the path of SqliteTaskCourier');
  if (path !== ':memory:' && !(path as string).startsWith('file:')) return;
  const instead = path === ':memory:' ? 'MemoryTaskCourier keeps tasks in memory' : 'give a path, and no URL';
  throw new TypeError(`the path of SqliteTaskCourier must be that of a file; got '${path}': ${instead}`);
}
