/**
 * The hosts of a lane: which there are, which are idle, and how they come and go. One that dies is replaced; one that is
 * not needed any more, or too old, leaves. What runs in them is the lane's business.
 */
import type { TaskwardenError } from '../../base/errors.ts';
import { type Exit, howItEnded } from '../../base/exit.ts';
import { now, Timer } from '../../platform/clock.ts';
import { Promise } from '../../platform/globals.ts';
import type { HostOptions, LaneReply, StartHost } from '../hosts/host.ts';
import type { Seat } from '../hosts/host-slot.ts';
import type { HostKind, HostWatcher, LaneTask } from '../lane.ts';
import { IdleHosts } from './idle-hosts.ts';
import { type RecycleOptions, Renewal } from './recycling.ts';
import { RestartBudget } from './restart-budget.ts';

/** How long a host may take to start, with all that it is to load at once, in milliseconds. */
const longestStartMs = 60_000;

/** How long a host that is not needed any more may take to clean up, in milliseconds. */
const dismissalMs = 1_000;

export interface StaffOptions extends HostOptions {
  /** Hosts that are always kept. */
  readonly minSize: number;
  /** Hosts beyond these are ended as soon as they are idle, if no slot is lent. */
  readonly maxSize: number;
  readonly idleTimeoutMs: number;
  readonly recycle?: RecycleOptions;
}

interface StaffParts<T extends LaneTask> {
  readonly watcher: HostWatcher;
  readonly startHost: StartHost;
  readonly newSeat: () => Seat<T>;
  /** A seat that was opened with a batch is up. */
  readonly begin: (seat: Seat<T>) => void;
  readonly reply: (seat: Seat<T>, reply: LaneReply) => void;
  readonly unreadable: (seat: Seat<T>, problem: unknown) => void;
  /** With what was in it. `isFinal`: nothing is started any more. */
  readonly died: (seat: Seat<T>, exit: Exit, isFinal: boolean) => void;
}

export class Staff<T extends LaneTask> {
  readonly #kind: HostKind;
  readonly #parts: StaffParts<T>;
  /** All whose host has not exited. */
  readonly #seats = new Set<Seat<T>>();
  /** How many of them are not ending. */
  #size = 0;
  /** How many of them have lent their slot: while any has, no host is too many, for the next may be needed at once. */
  #lent = 0;
  readonly #idle = new IdleHosts<T>(() => this.#retire());
  readonly #renewal: Renewal<T>;
  readonly #budget = new RestartBudget();
  #options: StaffOptions;
  #isClosed = false;

