/**
 * A lane of hosts that each run one batch at a time: how tasks go to them and come back. A task that finds no idle host
 * gets a new one; those that a host's death did not concern are given back.
 * It holds no queue: what it is handed may start now.
 */
import { TaskwardenError } from '../../base/errors.ts';
import { now, thisMoment } from '../../platform/clock.ts';
import { clearTimeout, setTimeout } from '../../platform/globals.ts';
import type { HostSupply } from '../../queue/host-ceiling.ts';
import { batchMs } from '../../queue/run-time-estimate.ts';
import type { TaskMessage } from '../../task/inside/task-message.ts';
import { HostPool, type HostPoolSettings } from '../host-pool/host-pool.ts';
import type {
  Batch,
  HostKind,
  HostWatcher,
  Lane,
  LaneListener,
  LaneOutcome,
  LaneTask,
  TaskReach,
  Withdrawal,
} from '../lane.ts';
import { ControlBlock } from '../wire/control-block.ts';
import { decodeThrown } from '../wire/error-codec.ts';
import { unpackMessage } from '../wire/wire-message.ts';
import type { LaneReply, StartHost } from './host.ts';
import { HostConnection } from './host-connection.ts';
import { isModuleFailure, LoadFailures } from './load-failures.ts';
import { type LoadLimits, LoadWatch, loadLimits, loadOf } from './load-watch.ts';
import { taskSendError } from './send-failure.ts';
import { Suspects } from './suspects.ts';

/** What a batch has not begun by then is taken back: something in it runs longer than was thought. In milliseconds. */
const recallMs = 2 * batchMs;

/** A host that has not answered for so long is ended with the task that is to be ended. In milliseconds. */
const unresponsiveMs = 1_000;

interface HostLaneParts {
  readonly watcher: HostWatcher;
  readonly startHost: StartHost;
  /** Default: `loadLimits`. */
  readonly limits?: LoadLimits;
}

export class HostLane<T extends LaneTask> implements Lane<T>, HostSupply {
  #listener!: LaneListener<T>;
  readonly #pool: HostPool<T>;
  readonly #failures = new LoadFailures();
  readonly #loads: LoadWatch<T>;
  readonly #suspects = new Suspects<T>();
  #recallTimer: NodeJS.Timeout | undefined;

