/**
 * A lane of hosts that each run one batch at a time. It starts a host when a task has none to run in, keeps idle ones
 * for a while, replaces those that die, and gives back the tasks that a death did not concern.
 * It holds no queue: what it is handed may start now.
 */
import { TaskwardenError } from '../errors.ts';
import { decodeThrown, isCloneable } from './error-codec.ts';
import type { HostOptions, LaneReply, StartHost } from './host.ts';
import type { Lane, LaneListener, LaneOutcome, LaneTask } from './lane.ts';
import { RestartBudget } from './restart-budget.ts';
import { Seat, unreadable, unsendable } from './seat.ts';

export interface HostLaneOptions extends HostOptions {
  /** Hosts that are always kept. */
  readonly minSize: number;
  /** Hosts beyond these are ended as soon as they are idle. */
  readonly maxSize: number;
  readonly idleTimeoutMs: number;
}

export class HostLane<T extends LaneTask> implements Lane<T> {
  readonly #listener: LaneListener<T>;
  readonly #startHost: StartHost;
  /** All whose host has not exited. */
  readonly #seats = new Set<Seat<T>>();
  /** How many of them are not ending. */
  #size = 0;
  /** Idle seats, the one that was busy last at the end: it goes first, so that the others can retire. */
  readonly #idle: Seat<T>[] = [];
  readonly #budget = new RestartBudget();
  #options: HostLaneOptions;
  #retireTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: HostLaneOptions, listener: LaneListener<T>, startHost: StartHost) {
    this.#options = options;
    this.#listener = listener;
    this.#startHost = startHost;
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

  run(batch: readonly T[]): void {
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      this.#hand(idle, batch);
      return;
    }
    for (const seat of this.#seats) {
      if (seat.state !== 'starting' || seat.batch.length > 0) continue;
      seat.batch = batch;
      return;
    }
    if (!this.#budget.isSpent) this.#open(batch);
    else for (const task of batch) this.#listener.ended(task, { kind: 'broken', cause: this.#brokenError() });
  }

  withdraw(task: T): boolean {
    const seat = this.#seatOf(task);
    if (seat?.state !== 'starting') return seat?.withdraw(task) ?? false;
    seat.batch = seat.batch.filter((other) => other !== task);
    this.#listener.ended(task, { kind: 'withdrawn' });
    return true;
  }

  stop(task: T, reason: unknown): void {
    this.#seatOf(task)?.stop(task, reason);
  }

