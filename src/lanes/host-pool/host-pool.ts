/**
 * The hosts of a lane: starts them, keeps the idle ones, replaces those that die or are due for recycling, and ends those
 * that are not needed. It does not know what runs in them.
 */
import type { TaskwardenError } from '../../base/errors.ts';
import { describeExit, type Exit } from '../../base/exit.ts';
import { now, Timer } from '../../platform/clock.ts';
import { Promise } from '../../platform/globals.ts';
import type { LaneReply, StartHost } from '../hosts/host.ts';
import type { HostConnection } from '../hosts/host-connection.ts';
import type { HostKind, HostWatcher, LaneTask } from '../lane.ts';
import type { HostPoolSettings } from './host-pool-settings.ts';
import { IdleHosts } from './idle-hosts.ts';
import { isUrgent, PoolSize } from './pool-size.ts';
import { Recycling } from './recycling.ts';
import { RestartBudget } from './restart-budget.ts';

/** How long a host may take to start, and to load what its predecessor had loaded, in milliseconds. */
const longestStartMs = 60_000;
/** How long a host that is dismissed may take to clean up, in milliseconds. */
const dismissalMs = 1_000;

interface HostPoolParts<T extends LaneTask> {
  readonly watcher: HostWatcher;
  readonly startHost: StartHost;
  readonly newConnection: () => HostConnection<T>;
  /** A host that was started with a batch is ready for it. */
  readonly begin: (connection: HostConnection<T>) => void;
  readonly reply: (connection: HostConnection<T>, reply: LaneReply) => void;
  readonly unreadable: (connection: HostConnection<T>, problem: unknown) => void;
  /** A host has exited. `isFinal`: no more hosts are started. */
  readonly died: (connection: HostConnection<T>, exit: Exit, isFinal: boolean) => void;
}

export class HostPool<T extends LaneTask> {
  readonly #kind: HostKind;
  readonly #parts: HostPoolParts<T>;
  /** The hosts that have not exited. */
  readonly #connections = new Set<HostConnection<T>>();
  readonly #size: PoolSize<T>;
  readonly #idle = new IdleHosts<T>(() => this.#retire());
  readonly #recycling: Recycling<T>;
  readonly #budget = new RestartBudget();
  #isClosed = false;