  constructor(kind: HostKind, options: HostPoolSettings, { watcher, startHost, limits = loadLimits }: HostLaneParts) {
    this.#pool = new HostPool<T>(kind, options, {
      watcher,
      startHost,
      newConnection: () => new HostConnection<T>(this.#listener),
      begin: (connection) => this.#start(connection),
      reply: (connection, reply) =>
        this.#reply(connection, reply, (problem) => watcher.teardownFailed(kind, connection.id, problem)),
      unreadable: (connection, problem) => this.#onUnreadable(connection, problem),
      died: (connection, exit, isFinal) => {
        if (connection.size > 0) this.#vacate(connection);
        else this.#listener.departed();
        this.#return(connection.onExit(exit, isFinal, this.#suspects));
      },
    });
    this.#loads = new LoadWatch<T>({
      limits,
      connections: this.#pool,
      slow: (connection) => watcher.loadsLong(kind, connection.id, whatLoads(connection), limits.warnMs),
      late: (connection) => this.#abandon(connection, limits.failMs),
    });
  }

  subscribe(listener: LaneListener<T>): void {
    this.#listener = listener;
  }

  /** How many hosts there are, and how many of them are idle. */
  get size(): { readonly total: number; readonly idle: number } {
    return this.#pool.size;
  }

  get leaving(): number {
    return this.#pool.leaving;
  }

  hasHostFor(held: number, most: number): boolean {
    return this.#pool.hasHostFor(held, most);
  }

  /** Starts the hosts that are always kept, and ends those that are too many. Options of hosts hold for new ones. */
  configure(options: HostPoolSettings): void {
    this.#pool.configure(options);
  }

  ready(): Promise<void> {
    return this.#pool.ready();
  }

  recycle(): Promise<void> {
    return this.#pool.recycle();
  }

  async close(graceMs: number): Promise<void> {
    clearTimeout(this.#recallTimer);
    this.#loads.unwatch();
    await this.#pool.close(graceMs);
  }

  *[Symbol.iterator](): Generator<T> {
    for (const connection of this.#pool) yield* connection;
  }

  /** A definition is loaded for one task; only then can more of it go together. */
  roomFor(task: T): number {
    return this.#pool.nextIdle?.hasLoaded(task) && !this.#suspects.has(task) ? ControlBlock.capacity : 1;
  }

  run(batch: Batch<T>): void {
    const [first] = batch;
    const failure = this.#pool.nextIdle?.hasLoaded(first) ? undefined : this.#failures.current(first);
    if (failure !== undefined) {
      this.#listener.vacated(this, false);
      const heard = thisMoment();
      for (const task of batch) {
        this.#listener.started(task, undefined, heard.at, heard); // it is an attempt
        this.#listener.ended(task, { kind: 'unloadable', error: failure, runMs: 0 }, heard);
      }
      return;
    }
    const idle = this.#pool.takeIdle(first);
    if (idle !== undefined) {
      idle.take(batch);
      this.#start(idle);
      return;
    }
    for (const connection of this.#pool) {
      if (connection.state !== 'starting' || connection.size > 0) continue;
      connection.take(batch);
      return;
    }
    if (!this.#pool.isBroken) {
      this.#pool.open(batch);
      return;
    }
    this.#listener.vacated(this, false);
    const cause = this.#pool.brokenError();
    for (const task of batch) this.#listener.ended(task, { kind: 'broken', cause }, thisMoment());
  }

  reachOf(task: T): TaskReach {
    const connection = this.#connectionOf(task);
    connection?.reportChanges();
    return connection?.reachOf(task) ?? 'ended';
  }

  withdraw(task: T): Withdrawal {
    const connection = this.#connectionOf(task);
    if (connection?.state !== 'starting') return connection?.withdraw(task) ?? false;
    connection.take([]);
    this.#listener.vacated(this, false);
    this.#listener.ended(task, { kind: 'withdrawn' }, thisMoment());
    return true;
  }

  /** Those behind it wait again first: none of them is to begin because it ends, or to wait until it does. */
  stop(task: T, reason: unknown, isFinal: boolean): void {
    const connection = this.#connectionOf(task);
    if (connection === undefined) return;
    this.#return(connection.recall());
    connection.stop(task, reason, isFinal);
  }

  lend(task: T): boolean {
    const connection = this.#connectionOf(task);
    if (connection?.state !== 'busy' || connection.isLent) return false;
    this.#pool.setLent(connection, true);
    this.#return(connection.recall());
    return true;
  }

  resume(task: T): boolean {
    const connection = this.#connectionOf(task);
    return connection !== undefined && this.#takeBack(connection);
  }

  /** False: it was not lent. */
  #takeBack(connection: HostConnection<T>): boolean {
    if (!connection.isLent) return false;
    this.#pool.setLent(connection, false);
    return true;
  }

  /** The connection is free, and its slot, if it was not lent. */
  #vacate(connection: HostConnection<T>): void {
    this.#listener.vacated(this, this.#takeBack(connection));
  }

  send(task: T, message: TaskMessage): void {
    this.#connectionOf(task)?.sendMessage(task, message);
  }

  /** Of a batch, the others are not to lose their host to one that waits; unless it is deaf. */
  kill(task: T): void {
    const connection = this.#connectionOf(task);
    if (connection === undefined) return;
    const { recallAskedAt = Infinity } = connection;
    if (connection.isHeldBy(task) || now() - recallAskedAt > unresponsiveMs) this.#pool.end(connection);
    else if (recallAskedAt !== Infinity) setTimeout(() => this.kill(task), recallMs).unref();
  }

  #connectionOf(task: T): HostConnection<T> | undefined {
    for (const connection of this.#pool) for (const other of connection) if (other === task) return connection;
    return undefined;
  }

  // Tasks go, and come back.

  #start(connection: HostConnection<T>): void {
    connection.state = 'busy';
    const refusals = connection.post();
    if (refusals.length > 0 && connection.size === 1) {
      // nothing was sent
      this.#listener.vacated(this, false);
      connection.take([]);
      this.#pool.makeIdle(connection);
    } else if (!connection.isLoading) {
      connection.onBegun();
    }
    for (const { task, problem } of refusals) {
      this.#listener.ended(task, { kind: 'uncloneable', error: taskSendError(task, problem), runMs: 0 }, thisMoment());
    }
    if (connection.size > 1) this.#armRecall();
    if (connection.isLoading) this.#loads.watch();
  }

  #armRecall(): void {
    this.#recallTimer ??= setTimeout(() => {
      this.#recallTimer = undefined;
      this.#recall();
    }, recallMs).unref();
  }

  /** Frees the tasks that wait behind one that takes long, though others of its kind did not. */
  #recall(): void {
    for (const connection of this.#pool) {
      if (connection.state !== 'busy' || connection.size === 1) continue;
      if (now() - connection.since < recallMs) this.#armRecall();
      else this.#return(connection.recall());
    }
  }

  /** A host that loads for nobody any more may hang there: it has the grace of the task that it has lost. */
  #recalled(connection: HostConnection<T>, tasks: readonly T[]): void {
    const { since, isLoading } = connection;
    const [task] = tasks;
    if (isLoading && task !== undefined) {
      const isStuck = () => connection.state === 'busy' && connection.since === since && connection.isLoading;
      setTimeout(() => isStuck() && this.#pool.end(connection), task.options.stopGraceMs).unref();
    }
    this.#return(tasks);
  }

  /** What the host loads will not end, as far as can be told; it has the host for itself. */
  #abandon(connection: HostConnection<T>, ms: number): void {
    const [task] = connection;
    const load = loadOf(connection);
    if (load !== undefined && task !== undefined) {
      const error = unfinished(load, whatLoads(connection), ms);
      this.#failures.note(task, error, connection.since);
      this.#vacate(connection);
      connection.abandonLoad(error);
      this.#return(connection.endBatch());
    }
    this.#pool.end(connection);
  }

  #return(tasks: readonly T[]): void {
    if (tasks.length > 0) this.#listener.returned(tasks);
  }

  #reply(connection: HostConnection<T>, reply: LaneReply, onTeardownProblem: (problem: unknown) => void): void {
    const [task] = connection;
    if (task === undefined && connection.state === 'ending' && reply.kind !== 'teardown') return; // it was given up
    switch (reply.kind) {
      case 'begin':
        if (task !== undefined) this.#failures.forget(task);
        connection.onLoaded();
        break;
      case 'progress':
        connection.onProgress(reply.item, reply.progress);
        break;
      case 'task-message':
        connection.onTaskMessage(reply.item, unpackMessage(reply.message));
        break;
      case 'recalled':
        this.#recalled(connection, connection.onRecalled(reply.items));
        break;
      case 'has-teardown':
        connection.hasTeardown = true;
        break;
      case 'warm':
        connection.hasLoadFailure = reply.missing.length > 0;
        connection.onWarmed(reply.missing);
        this.#pool.onReady(connection);
        break;
      case 'heavy':
        this.#pool.replace(connection);
        break;
      case 'teardown':
        onTeardownProblem(decodeThrown(reply.error));
        break;
      case 'done':
        connection.checkDone();
        this.#finish(connection);
        break;
      default:
        this.#conclude(connection, connection.read(reply));
    }
  }

  #conclude(connection: HostConnection<T>, outcome: LaneOutcome): void {
    const [task] = connection;
    if (outcome.kind === 'unloadable' && task !== undefined) this.#noteLoadFailure(connection, task, outcome.error);
    if (connection.isAtLast) this.#finish(connection, () => connection.conclude(outcome));
    else connection.conclude(outcome);
  }

  #noteLoadFailure(connection: HostConnection<T>, task: T, error: unknown): void {
    connection.hasLoadFailure ||= isModuleFailure(error);
    this.#failures.note(task, error, connection.since);
  }

  /** A host that may say more of what is thought to have ended is ended: that would be taken for another task's. */
  #onUnreadable(connection: HostConnection<T>, problem: unknown): void {
    const isOutcome = connection.isOutcomeNext;
    const isLast = connection.onUnreadable(problem);
    if (!isOutcome) this.#pool.end(connection);
    else if (isLast) this.#finish(connection);
  }

  /** Nothing of the batch runs any more; `tell` tells the last of it. */
  #finish(connection: HostConnection<T>, tell?: () => void): void {
    const { size } = connection;
    this.#vacate(connection);
    tell?.();
    this.#return(connection.endBatch());
    this.#pool.onTasksDone(connection, size);
    this.#pool.makeIdle(connection);
  }
}

/** What a host that loads has to load, in words. */
function whatLoads<T extends LaneTask>([task]: Iterable<T>): string {
  return task?.definition.moduleUrl ?? task?.carried?.definition.moduleUrl ?? `task "${task?.name}"`;
}

function unfinished(load: 'module' | 'setup', what: string, ms: number): TaskwardenError {
  const rest = `after ${ms / 1_000} s: its event loop is blocked, or what it awaits may never come`;
  return load === 'setup'
    ? new TaskwardenError(
        'LANE_SETUP_FAILED',
        `what ${what} gives laneSetup() to do before its tasks has not ended ${rest}`,
      )
    : new TaskwardenError('MODULE_LOAD_FAILED', `${what} is still loading ${rest}`);
}
