/**
 * A lane of hosts that each run one batch at a time: sends tasks to hosts, and reports what becomes of them. A task that
 * finds no idle host gets a new one. When a host dies, the tasks that did not die with it are given back.
 * It has no queue: the tasks that it is handed may start now.
 */
import { now, thisMoment } from '../../platform/clock.ts';
import { setTimeout } from '../../platform/globals.ts';
import type { HostSupply } from '../../queue/host-ceiling.ts';
import type { TaskMessage } from '../../task/inside/task-message.ts';
import { HostPool } from '../host-pool/host-pool.ts';
import type { HostPoolSettings } from '../host-pool/host-pool-settings.ts';
import type {
  Batch,
  HostKind,
  HostWatcher,
  Lane,
  LaneHosts,
  LaneListener,
  LaneOutcome,
  LaneTask,
  TaskReach,
  Withdrawal,
} from '../lane.ts';
import { LoadFailures } from '../loading/load-failures.ts';
import { ControlBlock } from '../wire/control-block.ts';
import type { StartHost } from './host.ts';
import { HostConnection } from './host-connection.ts';
import { HostReplies } from './host-replies.ts';
import { type LoadLimits, LoadWatch, loadLimits, loadOf, unfinishedLoad, whatLoads } from './load-watch.ts';
import { RecallWatch, recallMs } from './recall-watch.ts';
import { taskSendError } from './send-failure.ts';
import { Suspects } from './suspects.ts';

