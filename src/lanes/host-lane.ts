/**
 * A lane of hosts: threads or child processes that each run one batch at a time. It starts a host when a task has none
 * to run in, keeps idle ones for a while, replaces those that die, and knows which tasks a death took along.
 *
 * A host:   starting ──▶ idle ◀──▶ busy
 *               └──────────┴────────┴──▶ ending ──▶ (gone)
 *
 * It holds no queue: what it is handed may start now.
 */
import { TaskwardenError } from '../errors.ts';
import { wireDefinition } from '../task/definition.ts';
import type { Transferable } from '../task/transferred.ts';
import type { ControlBlock } from './control-block.ts';
import { decodeThrown, encodeThrown, isCloneable } from './error-codec.ts';
import type { Lane, LaneListener, LaneOutcome, LaneTask } from './lane.ts';
import type { DoneMessage, HostMessage, HostReply, RunMessage } from './protocol.ts';
import { RestartBudget } from './restart-budget.ts';

/** What a thread is started with; see `new Worker()` of node:worker_threads. */
export interface HostOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly execArgv?: string[];
  readonly resourceLimits?: import('node:worker_threads').ResourceLimits;
}

export interface HostLaneOptions extends HostOptions {
  /** Hosts that are always kept. */
  readonly minSize: number;
  /** Hosts beyond these are ended as soon as they are idle. */
  readonly maxSize: number;
  readonly idleTimeoutMs: number;
}

/** One thread or child. */
export interface Host {
  readonly id: number;
  readonly control: ControlBlock;
  post(message: HostMessage, transfer: readonly Transferable[]): void;
  end(): void;
}

export interface HostListener {
  up(): void;
  reply(reply: Exclude<HostReply, { kind: 'crash' }>): void;
  exited(exitCode: number, cause: unknown): void;
}

export type StartHost = (options: HostOptions, listener: HostListener) => Host;

/** A host with what the lane knows of it. */
class Seat<T> {
  state: 'starting' | 'idle' | 'busy' | 'ending' = 'starting';
  wasUp = false;
  host: Host | undefined;
  batch: readonly T[] = [];
  /** The definition of the batch is being loaded: nothing of the batch has begun. */
  loading = false;
  idleSince = 0;
  readonly definitions = new Set<number>();
  readonly settled: Promise<void>;
  readonly gone: Promise<void>;
  markSettled!: () => void;
  markGone!: () => void;

  constructor() {
    this.settled = new Promise((resolve) => {
      this.markSettled = resolve;
    });
    this.gone = new Promise((resolve) => {
      this.markGone = resolve;
    });
  }
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

  /** How many threads there are, and how many of them are idle. */
  get size(): { readonly total: number; readonly idle: number } {
    return { total: this.#size, idle: this.#idle.length };
  }

  /** Starts the hosts that are always kept, and ends those that are too many. Options of hosts hold for new ones. */
  configure(options: HostLaneOptions): void {
    this.#options = options;
    this.#budget.reset();
    this.#fill();
    this.#retire();
  }

  async ready(): Promise<void> {
    this.#fill();
    await Promise.all([...this.#seats].map((seat) => seat.settled));
    if (this.#size < this.#options.minSize && !this.#isClosed) {
      if (this.#budget.isSpent) throw this.#brokenError();
      await this.ready();
    }
  }

  run(batch: readonly T[]): void {
    const seat = this.#idle.pop();
    if (seat !== undefined) {
      this.#hand(seat, batch);
    } else if (this.#budget.isSpent) {
      for (const task of batch) this.#listener.ended(task, { kind: 'broken', cause: this.#brokenError() });
    } else {
      this.#open(batch);
    }
  }

  withdraw(task: T): boolean {
    const seat = this.#seatOf(task);
    if (seat === undefined) return false;
    if (seat.state === 'starting') {
      seat.batch = seat.batch.filter((other) => other !== task);
      this.#listener.ended(task, { kind: 'withdrawn' });
      return true;
    }
    return seat.host?.control.withdraw(seat.batch.indexOf(task)) ?? false;
  }

  stop(task: T, reason: unknown): void {
    const seat = this.#seatOf(task);
    if (seat?.host === undefined) return;
    const item = seat.batch.indexOf(task);
    seat.host.control.requestStop(item);
    seat.host.post({ kind: 'stop', item, reason: encodeThrown(reason) }, []);
  }

  kill(task: T): void {
    const seat = this.#seatOf(task);
    if (seat !== undefined) this.#end(seat);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retireTimer);
    const seats = [...this.#seats];
    for (const seat of seats) this.#end(seat);
    await Promise.all(seats.map((seat) => seat.gone));
  }

  #seatOf(task: T): Seat<T> | undefined {
    for (const seat of this.#seats) if (seat.batch.includes(task)) return seat;
    return undefined;
  }

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
        exited: (exitCode, cause) => this.#exited(seat, exitCode, cause),
      });
    } catch (cause) {
      this.#exited(seat, undefined, cause);
    }
  }

  #up(seat: Seat<T>): void {
    if (seat.state !== 'starting') return;
    seat.wasUp = true;
    this.#budget.reset();
    this.#listener.threadStarted((seat.host as Host).id);
    if (seat.batch.length > 0) this.#hand(seat, seat.batch);
    else this.#rest(seat);
    seat.markSettled();
  }