  constructor(kind: HostKind, options: HostPoolSettings, parts: HostPoolParts<T>) {
    this.#kind = kind;
    this.#parts = parts;
    this.#size = new PoolSize(options, this.#connections, () => this.#recycling.doubles);
    this.#recycling = new Recycling<T>({
      options: () => this.#size.settings.recycle ?? {},
      open: (old) => (this.#canOpen ? this.open([], old) : undefined),
      dismiss: (old) => this.#dismiss(old),
    });
  }

  /** How many hosts there are, and how many of them are idle. */
  get size(): { readonly total: number; readonly idle: number } {
    return { total: this.#size.count, idle: this.#idle.size };
  }

  /** How many are ending and run nothing: they hold no slot any more, but still exist. */
  get leaving(): number {
    if (this.#connections.size === this.#size.count) return 0;
    let leaving = 0;
    for (const { state, size } of this.#connections) if (state === 'ending' && size === 0) leaving += 1;
    return leaving;
  }

  /** A host and its successor count as one. */
  hasHostFor(held: number, most: number): boolean {
    const { leaving } = this;
    const hasFree = leaving === 0 || held < this.#connections.size - leaving;
    return hasFree || held + leaving - this.#recycling.doubles < most;
  }

  [Symbol.iterator](): Iterator<HostConnection<T>> {
    return this.#connections.values();
  }

  /** The idle host that is used next for the task. */
  nextIdle(task: T): HostConnection<T> | undefined {
    if (this.#size.settings.nice === undefined) return this.#idle.next;
    const next = this.#idle.nextOf(isUrgent(task));
    const isForOthers = !isUrgent(task) && this.#canOpen && this.#size.hasRoom;
    return next ?? (isForOthers ? undefined : this.#idle.next);
  }

  /** Takes an idle host for the task. Dismisses those with a load failure, which could not load what the task needs. */
  takeIdle(task: T): HostConnection<T> | undefined {
    let next = this.nextIdle(task);
    for (; next?.hasLoadFailure && !next.hasLoaded(task); next = this.nextIdle(task)) this.#dismiss(next);
    if (next !== undefined) this.#idle.delete(next);
    return next;
  }

  /** Hosts die as they start, so no more are started for now. */
  get isBroken(): boolean {
    return this.#budget.isSpent;
  }

  get #canOpen(): boolean {
    return !this.#isClosed && !this.isBroken;
  }

  /** Starts the hosts that are always kept, and ends those that are too many. Options of hosts apply to new ones. */
  configure(options: HostPoolSettings): void {
    this.#size.settings = options;
    this.#budget.reset();
    this.fill();
    this.#idle.unwatch();
    this.#retire();
  }

  async ready(): Promise<void> {
    this.fill();
    for (;;) {
      const all = [...this.#connections];
      const starting = all.filter(({ state }) => state === 'starting');
      const ending = all.filter(({ state }) => state === 'ending');
      if (starting.length > 0) await Promise.all(starting.map(({ settled }) => settled.promise));
      else if (this.#isBelowMinimum && this.leaving > 0) await Promise.race(ending.map(({ exited }) => exited.promise));
      else break;
    }
    if (this.#size.count < this.#size.min && !this.#isClosed) throw this.brokenError();
  }

  /** Resolves when all hosts that are there now have been replaced. */
  async recycle(): Promise<void> {
    const old = [...this.#connections].filter(({ state }) => state === 'idle' || state === 'busy');
    for (const connection of old) this.#recycling.replace(connection);
    await Promise.race([Promise.all(old.map((connection) => connection.exited.promise)), this.#rejectIfBroken(old)]);
  }

  /** Rejects when no successor can be started for one of the old ones. */
  #rejectIfBroken(old: readonly HostConnection<T>[]): Promise<never> {
    return new Promise((_, reject) => {
      const check = () => {
        if (this.#budget.isSpent && old.some(({ state }) => state !== 'ending')) reject(this.brokenError());
      };
      for (const connection of old) connection.onSuccessorDied.push(check);
      check();
    });
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    this.#idle.unwatch();
    const connections = [...this.#connections];
    for (const connection of connections) this.#dismiss(connection, graceMs);
    await Promise.all(connections.map((connection) => connection.exited.promise));
  }

  // Hosts start.

  get #isBelowMinimum(): boolean {
    return this.#size.count < this.#size.min && this.#canOpen;
  }

  /** Starts the hosts that are kept. Call it when a host has been given tasks. */
  fill(): void {
    while (this.#isBelowMinimum && this.#connections.size - this.#recycling.doubles < this.#size.settings.maxSize)
      this.open([]);
  }

  /** Starts a host for the batch, or to replace an old one. */
  open(batch: readonly T[], old?: HostConnection<T>): HostConnection<T> {
    const connection = this.#parts.newConnection();
    connection.predecessor = old;
    connection.isUrgent = old?.isUrgent ?? this.#size.isForUrgent(batch[0]);
    connection.take(batch);
    this.#connections.add(connection);
    this.#size.count += 1;
    let late: unknown;
    connection.startTimer = new Timer(longestStartMs, () => {
      late = new Error(`it was not ready after ${longestStartMs / 1_000} s`);
      connection.host?.end();
    });
    try {
      connection.host = this.#parts.startHost(this.#size.optionsFor(connection), {
        up: () => this.#up(connection),
        reply: (reply) => this.#parts.reply(connection, reply),
        unreadable: (problem) => this.#parts.unreadable(connection, problem),
        exited: (exit) => this.#exited(connection, late === undefined ? exit : { ...exit, cause: late }),
      });
    } catch (cause) {
      this.#exited(connection, { exitCode: undefined, signal: undefined, cause });
    }
    return connection;
  }

  #up(connection: HostConnection<T>): void {
    if (connection.state !== 'starting') return;
    connection.wasUp = true;
    this.#parts.watcher.hostStarted(this.#kind, connection.id);
    if (!connection.warm(this.#size.settings.preload)) this.onReady(connection);
  }

  /** It is up, and has loaded what its predecessor had loaded. */
  onReady(connection: HostConnection<T>): void {
    if (connection.state !== 'starting') return;
    connection.predecessor = undefined;
    connection.startTimer?.cancel();
    this.#recycling.onUp(connection);
    this.#recycling.onWarm(connection);
    if (connection.size > 0) this.#parts.begin(connection);
    else this.makeIdle(connection);
    connection.settled.resolve();
  }

  /** Its slot is lent, or was taken back. */
  setLent(connection: HostConnection<T>, isLent: boolean): void {
    connection.isLent = isLent;
    this.#size.lent += isLent ? 1 : -1;
    if (this.#size.lent === 0) this.#retire();
  }

  /** It has completed a batch of so many tasks. */
  onTasksDone(connection: HostConnection<T>, tasks: number): void {
    connection.hasAnswered = true;
    this.#budget.reset();
    this.#recycling.onTasksDone(connection, tasks);
    this.fill(); // those that were not started while hosts died as they started
  }

  /** Whether it may run one more task after the one that runs. */
  mayPrefetch(connection: HostConnection<T>): boolean {
    return !this.#size.isTooLarge && this.#recycling.mayGoOn(connection, connection.size + 1);
  }

  /** Replaces it by a successor. */
  replace(connection: HostConnection<T>): void {
    this.#recycling.replace(connection);
  }

  // Hosts end.

  /** It has nothing to run any more. */
  makeIdle(connection: HostConnection<T>): void {
    if (connection.state === 'ending') return;
    connection.state = 'idle';
    connection.since = now();
    this.#idle.push(connection);
    if (this.#size.isTooLarge || this.#recycling.isReplaced(connection)) this.#dismiss(connection);
    else this.#watchIdle();
  }

  #watchIdle(): void {
    if (this.#size.isAboveMin) this.#idle.watch(this.#size.settings.idleTimeoutMs);
  }

  /** Ends the idle hosts that are too many, or idle for too long. */
  #retire(): void {
    const { idleTimeoutMs } = this.#size.settings;
    for (const connection of this.#idle) {
      const isOld = now() - connection.since >= idleTimeoutMs;
      if (this.#size.isTooLarge || (isOld && this.#size.isAboveMin)) this.#dismiss(connection);
    }
    this.#watchIdle();
  }

  /** Ends it. If it may have to clean up, it ends by itself, and is killed after the grace time. */
  #dismiss(connection: HostConnection<T>, graceMs: number = dismissalMs): void {
    if (connection.state === 'ending') return;
    const canClose = connection.state === 'idle' && connection.wasUp;
    this.#remove(connection);
    if (canClose && (this.#kind === 'child' || connection.hasTeardown)) this.#closeGracefully(connection, graceMs);
    else connection.host?.end();
  }

  #closeGracefully(connection: HostConnection<T>, graceMs: number): void {
    connection.host?.post({ kind: 'end' }, []);
    const timer = new Timer(graceMs, () => connection.host?.end());
    void connection.exited.promise.then(() => timer.cancel());
  }

  /** Kills it. */
  end(connection: HostConnection<T>): void {
    if (connection.state === 'ending') return;
    connection.dropPrefetched();
    this.#remove(connection);
    connection.host?.end();
  }

  #remove(connection: HostConnection<T>): void {
    if (connection.state === 'idle') this.#idle.delete(connection);
    this.#recycling.onLeft(connection);
    connection.state = 'ending';
    this.#size.count -= 1;
  }

  #exited(connection: HostConnection<T>, exit: Exit): void {
    const { state } = connection;
    if (state !== 'ending') this.#remove(connection);
    const isUseless = state === 'starting' || (state === 'idle' && !connection.hasAnswered);
    connection.startTimer?.cancel();
    if (isUseless) this.#spend(exit.cause ?? new Error(describeExit(exit)));
    if (connection.wasUp) this.#parts.watcher.hostExited(this.#kind, connection.id, exit, state === 'idle');
    connection.settled.resolve();
    connection.exited.resolve();
    this.#parts.died(connection, exit, this.#isClosed);
    this.#connections.delete(connection);
    if (connection.predecessor !== undefined && state === 'starting') {
      this.#recycling.replace(connection.predecessor);
      for (const check of connection.predecessor.onSuccessorDied) check();
    }
    this.fill();
  }

  #spend(cause: unknown): void {
    const wasSpent = this.#budget.isSpent;
    this.#budget.spend(cause);
    if (this.#budget.isSpent && !wasSpent) this.#parts.watcher.broken(this.brokenError());
  }

  brokenError(): TaskwardenError {
    return this.#budget.error(this.#kind);
  }
}