  constructor(kind: HostKind, options: StaffOptions, parts: StaffParts<T>) {
    this.#kind = kind;
    this.#options = options;
    this.#parts = parts;
    this.#renewal = new Renewal<T>({
      options: () => this.#options.recycle ?? {},
      open: (old) => (this.#canOpen ? this.open([], old) : undefined),
      dismiss: (old) => this.#dismiss(old),
    });
  }

  /** How many hosts there are, and how many of them are idle. */
  get size(): { readonly total: number; readonly idle: number } {
    return { total: this.#size, idle: this.#idle.size };
  }

  /** How many are ending that run nothing: what holds no slot any more is still there. */
  get leaving(): number {
    if (this.#seats.size === this.#size) return 0;
    let leaving = 0;
    for (const { state, size } of this.#seats) if (state === 'ending' && size === 0) leaving += 1;
    return leaving;
  }

  /** A successor stands beside the host that it is to replace, and is not counted. */
  hasHostFor(held: number, most: number): boolean {
    const { leaving } = this;
    if (leaving === 0 || held < this.#seats.size - leaving) return true;
    return held + leaving - this.#renewal.doubles < most;
  }

  [Symbol.iterator](): Iterator<Seat<T>> {
    return this.#seats.values();
  }

  /** The idle one that is to be used next. */
  get nextIdle(): Seat<T> | undefined {
    return this.#idle.next;
  }

  /** An idle one for the task. Those that can't load what it needs leave: they keep what could not be loaded. */
  takeIdle(task: T): Seat<T> | undefined {
    for (let next = this.#idle.next; next?.isSpoiled && !next.knows(task); next = this.#idle.next) this.#dismiss(next);
    return this.#idle.pop();
  }

  /** Whether hosts die as they start. */
  get isBroken(): boolean {
    return this.#budget.isSpent;
  }

  get #canOpen(): boolean {
    return !this.#isClosed && !this.isBroken;
  }

  /** Starts the hosts that are always kept, and ends those that are too many. Options of hosts hold for new ones. */
  configure(options: StaffOptions): void {
    this.#options = options;
    this.#budget.reset();
    this.#fill();
    this.#idle.unwatch();
    this.#retire();
  }

  async ready(): Promise<void> {
    this.#fill();
    for (;;) {
      const starting = [...this.#seats].filter(({ state }) => state === 'starting');
      if (starting.length > 0) await Promise.all(starting.map((seat) => seat.settled.promise));
      else if (this.#lacksSome && this.leaving > 0) await this.#departure();
      else break;
    }
    if (this.#size < this.#options.minSize && !this.#isClosed) throw this.brokenError();
  }

  /** Resolves when all hosts that are there now have been replaced. */
  async recycle(): Promise<void> {
    const old = [...this.#seats].filter(({ state }) => state === 'idle' || state === 'busy');
    for (const seat of old) this.#renewal.renew(seat);
    await Promise.race([Promise.all(old.map((seat) => seat.gone.promise)), this.#brokenness(old)]);
  }

  /** Rejects when no successor can be started for one of them. */
  #brokenness(old: readonly Seat<T>[]): Promise<never> {
    return new Promise((_, reject) => {
      const check = () => {
        if (this.#budget.isSpent && old.some(({ state }) => state !== 'ending')) reject(this.brokenError());
      };
      for (const seat of old) seat.onUnreplaced.push(check);
      check();
    });
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    this.#idle.unwatch();
    const seats = [...this.#seats];
    for (const seat of seats) this.#dismiss(seat, graceMs);
    await Promise.all(seats.map((seat) => seat.gone.promise));
  }

  /** Until one exits of those that are ending. */
  async #departure(): Promise<void> {
    const ending = [...this.#seats].filter(({ state }) => state === 'ending');
    await Promise.race(ending.map((seat) => seat.gone.promise));
  }

  // Hosts come.

  get #lacksSome(): boolean {
    return this.#size < this.#options.minSize && this.#canOpen;
  }

  #fill(): void {
    while (this.#lacksSome && this.#seats.size - this.#renewal.doubles < this.#options.maxSize) this.open([]);
  }

  /** Starts a host that runs the batch, or is to replace an old one. */
  open(batch: readonly T[], old?: Seat<T>): Seat<T> {
    const seat = this.#parts.newSeat();
    seat.predecessor = old;
    seat.take(batch);
    this.#seats.add(seat);
    this.#size += 1;
    let late: unknown;
    seat.startTimer = new Timer(longestStartMs, () => {
      late = new Error(`it was not ready after ${longestStartMs / 1_000} s`);
      seat.host?.end();
    });
    try {
      seat.host = this.#parts.startHost(this.#options, {
        up: () => this.#up(seat),
        reply: (reply) => this.#parts.reply(seat, reply),
        unreadable: (problem) => this.#parts.unreadable(seat, problem),
        exited: (exit) => this.#exited(seat, late === undefined ? exit : { ...exit, cause: late }),
      });
    } catch (cause) {
      this.#exited(seat, { exitCode: undefined, signal: undefined, cause });
    }
    return seat;
  }

  #up(seat: Seat<T>): void {
    if (seat.state !== 'starting') return;
    seat.wasUp = true;
    this.#parts.watcher.hostStarted(this.#kind, seat.id);
    if (!seat.warm()) this.welcome(seat);
  }

  /** It has loaded all that it is to have. */
  welcome(seat: Seat<T>): void {
    if (seat.state !== 'starting') return;
    seat.predecessor = undefined;
    seat.startTimer?.cancel();
    this.#renewal.born(seat);
    this.#renewal.warm(seat);
    if (seat.size > 0) this.#parts.begin(seat);
    else this.rest(seat);
    seat.settled.resolve();
  }

  // Hosts work.

  /** Its slot is lent, or its own again. */
  setLent(seat: Seat<T>, isLent: boolean): void {
    seat.isLent = isLent;
    this.#lent += isLent ? 1 : -1;
    if (this.#lent === 0) this.#retire();
  }

  /** It has run so many tasks more. */
  worked(seat: Seat<T>, tasks: number): void {
    seat.hasAnswered = true;
    this.#budget.reset();
    this.#renewal.worked(seat, tasks);
    this.#fill(); // as many as were not started while they only died
  }

  /** It is to be replaced. */
  renew(seat: Seat<T>): void {
    this.#renewal.renew(seat);
  }

  // Hosts go.

  /** It has nothing to run. */
  rest(seat: Seat<T>): void {
    if (seat.state === 'ending') return;
    seat.state = 'idle';
    seat.since = now();
    this.#idle.push(seat);
    if (this.#isTooMany || this.#renewal.isReplaced(seat)) this.#dismiss(seat);
    else this.#watchIdle();
  }

  /** Those that wait for tasks, and those that have a successor, are not counted. */
  get #isTooMany(): boolean {
    return this.#size - this.#renewal.doubles > this.#options.maxSize && this.#lent === 0;
  }

  #watchIdle(): void {
    if (this.#size - this.#renewal.doubles > this.#options.minSize) this.#idle.watch(this.#options.idleTimeoutMs);
  }

  /** Ends the idle hosts that are too many, or idle for too long. */
  #retire(): void {
    const { idleTimeoutMs, minSize } = this.#options;
    for (const seat of this.#idle) {
      const isOld = now() - seat.since >= idleTimeoutMs;
      if (this.#isTooMany || (isOld && this.#size - this.#renewal.doubles > minSize)) this.#dismiss(seat);
    }
    this.#watchIdle();
  }

  /** Lets it end by itself, if it has to clean up; by force if it has not done so in time. */
  #dismiss(seat: Seat<T>, graceMs: number = dismissalMs): void {
    if (seat.state === 'ending') return;
    const canClose = seat.state === 'idle' && seat.wasUp;
    this.#leave(seat);
    if (canClose && (this.#kind === 'child' || seat.hasTeardown)) this.#letClose(seat, graceMs);
    else seat.host?.end();
  }

  /** It cleans up and ends; by force, if it has not done so in time. */
  #letClose(seat: Seat<T>, graceMs: number): void {
    seat.host?.post({ kind: 'end' }, []);
    const timer = new Timer(graceMs, () => seat.host?.end());
    void seat.gone.promise.then(() => timer.cancel());
  }

  /** By force. */
  end(seat: Seat<T>): void {
    if (seat.state === 'ending') return;
    this.#leave(seat);
    seat.host?.end();
  }

  #leave(seat: Seat<T>): void {
    if (seat.state === 'idle') this.#idle.delete(seat);
    this.#renewal.gone(seat);
    seat.state = 'ending';
    this.#size -= 1;
  }

  #exited(seat: Seat<T>, exit: Exit): void {
    const { state } = seat;
    if (state !== 'ending') this.#leave(seat);
    const isUseless = state === 'starting' || (state === 'idle' && !seat.hasAnswered);
    seat.startTimer?.cancel();
    if (isUseless) this.#spend(exit.cause ?? new Error(howItEnded(exit)));
    if (seat.wasUp) this.#parts.watcher.hostExited(this.#kind, seat.id, exit, state === 'idle');
    seat.settled.resolve();
    seat.gone.resolve();
    this.#parts.died(seat, exit, this.#isClosed);
    this.#seats.delete(seat);
    if (seat.predecessor !== undefined && state === 'starting') {
      this.#renewal.renew(seat.predecessor);
      for (const check of seat.predecessor.onUnreplaced) check();
    }
    this.#fill();
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