/** A host that has not answered a recall for this long is killed with the task that is to be killed, in milliseconds. */
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
  /** Tasks that could not be prefetched. They fail when they are handed over. */
  readonly #unsendable = new WeakSet<T>();
  readonly #recalls: RecallWatch<T>;
  readonly #replies: HostReplies<T>;

  constructor(kind: HostKind, options: HostPoolSettings, { watcher, startHost, limits = loadLimits }: HostLaneParts) {
    this.#pool = new HostPool<T>(kind, options, {
      watcher,
      startHost,
      listener: () => this.#listener,
      newConnection: (owner) => new HostConnection<T>(this.#listener, owner),
      begin: (connection) => this.#start(connection),
      reply: (connection, reply) => this.#replies.handle(connection, reply),
      unreadable: (connection, problem) => this.#replies.onUnreadable(connection, problem),
      died: (connection, exit, isFinal) => {
        if (connection.size > 0) this.#vacate(connection);
        else this.#listener.idleHostExited();
        this.#return(connection.onExit(exit, isFinal, this.#suspects));
      },
    });
    this.#replies = new HostReplies<T>({
      pool: this.#pool,
      failures: this.#failures,
      vacate: (connection) => this.#vacate(connection),
      giveBack: (tasks) => this.#return(tasks),
      teardownFailed: (connection, problem) => watcher.teardownFailed(kind, connection.id, problem),
      preloadFailed: (connection, problem) => watcher.preloadFailed(kind, connection.id, problem),
    });
    this.#recalls = new RecallWatch<T>(this.#pool, (connection) => this.#return(connection.recall()));
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
    const { count, idle } = this.#pool.size;
    return { total: count, idle };
  }

  get leaving(): number {
    return this.#pool.size.leaving;
  }

  hasHostFor(held: number, most: number): boolean {
    return this.#pool.size.hasHostFor(held, most);
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
    this.#recalls.unwatch();
    this.#loads.unwatch();
    await this.#pool.close(graceMs);
  }

  get hosts(): LaneHosts<T> {
    return this.#pool.tasks;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const connection of this.#pool) yield* connection;
    yield* this.#pool.tasks.waiting();
  }

  /** A definition is loaded for one task. Larger batches of it are possible after that. */
  roomFor(task: T): number {
    return this.#pool.nextIdle(task)?.hasLoaded(task) && !this.#suspects.has(task) ? ControlBlock.capacity : 1;
  }

  run(batch: Batch<T>): void {
    const [first] = batch;
    const failure = this.#pool.nextIdle(first)?.hasLoaded(first) ? undefined : this.#failures.current(first);
    if (failure !== undefined) {
      this.#failAll(batch, { kind: 'unloadable', error: failure, runMs: 0 });
      return;
    }
    const idle = this.#pool.takeIdle(first);
    if (idle !== undefined) {
      idle.take(batch);
      this.#start(idle);
      this.#pool.fill();
      return;
    }
    for (const connection of this.#pool) {
      if (connection.state !== 'starting' || connection.size > 0) continue;
      connection.take(batch);
      this.#pool.fill();
      return;
    }
    if (this.#pool.isBroken) this.#failAll(batch, { kind: 'broken', cause: this.#pool.brokenError() });
    else this.#pool.open(batch);
    this.#pool.fill();
  }

  /** Nothing is sent. A module that can't be loaded counts as an attempt all the same. */
  #failAll(batch: Batch<T>, outcome: LaneOutcome): void {
    this.#listener.slotReleased(this, false);
    const noticed = thisMoment();
    for (const task of batch) {
      if (outcome.kind === 'unloadable') this.#listener.started(task, undefined, noticed.at, noticed);
      this.#listener.ended(task, outcome, noticed);
    }
  }

  /** Behind the task that has run longest: there it begins first, most likely. */
  prefetch(task: T, mayFollow: (running: T, forMs: number) => boolean): boolean {
    if (this.#suspects.has(task) || this.#unsendable.has(task)) return false;
    let best: HostConnection<T> | undefined;
    for (const connection of this.#pool) {
      if (!connection.canPrefetch(task) || !this.#pool.mayPrefetch(connection, task)) continue;
      const [running] = connection;
      if (running === undefined || !mayFollow(running, now() - connection.since)) continue;
      if (best === undefined || connection.since < best.since) best = connection;
    }
    if (best === undefined) return false;
    const isSent = best.prefetch(task);
    if (!isSent) this.#unsendable.add(task);
    return isSent;
  }

  takeBack(task: T): boolean {
    for (const connection of this.#pool) if (connection.prefetched === task) return connection.takeBack();
    return false;
  }

  reachOf(task: T): TaskReach {
    const connection = this.#connectionOf(task);
    connection?.reportChanges();
    return connection?.reachOf(task) ?? (this.#pool.tasks.has(task) ? 'waits' : 'ended');
  }

  withdraw(task: T): Withdrawal {
    if (this.#pool.tasks.withdraw(task)) return true;
    const connection = this.#connectionOf(task);
    if (connection?.state !== 'starting') return connection?.withdraw(task) ?? false;
    connection.take([]);
    this.#listener.slotReleased(this, false);
    this.#listener.ended(task, { kind: 'withdrawn' }, thisMoment());
    return true;
  }

  recall(): void {
    for (const connection of this.#pool) {
      const batch = [...connection];
      if (connection.state !== 'starting') {
        this.#return(connection.recall());
      } else if (batch.length > 0) {
        connection.take([]);
        this.#listener.slotReleased(this, false);
        this.#return(batch);
      }
    }
  }

  /** First the tasks behind it are recalled, so that they neither begin when it ends nor wait until it does. */
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
    connection.dropPrefetched();
    this.#return(connection.recall());
    return true;
  }

  resume(task: T): boolean {
    const connection = this.#connectionOf(task);
    return connection !== undefined && this.#takeBack(connection);
  }

  /** Takes a lent slot back. Returns false if it was not lent. */
  #takeBack(connection: HostConnection<T>): boolean {
    if (!connection.isLent) return false;
    this.#pool.setLent(connection, false);
    return true;
  }

  /** Reports that the host is free, and its slot, if that was not lent. */
  #vacate(connection: HostConnection<T>): void {
    this.#listener.slotReleased(this, this.#takeBack(connection));
    this.#loads.review();
  }

  send(task: T, message: TaskMessage): void {
    this.#connectionOf(task)?.sendMessage(task, message);
  }

  /**
   * Kills the host only if the task runs in it, or the host does not respond: the others of the batch keep theirs. Those
   * that share the host die with it.
   */
  kill(task: T): void {
    const connection = this.#connectionOf(task);
    if (connection === undefined || connection.isBehindOthers(task)) return;
    connection.dropPrefetched(); // the task may end before the host does, and none is to begin there then
    const { recallAskedAt = Infinity } = connection;
    if (connection.isHeldBy(task) || now() - recallAskedAt > unresponsiveMs) this.#pool.end(connection, unended(task));
    else if (recallAskedAt !== Infinity) setTimeout(() => this.kill(task), recallMs).unref();
  }

  #connectionOf(task: T): HostConnection<T> | undefined {
    for (const connection of this.#pool) for (const other of connection) if (other === task) return connection;
    return undefined;
  }

  #start(connection: HostConnection<T>): void {
    connection.state = 'busy';
    const failures = connection.post();
    if (failures.length > 0 && connection.size === 1) {
      // nothing was sent
      this.#listener.slotReleased(this, false);
      connection.take([]);
      this.#pool.makeIdle(connection);
    } else if (!connection.isLoading) {
      connection.onBegun();
    }
    for (const { task, problem } of failures) {
      this.#listener.ended(task, { kind: 'uncloneable', error: taskSendError(task, problem), runMs: 0 }, thisMoment());
    }
    if (connection.size > 1) this.#recalls.watch();
    if (connection.isLoading) this.#loads.watch();
  }

  /** The load takes too long: it fails its task, which is the only one in the host, and the host is ended. */
  #abandon(connection: HostConnection<T>, ms: number): void {
    const [task] = connection;
    const load = loadOf(connection);
    if (load !== undefined && task !== undefined) {
      const error = unfinishedLoad(load, whatLoads(connection), ms);
      this.#failures.note(task, error, connection.since);
      this.#vacate(connection);
      connection.abandonLoad(error);
      this.#return(connection.endBatch());
    }
    this.#pool.end(connection, task === undefined ? undefined : unended(task));
  }

  #return(tasks: readonly T[]): void {
    if (tasks.length > 0) this.#listener.returned(tasks);
  }
}

/** Why those that share a host with the task die. */
function unended({ name }: LaneTask): Error {
  return new Error(`task "${name}", which shared it, did not end when it had to`);
}
