/**
 * A lane of hosts that each run one batch at a time. It starts a host when a task has none to run in, keeps idle ones
 * for a while, replaces those that die, and gives back the tasks that a death did not concern.
 * It holds no queue: what it is handed may start now.
 */
import { now, thisMoment } from '../clock.ts';
import { TaskwardenError } from '../errors.ts';
import { batchMs } from '../scheduling/pace.ts';
import type { TaskWord } from '../task/word.ts';
import { ControlBlock } from './control-block.ts';
import { type Exit, type HostOptions, howItEnded, type LaneReply, type StartHost } from './host.ts';
import type { HostKind, HostWatcher, Lane, LaneListener, LaneTask, TaskReach } from './lane.ts';
import { unsendable } from './refusal.ts';
import { RestartBudget } from './restart-budget.ts';
import { Seat } from './seat.ts';
import { unpackWord } from './words.ts';

/** What a batch has not begun by then is taken back: something in it runs longer than was thought. In milliseconds. */
const recallMs = 2 * batchMs;

/** A host that has not answered for so long is ended with the task that is to be ended. In milliseconds. */
const deafMs = 1_000;

export interface HostLaneOptions extends HostOptions {
  /** Hosts that are always kept. */
  readonly minSize: number;
  /** Hosts beyond these are ended as soon as they are idle. */
  readonly maxSize: number;
  readonly idleTimeoutMs: number;
}

interface HostLaneParts<T extends LaneTask> {
  readonly listener: LaneListener<T>;
  readonly watcher: HostWatcher;
  readonly startHost: StartHost;
}