  kill(task: T): void {
    const seat = this.#seatOf(task);
    // Of a batch, the others are not to lose their host to one that waits; a host with one task may be deaf.
    if (seat !== undefined && (seat.batch.length === 1 || seat.isHeldBy(task))) this.#end(seat);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#disarmRetirement();
    const seats = [...this.#seats];
    for (const seat of seats) this.#end(seat);
    await Promise.all(seats.map((seat) => seat.gone));
  }

  #seatOf(task: T): Seat<T> | undefined {
    for (const seat of this.#seats) if (seat.batch.includes(task)) return seat;
    return undefined;
  }

  // Hosts come.

  #fill(): void {
    while (this.#size < this.#options.minSize && !this.#isClosed && !this.#budget.isSpent) this.#open([]);
  }

  #open(batch: readonly T[]): void {
    const seat = new Seat<T>();
    seat.batch = batch;
    this.#seats.add(seat);
    this.#size += 1;
    const { env, execArgv, resourceLimits } = this.#options;
    const options = { ...(env && { env }), ...(execArgv && { execArgv }), ...(resourceLimits && { resourceLimits }) };
    try {
      seat.host = this.#startHost(options, {
        up: () => this.#up(seat),
        reply: (reply) => this.#reply(seat, reply),
        unreadable: (cause) => this.#lose(seat, () => unreadable(cause)),
        exited: (exitCode, cause) => this.#exited(seat, exitCode, cause),
      });
    } catch (cause) {
      this.#exited(seat, undefined, cause);
    }
  }

  #up(seat: Seat<T>): void {
    if (seat.state !== 'starting') return;
    seat.wasUp = true;
    this.#listener.threadStarted(seat.id);
    if (seat.batch.length > 0) this.#hand(seat, seat.batch);
    else this.#rest(seat);
    seat.markSettled();
  }

  // Tasks go, and come back.

  #hand(seat: Seat<T>, batch: readonly T[]): void {
    seat.state = 'busy';
    try {
      seat.post(batch);
    } catch (problem) {
      this.#refuse(seat, batch, problem);
      return;
    }
    if (!seat.loading) this.#begin(seat);
  }

  #begin(seat: Seat<T>): void {
    seat.loading = false;
    for (const task of seat.batch) this.#listener.started(task, seat.id);
  }

  /** Something in the batch could not be sent: fails the tasks whose fault it is, and hands over the others. */
  #refuse(seat: Seat<T>, batch: readonly T[], problem: unknown): void {
    const guilty = batch.filter((task) => !isCloneable(task.args));
    const refused = guilty.length === 0 ? batch : guilty;
    const sound = batch.filter((task) => !refused.includes(task));
    if (sound.length > 0) this.#hand(seat, sound);
    else this.#rest(seat);
    for (const task of refused) {
      this.#listener.ended(task, { kind: 'uncloneable', error: unsendable(task, problem), runMs: 0 });
    }
  }

  #reply(seat: Seat<T>, reply: LaneReply): void {
    switch (reply.kind) {
      case 'begin':
        this.#begin(seat);
        break;
      case 'unread':
        this.#lose(seat, (task) => unsendable(task, decodeThrown(reply.error)));
        break;
      case 'progress': {
        const task = seat.batch[reply.item];
        if (task !== undefined) this.#listener.progress(task, reply.progress);
        break;
      }
      case 'done':
        seat.hasAnswered = true;
        this.#budget.reset();
        this.#finish(seat, seat.outcomes(reply));
        this.#fill(); // as many as were not started while they only died
        break;
    }
  }

  /** What the batch came to, item by item. */
  #finish(seat: Seat<T>, outcomes: readonly LaneOutcome[]): void {
    const { batch } = seat;
    // First the seat, then its tasks: what comes next may need it.
    this.#rest(seat);
    batch.forEach((task, item) => {
      this.#listener.ended(task, outcomes[item] as LaneOutcome);
    });
  }

  /** The batch, or its answer, was lost on the way. */
  #lose(seat: Seat<T>, errorFor: (task: T) => TaskwardenError): void {
    seat.forget();
    this.#finish(
      seat,
      seat.batch.map((task) => ({ kind: 'uncloneable', error: errorFor(task), runMs: 0 })),
    );
  }

  // Hosts go.

  #rest(seat: Seat<T>): void {
    seat.batch = [];
    if (seat.state === 'ending') return;
    seat.state = 'idle';
    seat.idleSince = performance.now();
    this.#idle.push(seat);
    if (this.#size > this.#options.maxSize) this.#end(seat);
    else this.#armRetirement();
  }

  #armRetirement(): void {
    const { idleTimeoutMs, minSize } = this.#options;
    if (this.#retireTimer !== undefined || idleTimeoutMs === Infinity || this.#size <= minSize) return;
    const [longestIdle] = this.#idle;
    if (longestIdle === undefined) return;
    const dueMs = longestIdle.idleSince + idleTimeoutMs - performance.now();
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
    const now = performance.now();
    for (const seat of [...this.#idle]) {
      const isOld = now - seat.idleSince >= idleTimeoutMs;
      if (this.#size > maxSize || (isOld && this.#size > minSize)) this.#end(seat);
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

  #exited(seat: Seat<T>, exitCode: number | undefined, cause: unknown): void {
    const { batch, state } = seat;
    if (state !== 'ending') this.#leave(seat);
    const isUseless = state === 'starting' || (state === 'idle' && !seat.hasAnswered);
    if (isUseless) this.#spend(cause ?? new Error(`it exited with code ${exitCode}`));
    this.#seats.delete(seat);
    const fates = seat.fates(exitCode, cause);
    seat.batch = [];
    if (seat.wasUp) {
      this.#listener.threadExited({ threadId: seat.id, exitCode: exitCode ?? 0, cause }, state === 'idle');
    }
    seat.markSettled();
    seat.markGone();
    // From the last to the first: each that is given back goes before the others.
    for (let item = batch.length - 1; item >= 0; item -= 1) {
      const task = batch[item] as T;
      const fate = fates[item] ?? (this.#isClosed ? ({ kind: 'died', exitCode, cause } as const) : undefined);
      if (fate?.kind === 'died' && seat.loading) this.#listener.started(task, seat.id);
      if (fate === undefined) this.#listener.returned(task);
      else this.#listener.ended(task, fate);
    }
    this.#fill();
  }

  #spend(cause: unknown): void {
    const wasSpent = this.#budget.isSpent;
    this.#budget.spend(cause);
    if (this.#budget.isSpent && !wasSpent) this.#listener.broken(this.#brokenError());
  }

  #brokenError(): TaskwardenError {
    const { cause } = this.#budget;
    return new TaskwardenError(
      'LANE_BROKEN',
      `threads die as they start, and are not started for ever: ${cause instanceof Error ? cause.message : cause}; ` +
        'see to the cause, then configure() the threads, or try again in a few seconds',
      { cause },
    );
  }
}
