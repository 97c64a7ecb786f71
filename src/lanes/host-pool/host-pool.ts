/**
 * The hosts of a lane: starts them, keeps the idle ones, replaces those that die or are due for recycling, and ends those that
 * are not needed. Each has a connection for each slot. It does not know what runs in them.
 */
import type { TaskwardenError } from '../../base/errors.ts';
import { describeExit, type Exit } from '../../base/exit.ts';
import { now } from '../../platform/clock.ts';
import { Promise } from '../../platform/globals.ts';
import type { LaneReply, StartHost } from '../hosts/host.ts';
import type { HostConnection } from '../hosts/host-connection.ts';
import type { HostKind, HostWatcher, LaneListener, LaneTask } from '../lane.ts';
import type { HostPoolSettings } from './host-pool-settings.ts';
import { HostTasks } from './host-tasks.ts';
import { IdleHosts } from './idle-hosts.ts';
import { isUrgent, PoolSize } from './pool-size.ts';
import { PooledHost } from './pooled-host.ts';
import { Recycling } from './recycling.ts';
import { RestartBudget } from './restart-budget.ts';

/** How long a host that is dismissed may take to clean up, in milliseconds. */
const dismissalMs = 1_000;

type Hosted<T extends LaneTask> = PooledHost<HostConnection<T>>;

interface HostPoolParts<T extends LaneTask> {
  readonly watcher: HostWatcher;
  readonly listener: () => LaneListener<T>;
  readonly startHost: StartHost;
  /** Adds a slot to a host. */
  readonly newConnection: (owner: Hosted<T>) => HostConnection<T>;
  /** A host that was started with a batch is ready for it. */
  readonly begin: (connection: HostConnection<T>) => void;
  readonly reply: (connection: HostConnection<T>, reply: LaneReply) => void;
  readonly unreadable: (connection: HostConnection<T>, problem: unknown) => void;
  /** A host has exited; called for each of its slots. `isFinal`: no more hosts are started. */
  readonly died: (connection: HostConnection<T>, exit: Exit, isFinal: boolean) => void;
}

export class HostPool<T extends LaneTask> {
  readonly size: PoolSize<T>;
  readonly tasks: HostTasks<T>;
  readonly #kind: HostKind;
  readonly #parts: HostPoolParts<T>;
  /** The hosts that have not exited, and all their slots. */
  readonly #hosts = new Set<Hosted<T>>();
  readonly #connections = new Set<HostConnection<T>>();
  readonly #idle = new IdleHosts<T>(() => this.#retire());
  readonly #recycling: Recycling<T>;
  readonly #budget = new RestartBudget();
  #isClosed = false;