export class HostLane<T extends LaneTask> implements Lane<T> {
  readonly #kind: HostKind;
  readonly #listener: LaneListener<T>;
  readonly #watcher: HostWatcher;
  readonly #startHost: StartHost;
  /** All whose host has not exited. */
  readonly #seats = new Set<Seat<T>>();
  /** How many of them are not ending. */
  #size = 0;
  /** How many of them have lent their slot: while any has, no host is too many, for the next may be needed at once. */
  #lent = 0;
  /** Idle seats, the one that was busy last at the end: it goes first, so that the others can retire. */
  readonly #idle: Seat<T>[] = [];
  readonly #budget = new RestartBudget();
  #options: HostLaneOptions;
  #retireTimer: NodeJS.Timeout | undefined;
  #recallTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(kind: HostKind, options: HostLaneOptions, parts: HostLaneParts<T>) {
    this.#kind = kind;
    this.#options = options;
    this.#listener = parts.listener;
    this.#watcher = parts.watcher;
    this.#startHost = parts.startHost;
  }

  /** How many hosts there are, and how many of them are idle. */
  get size(): { readonly total: number; readonly idle: number } {
    return { total: this.#size, idle: this.#idle.length };
  }

  /** Starts the hosts that are always kept, and ends those that are too many. Options of hosts hold for new ones. */
  configure(options: HostLaneOptions): void {
    this.#options = options;
    this.#budget.reset();
    this.#fill();
    this.#disarmRetirement();
    this.#retire();
  }

  async ready(): Promise<void> {
    this.#fill();
    for (;;) {
      const starting = [...this.#seats].filter(({ state }) => state === 'starting');
      if (starting.length === 0) break;
      await Promise.all(starting.map((seat) => seat.settled));
    }
    if (this.#size < this.#options.minSize && !this.#isClosed) throw this.#brokenError();
  }

  *[Symbol.iterator](): Generator<T> {
    for (const seat of this.#seats) yield* seat;
  }

  /** A definition is loaded for one task; only then can more of it go together. */
  roomFor(task: T): number {
    return this.#idle.at(-1)?.knows(task) ? ControlBlock.capacity : 1;
  }

  run(batch: readonly T[]): void {
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      idle.take(batch);
      this.#hand(idle);
      return;
    }
    for (const seat of this.#seats) {
      if (seat.state !== 'starting' || seat.size > 0) continue;
      seat.take(batch);
      return;
    }
    if (!this.#budget.isSpent) {
      this.#open(batch);
      return;
    }
    this.#listener.vacated(this);
    for (const task of batch) this.#listener.ended(task, { kind: 'broken', cause: this.#brokenError() }, thisMoment());
  }

  look(task: T): TaskReach {
    const seat = this.#seatOf(task);
    seat?.update();
    return seat?.look(task) ?? 'ended';
  }

  withdraw(task: T): boolean {
    const seat = this.#seatOf(task);
    if (seat?.state !== 'starting') return seat?.withdraw(task) ?? false;
    seat.take([]);
    this.#listener.vacated(this);
    this.#listener.ended(task, { kind: 'withdrawn' }, thisMoment());
    return true;
  }

  /** Those behind it wait again first: none of them is to begin because it ends, or to wait until it does. */
  stop(task: T, reason: unknown, isFinal: boolean): void {
    const seat = this.#seatOf(task);
    if (seat === undefined) return;
    this.#return(seat.recall());
    seat.stop(task, reason, isFinal);
  }

  lend(task: T): boolean {
    const seat = this.#seatOf(task);
    if (seat?.state !== 'busy' || seat.isLent) return false;
    seat.isLent = true;
    this.#lent += 1;
    this.#return(seat.recall());
    return true;
  }

  resume(task: T): boolean {
    const seat = this.#seatOf(task);
    return seat !== undefined && this.#takeBack(seat);
  }

  /** False: it was not lent. */
  #takeBack(seat: Seat<T>): boolean {
    if (!seat.isLent) return false;
    seat.isLent = false;
    this.#lent -= 1;
    if (this.#lent === 0) this.#retire();
    return true;
  }

  /** The seat's slot is free, if it was not lent. */
  #vacate(seat: Seat<T>): void {
    if (!this.#takeBack(seat)) this.#listener.vacated(this);
  }

  tell(task: T, word: TaskWord): void {
    this.#seatOf(task)?.tell(task, word);
  }

  /** Of a batch, the others are not to lose their host to one that waits; unless it is deaf. */
  kill(task: T): void {
    const seat = this.#seatOf(task);
    if (seat === undefined) return;
    const { recallAskedAt = Infinity } = seat;
    if (seat.isHeldBy(task) || now() - recallAskedAt > deafMs) this.#end(seat);
    else if (recallAskedAt !== Infinity) setTimeout(() => this.kill(task), recallMs).unref();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#disarmRetirement();
    clearTimeout(this.#recallTimer);
    const seats = [...this.#seats];
    for (const seat of seats) this.#end(seat);
    await Promise.all(seats.map((seat) => seat.gone));
  }

  #seatOf(task: T): Seat<T> | undefined {
    for (const seat of this.#seats) for (const other of seat) if (other === task) return seat;
    return undefined;
  }

  // Hosts come.

  #fill(): void {
    while (this.#size < this.#options.minSize && !this.#isClosed && !this.#budget.isSpent) this.#open([]);
  }

  #open(batch: readonly T[]): void {
    const seat = new Seat<T>(this.#listener);
    seat.take(batch);
    this.#seats.add(seat);
    this.#size += 1;
    const { env, execArgv, resourceLimits } = this.#options;
    const options = { ...(env && { env }), ...(execArgv && { execArgv }), ...(resourceLimits && { resourceLimits }) };
    try {
      seat.host = this.#startHost(options, {
        up: () => this.#up(seat),
        reply: (reply) => this.#reply(seat, reply),
        unreadable: (cause) => {
          if (seat.mishear(cause)) this.#finish(seat);
        },
        exited: (exit) => this.#exited(seat, exit),
      });
    } catch (cause) {
      this.#exited(seat, { exitCode: undefined, signal: undefined, cause });
    }
  }

  #up(seat: Seat<T>): void {
    if (seat.state !== 'starting') return;
    seat.wasUp = true;
    this.#watcher.hostStarted(this.#kind, seat.id);
    if (seat.size > 0) this.#hand(seat);
    else this.#rest(seat);
    seat.markSettled();
  }

  // Tasks go, and come back.

  #hand(seat: Seat<T>): void {
    seat.state = 'busy';
    const refusals = seat.post();
    if (refusals.length > 0 && seat.size === 1) {
      // nothing was sent
      this.#listener.vacated(this);
      seat.take([]);
      this.#rest(seat);
    } else if (!seat.loading) {
      seat.begin();
    }
    for (const { task, problem } of refusals) {
      this.#listener.ended(task, { kind: 'uncloneable', error: unsendable(task, problem), runMs: 0 }, thisMoment());
    }
    if (seat.size > 1) this.#armRecall();
  }

  #armRecall(): void {
    this.#recallTimer ??= setTimeout(() => {
      this.#recallTimer = undefined;
      this.#recall();
    }, recallMs).unref();
  }

  /** Frees the tasks that wait behind one that takes long, though others of its kind did not. */
  #recall(): void {
    for (const seat of this.#seats) {
      if (seat.state !== 'busy' || seat.size === 1) continue;
      if (now() - seat.since < recallMs) this.#armRecall();
      else this.#return(seat.recall());
    }
  }

  #return(tasks: readonly T[]): void {
    if (tasks.length > 0) this.#listener.returned(tasks);
  }

  #reply(seat: Seat<T>, reply: LaneReply): void {
    switch (reply.kind) {
      case 'begin':
        seat.begin();
        break;
      case 'progress':
        seat.progress(reply.item, reply.progress);
        break;
      case 'word':
        seat.said(reply.item, unpackWord(reply.word));
        break;
      case 'recalled':
        this.#return(seat.recalled(reply.items));
        break;
      case 'done':
        this.#finish(seat);
        break;
      default:
        if (reply.item < seat.size - 1) seat.hear(reply);
        else this.#finish(seat, () => seat.hear(reply));
    }
  }

  /** Nothing of the batch runs any more; `tell` tells the last of it. */
  #finish(seat: Seat<T>, tell?: () => void): void {
    seat.hasAnswered = true;
    this.#budget.reset();
    this.#vacate(seat);
    tell?.();
    this.#return(seat.leave());
    this.#rest(seat);
    this.#fill(); // as many as were not started while they only died
  }

  // Hosts go.

  #rest(seat: Seat<T>): void {
    if (seat.state === 'ending') return;
    seat.state = 'idle';
    seat.since = now();
    this.#idle.push(seat);
    if (this.#size > this.#options.maxSize && this.#lent === 0) this.#end(seat);
    else this.#armRetirement();
  }

  #armRetirement(): void {
    const { idleTimeoutMs, minSize } = this.#options;
    if (this.#retireTimer !== undefined || idleTimeoutMs === Infinity || this.#size <= minSize) return;
    const [longestIdle] = this.#idle;
    if (longestIdle === undefined) return;
    const dueMs = longestIdle.since + idleTimeoutMs - now();
    this.#retireTimer = setTimeout(
      () => {
        this.#retireTimer = undefined;
        this.#retire();
      },
      Math.min(Math.max(dueMs, 1), 2 ** 31 - 1),
    ).unref();
  }

  #disarmRetirement(): void {
    clearTimeout(this.#retireTimer);
    this.#retireTimer = undefined;
  }

  /** Ends the idle hosts that are too many, or idle for too long. */
  #retire(): void {
    const { idleTimeoutMs, minSize, maxSize } = this.#options;
    for (const seat of [...this.#idle]) {
      const isOld = now() - seat.since >= idleTimeoutMs;
      if ((this.#size > maxSize && this.#lent === 0) || (isOld && this.#size > minSize)) this.#end(seat);
    }
    this.#armRetirement();
  }

  #end(seat: Seat<T>): void {
    if (seat.state === 'ending') return;
    this.#leave(seat);
    seat.host?.end();
  }

  #leave(seat: Seat<T>): void {
    if (seat.state === 'idle') this.#idle.splice(this.#idle.indexOf(seat), 1);
    seat.state = 'ending';
    this.#size -= 1;
  }

  #exited(seat: Seat<T>, exit: Exit): void {
    const { state } = seat;
    if (state !== 'ending') this.#leave(seat);
    const isUseless = state === 'starting' || (state === 'idle' && !seat.hasAnswered);
    if (isUseless) this.#spend(exit.cause ?? new Error(howItEnded(exit)));
    if (seat.size > 0) this.#vacate(seat);
    if (seat.wasUp) this.#watcher.hostExited(this.#kind, seat.id, exit, state === 'idle');
    seat.markSettled();
    seat.markGone();
    this.#return(seat.die(exit, this.#isClosed));
    this.#seats.delete(seat);
    this.#fill();
  }

  #spend(cause: unknown): void {
    const wasSpent = this.#budget.isSpent;
    this.#budget.spend(cause);
    if (this.#budget.isSpent && !wasSpent) this.#watcher.broken(this.#brokenError());
  }

  #brokenError(): TaskwardenError {
    const { cause } = this.#budget;
    const [hosts, pool] = this.#kind === 'thread' ? ['threads', 'threads'] : ['children', 'processes'];
    return new TaskwardenError(
      'LANE_BROKEN',
      `${hosts} die as they start, and are not started for ever: ${cause instanceof Error ? cause.message : cause}; ` +
        `see to the cause, then configure() the ${pool}, or try again in a few seconds`,
      { cause },
    );
  }
}