  #hand(seat: Seat<T>, batch: readonly T[]): void {
    const host = seat.host as Host;
    const [first] = batch as readonly [T];
    const isNew = !seat.definitions.has(first.definition.index);
    seat.state = 'busy';
    seat.batch = batch;
    seat.loading = isNew;
    host.control.reset(batch.length);
    try {
      host.post(runMessage(batch, isNew), batch.flatMap(transfersOf));
    } catch (problem) {
      this.#refuse(seat, batch, problem);
      return;
    }
    seat.definitions.add(first.definition.index);
    if (!isNew) this.#begin(seat);
  }

  #begin(seat: Seat<T>): void {
    seat.loading = false;
    for (const task of seat.batch) this.#listener.started(task, (seat.host as Host).id);
  }

  /** Something in the batch could not be sent: fails the tasks whose fault it is, and hands over the others. */
  #refuse(seat: Seat<T>, batch: readonly T[], problem: unknown): void {
    const refused = batch.length === 1 ? batch : batch.filter((task) => !isCloneable(task.args));
    const sound = batch.filter((task) => !refused.includes(task));
    if (sound.length > 0) this.#hand(seat, sound);
    else this.#rest(seat);
    for (const task of refused) {
      this.#listener.ended(task, { kind: 'uncloneable', error: uncloneable(task, problem), runMs: 0 });
    }
  }

  #reply(seat: Seat<T>, reply: Exclude<HostReply, { kind: 'crash' }>): void {
    switch (reply.kind) {
      case 'begin':
        this.#begin(seat);
        break;
      case 'progress': {
        const task = seat.batch[reply.item];
        if (task !== undefined) this.#listener.progress(task, reply.progress);
        break;
      }
      case 'done':
        this.#done(seat, reply);
        break;
    }
  }

  #done(seat: Seat<T>, reply: DoneMessage): void {
    const { batch } = seat;
    const outcomes = this.#outcomes(seat, reply);
    // First the seat, then its tasks: what comes next may need it.
    if (seat.state === 'ending') seat.batch = [];
    else this.#rest(seat);
    batch.forEach((task, item) => {
      this.#listener.ended(task, outcomes[item] as LaneOutcome);
    });
  }

  #outcomes(seat: Seat<T>, { results, failures, runMs }: DoneMessage): LaneOutcome[] {
    const control = (seat.host as Host).control;
    const outcomes = results.map(
      (value, item): LaneOutcome =>
        control.hasBegun(item) ? { kind: 'result', value, runMs: runMs[item] ?? 0 } : { kind: 'withdrawn' },
    );
    for (const { item, kind, error } of failures ?? []) {
      outcomes[item] = { kind, error: decodeThrown(error), runMs: runMs[item] ?? 0 };
      // It may be another module the next time: the thread is to look again.
      const [first] = seat.batch;
      if (kind === 'unloadable' && first !== undefined) seat.definitions.delete(first.definition.index);
    }
    return outcomes;
  }

  #rest(seat: Seat<T>): void {
    seat.batch = [];
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
    if (state === 'starting') this.#budget.spend(cause ?? new Error(`it exited with code ${exitCode}`));
    this.#seats.delete(seat);
    const fates = seat.wasUp ? this.#fates(seat, exitCode, cause) : batch.map(() => undefined);
    seat.batch = [];
    if (seat.wasUp) {
      this.#listener.threadExited(
        { threadId: (seat.host as Host).id, exitCode: exitCode ?? 0, cause },
        state === 'idle',
      );
    }
    seat.markSettled();
    seat.markGone();
    // From the last to the first: each that is given back goes before the others.
    for (let item = batch.length - 1; item >= 0; item -= 1) {
      const task = batch[item] as T;
      const fate = fates[item];
      if (fate !== undefined) this.#listener.ended(task, fate);
      else if (this.#isClosed) this.#listener.ended(task, { kind: 'died', exitCode, cause });
      else this.#listener.returned(task);
    }
    this.#fill();
  }

  /** What a death means for each task of the batch; undefined for one that did not begin. */
  #fates(seat: Seat<T>, exitCode: number | undefined, cause: unknown): (LaneOutcome | undefined)[] {
    const { control } = seat.host as Host;
    let blamed = !seat.loading; // a module that kills its thread as it loads was loaded for the first of the batch
    return seat.batch.map((task, item) => {
      if (control.hasBegun(item)) return { kind: 'died', exitCode, cause };
      if (!control.withdraw(item)) return { kind: 'withdrawn' };
      if (blamed && transfersOf(task).length === 0) return undefined;
      blamed = true;
      this.#listener.started(task, (seat.host as Host).id);
      return { kind: 'died', exitCode, cause };
    });
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

function runMessage<T extends LaneTask>(batch: readonly T[], isNew: boolean): RunMessage {
  const [first] = batch as readonly [T];
  return {
    kind: 'run',
    definition: first.definition.index,
    ...(isNew && { define: wireDefinition(first.definition) }),
    ids: batch.map((task) => task.options.taskId ?? task.sequence),
    args: batch.map((task) => task.args),
    attempts: batch.map((task) => task.attempt + 1),
  };
}

/** A task that may need its arguments again is given copies. */
function transfersOf({ options, args }: LaneTask): readonly Transferable[] {
  if (options.transfer === undefined || options.retries || options.crashRetries) return [];
  return options.transfer(args as never);
}

function uncloneable(task: LaneTask, cause: unknown): TaskwardenError {
  const argument = task.args.findIndex((value) => !isCloneable(value));
  const which = argument < 0 ? 'its arguments' : `argument ${argument + 1}`;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TaskwardenError(
    'ARGUMENT_NOT_CLONEABLE',
    `task "${task.name}" can't be sent to a thread: ${which} can't be copied (${reason}); pass plain data, without ` +
      "functions, sockets or other live things, or run it with { type: 'loop' }",
    { cause, taskId: task.id },
  );
}