  constructor(kind: HostKind, options: HostPoolSettings, parts: HostPoolParts<T>) {
    this.#kind = kind;
    this.#parts = parts;
    this.#recycling = new Recycling<T>({
      options: () => this.size.settings.recycle ?? {},
      open: (old) => (this.#canOpen ? this.open([], old) : undefined),
      leave: (old) => this.#leave(old),
    });
    this.size = new PoolSize<T>(options, this.#hosts, this.#recycling);
    this.tasks = new HostTasks<T>({ ...parts, hosts: this.#hosts, takeIdle: (slot) => this.#idle.delete(slot) });
  }

  [Symbol.iterator](): Iterator<HostConnection<T>> {
    return this.#connections.values();
  }

  /** The idle slot that is used next for the task. */
  nextIdle(task: T): HostConnection<T> | undefined {
    if (this.size.settings.nice === undefined) return this.#idle.next();
    const next = this.#idle.next(isUrgent(task));
    const isForOthers = !isUrgent(task) && this.#canOpen && this.size.hasRoom;
    return next ?? (isForOthers ? undefined : this.#idle.next());
  }

  /** Takes an idle slot for the task. Hosts with a load failure leave, as they could not load what the task needs. */
  takeIdle(task: T): HostConnection<T> | undefined {
    let next = this.nextIdle(task);
    for (; next?.owner.hasLoadFailure && !next.hasLoaded(task); next = this.nextIdle(task))
      this.#recycling.retire(next.owner);
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
    const { concurrentTasks } = this.size.settings;
    this.size.settings = options;
    this.#budget.reset();
    if (options.concurrentTasks !== concurrentTasks) for (const host of [...this.#hosts]) this.#recycling.replace(host);
    this.fill();
    this.#idle.unwatch();
    this.#retire();
  }

  async ready(): Promise<void> {
    this.fill();
    for (;;) {
      const all = [...this.#hosts];
      const starting = all.filter(({ state }) => state === 'starting');
      const ending = all.filter(({ state }) => state === 'ending');
      if (starting.length > 0) await Promise.all(starting.map(({ settled }) => settled.promise));
      else if (this.#isBelowMinimum && this.size.leaving > 0)
        await Promise.race(ending.map(({ exited }) => exited.promise));
      else break;
    }
    if (this.size.isBelowMin && !this.#isClosed) throw this.brokenError();
  }

  /** Resolves when all hosts that are there now have been replaced. */
  async recycle(): Promise<void> {
    const old = [...this.#hosts].filter(({ state }) => state === 'idle' || state === 'busy');
    for (const host of old) this.#recycling.replace(host);
    await Promise.race([Promise.all(old.map(({ exited }) => exited.promise)), this.#rejectIfBroken(old)]);
  }

  /** Rejects when no successor can be started for one of the old ones. */
  #rejectIfBroken(old: readonly Hosted<T>[]): Promise<never> {
    return new Promise((_, reject) => {
      const check = () => {
        if (this.#budget.isSpent && old.some(({ state }) => state !== 'ending')) reject(this.brokenError());
      };
      for (const { onSuccessorDied } of old) onSuccessorDied.push(check);
      check();
    });
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    this.#idle.unwatch();
    const hosts = [...this.#hosts];
    for (const host of hosts) this.#dismiss(host, graceMs);
    await Promise.all(hosts.map(({ exited }) => exited.promise));
  }

  get #isBelowMinimum(): boolean {
    return this.size.isBelowMin && this.#canOpen;
  }

  /** Starts the hosts that are kept. Call it when a host has been given tasks. */
  fill(): void {
    while (this.#isBelowMinimum && this.size.mayGrow) this.open([]);
  }

  /** Starts a host for the batch, or to replace an old one. */
  open(batch: readonly T[], old?: Hosted<T>): Hosted<T> {
    const host: Hosted<T> = new PooledHost(old);
    for (let slot = 0; slot < this.size.slotsPerHost; slot += 1) this.#connections.add(this.#parts.newConnection(host));
    host.isUrgent = old?.isUrgent ?? this.size.isForUrgent(batch[0]);
    host.slots[0]?.take(batch);
    this.#hosts.add(host);
    this.size.count += 1;
    const slotOf = (slot = 0) => host.slots[slot] as HostConnection<T>;
    host.start(this.#parts.startHost, this.size.optionsFor(host), {
      up: () => this.#up(host),
      reply: (reply, slot) => this.#parts.reply(slotOf(slot), reply),
      unreadable: (problem, slot) => this.#parts.unreadable(slotOf(slot), problem),
      exited: (exit) => this.#exited(host, exit),
    });
    this.tasks.onOpened(host);
    return host;
  }

  #up(host: Hosted<T>): void {
    if (host.state !== 'starting') return;
    host.wasUp = true;
    this.#parts.watcher.hostStarted(this.#kind, host.id);
    for (const connection of host.slots) {
      if (!connection.warm(this.size.settings.preload)) this.onReady(connection);
    }
  }

  /** The slot is up, and has loaded what the predecessor of its host had loaded. */
  onReady(connection: HostConnection<T>): void {
    if (connection.state !== 'starting') return;
    const { owner } = connection;
    const isLast = owner.slots.every((slot) => slot === connection || slot.state !== 'starting');
    if (isLast) this.#onHostReady(owner);
    if (connection.size > 0) this.#parts.begin(connection);
    else this.makeIdle(connection);
    if (isLast) owner.settled.resolve();
  }

  /** All its slots are ready. */
  #onHostReady(host: Hosted<T>): void {
    host.wasReady = true;
    host.predecessor = undefined;
    host.endStart();
    this.#recycling.onUp(host);
    this.#recycling.onWarm(host);
  }

  /** Its slot is lent, or was taken back. */
  setLent(connection: HostConnection<T>, isLent: boolean): void {
    connection.isLent = isLent;
    this.size.lent += isLent ? 1 : -1;
    if (this.size.lent === 0) this.#retire();
  }

  /** It has completed a batch of so many tasks. */
  onTasksDone(connection: HostConnection<T>, tasks: number): void {
    connection.owner.hasAnswered = true;
    this.#budget.reset();
    this.#recycling.onTasksDone(connection.owner, tasks);
    this.fill(); // those that were not started while hosts died as they started
  }

  /** Whether it may run that task, too, after the one that runs. */
  mayPrefetch({ owner, size }: HostConnection<T>, task: T): boolean {
    if (this.size.isTooLarge || !this.size.mayWaitAt(owner, task)) return false;
    return !this.tasks.isAwaited(owner) && this.#recycling.mayGoOn(owner, size + 1);
  }

  /** Replaces its host by a successor. */
  replace({ owner }: HostConnection<T>): void {
    this.#recycling.replace(owner);
  }

  // Hosts end.

  /** It has nothing to run any more. */
  makeIdle(connection: HostConnection<T>): void {
    if (connection.state === 'ending') return;
    connection.state = 'idle';
    connection.since = now();
    if (this.tasks.begin(connection)) return;
    const { owner } = connection;
    if (this.size.isTooLarge || this.#recycling.isReplaced(owner)) {
      this.#recycling.retire(owner);
    } else {
      this.#idle.push(connection);
      this.#watchIdle();
    }
  }

  #watchIdle(): void {
    if (this.size.isAboveMin) this.#idle.watch(this.size.settings.idleTimeoutMs);
  }

  /** Ends the idle hosts that are too many, or idle for too long. */
  #retire(): void {
    const { idleTimeoutMs } = this.size.settings;
    for (const { owner } of this.#idle) {
      if (owner.state !== 'idle') continue;
      const isOld = now() - owner.since >= idleTimeoutMs;
      if (this.size.isTooLarge || (isOld && this.size.isAboveMin)) this.#dismiss(owner);
    }
    this.#watchIdle();
  }

  /** Takes no more tasks, and ends as soon as nothing runs in it. */
  #leave(host: Hosted<T>): void {
    if (host.state === 'idle') this.#dismiss(host);
    else for (const connection of host.slots) this.#idle.delete(connection);
  }

  /** Ends it. If it may have to clean up, it ends by itself, and is killed after the grace time. */
  #dismiss(host: Hosted<T>, graceMs: number = dismissalMs): void {
    const { state } = host;
    if (state === 'ending') return;
    this.#remove(host);
    if (state === 'idle' && (this.#kind === 'child' || host.hasTeardown)) host.close(graceMs);
    else host.end();
  }

  /** Kills its host. `cause`: why, for the other tasks that run in that. */
  end({ owner }: HostConnection<T>, cause?: Error): void {
    if (owner.isEnding) return;
    for (const slot of owner.slots) slot.dropPrefetched();
    if (owner.isShared) owner.cause ??= cause;
    this.#remove(owner);
    owner.end();
  }

  #remove(host: Hosted<T>): void {
    this.#recycling.onLeft(host);
    host.isEnding = true;
    for (const connection of host.slots) {
      this.#idle.delete(connection);
      connection.state = 'ending';
    }
    this.size.count -= 1;
  }

  #exited(host: Hosted<T>, exit: Exit): void {
    const { state, predecessor } = host;
    if (state !== 'ending') this.#remove(host);
    const isUseless = state === 'starting' || (state === 'idle' && !host.hasAnswered);
    host.endStart();
    const isSpent = isUseless && this.#budget.spend(exit.cause ?? new Error(describeExit(exit)));
    if (isSpent) this.#parts.watcher.broken(this.brokenError());
    if (host.wasUp) this.#parts.watcher.hostExited(this.#kind, host.id, exit, state === 'idle');
    host.settled.resolve();
    host.exited.resolve();
    for (const connection of host.slots) {
      this.#parts.died(connection, exit, this.#isClosed);
      this.#connections.delete(connection);
    }
    this.tasks.onExited(host, exit);
    this.#hosts.delete(host);
    if (predecessor !== undefined && state === 'starting') {
      this.#recycling.replace(predecessor);
      for (const check of predecessor.onSuccessorDied) check();
    }
    this.fill();
  }

  brokenError(): TaskwardenError {
    return this.#budget.error(this.#kind);
  }
}
