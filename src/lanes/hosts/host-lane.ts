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
import { Staff, type StaffOptions } from '../host-pool/host-pool.ts';
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
import { unpackWord } from '../wire/wire-message.ts';
import type { LaneReply, StartHost } from './host.ts';
import { Seat } from './host-slot.ts';
import { isOfModule, LoadFailures } from './load-failures.ts';
import { type LoadLimits, LoadWatch, loadLimits, loadOf } from './load-watch.ts';
import { unsendable } from './send-failure.ts';
import { Suspects } from './suspects.ts';

/** What a batch has not begun by then is taken back: something in it runs longer than was thought. In milliseconds. */
const recallMs = 2 * batchMs;

/** A host that has not answered for so long is ended with the task that is to be ended. In milliseconds. */
const deafMs = 1_000;

interface HostLaneParts<T extends LaneTask> {
  readonly listener: LaneListener<T>;
  readonly watcher: HostWatcher;
  readonly startHost: StartHost;
  /** Default: `loadLimits`. */
  readonly limits?: LoadLimits;
}

export class HostLane<T extends LaneTask> implements Lane<T>, HostSupply {
  readonly #listener: LaneListener<T>;
  readonly #staff: Staff<T>;
  readonly #failures = new LoadFailures();
  readonly #loads: LoadWatch<T>;
  readonly #suspects = new Suspects<T>();
  #recallTimer: NodeJS.Timeout | undefined;

  constructor(
    kind: HostKind,
    options: StaffOptions,
    { listener, watcher, startHost, limits = loadLimits }: HostLaneParts<T>,
  ) {
    this.#listener = listener;
    this.#staff = new Staff<T>(kind, options, {
      watcher,
      startHost,
      newSeat: () => new Seat<T>(listener),
      begin: (seat) => this.#hand(seat),
      reply: (seat, reply) => this.#reply(seat, reply, (problem) => watcher.teardownFailed(kind, seat.id, problem)),
      unreadable: (seat, problem) => this.#mishear(seat, problem),
      died: (seat, exit, isFinal) => {
        if (seat.size > 0) this.#vacate(seat);
        else listener.departed();
        this.#return(seat.die(exit, isFinal, this.#suspects));
      },
    });
    this.#loads = new LoadWatch<T>({
      limits,
      seats: this.#staff,
      slow: (seat) => watcher.loadsLong(kind, seat.id, whatLoads(seat), limits.warnMs),
      late: (seat) => this.#abandon(seat, limits.failMs),
    });
  }

  /** How many hosts there are, and how many of them are idle. */
  get size(): { readonly total: number; readonly idle: number } {
    return this.#staff.size;
  }

  get leaving(): number {
    return this.#staff.leaving;
  }

  hasHostFor(held: number, most: number): boolean {
    return this.#staff.hasHostFor(held, most);
  }

  /** Starts the hosts that are always kept, and ends those that are too many. Options of hosts hold for new ones. */
  configure(options: StaffOptions): void {
    this.#staff.configure(options);
  }

  ready(): Promise<void> {
    return this.#staff.ready();
  }

  recycle(): Promise<void> {
    return this.#staff.recycle();
  }

  async close(graceMs: number): Promise<void> {
    clearTimeout(this.#recallTimer);
    this.#loads.unwatch();
    await this.#staff.close(graceMs);
  }

  *[Symbol.iterator](): Generator<T> {
    for (const seat of this.#staff) yield* seat;
  }

  /** A definition is loaded for one task; only then can more of it go together. */
  roomFor(task: T): number {
    return this.#staff.nextIdle?.knows(task) && !this.#suspects.has(task) ? ControlBlock.capacity : 1;
  }

  run(batch: Batch<T>): void {
    const [first] = batch;
    const failure = this.#staff.nextIdle?.knows(first) ? undefined : this.#failures.standing(first);
    if (failure !== undefined) {
      this.#listener.vacated(this, false);
      const heard = thisMoment();
      for (const task of batch) {
        this.#listener.started(task, undefined, heard.at, heard); // it is an attempt
        this.#listener.ended(task, { kind: 'unloadable', error: failure, runMs: 0 }, heard);
      }
      return;
    }
    const idle = this.#staff.takeIdle(first);
    if (idle !== undefined) {
      idle.take(batch);
      this.#hand(idle);
      return;
    }
    for (const seat of this.#staff) {
      if (seat.state !== 'starting' || seat.size > 0) continue;
      seat.take(batch);
      return;
    }
    if (!this.#staff.isBroken) {
      this.#staff.open(batch);
      return;
    }
    this.#listener.vacated(this, false);
    const cause = this.#staff.brokenError();
    for (const task of batch) this.#listener.ended(task, { kind: 'broken', cause }, thisMoment());
  }

  look(task: T): TaskReach {
    const seat = this.#seatOf(task);
    seat?.update();
    return seat?.look(task) ?? 'ended';
  }

  withdraw(task: T): Withdrawal {
    const seat = this.#seatOf(task);
    if (seat?.state !== 'starting') return seat?.withdraw(task) ?? false;
    seat.take([]);
    this.#listener.vacated(this, false);
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
    this.#staff.setLent(seat, true);
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
    this.#staff.setLent(seat, false);
    return true;
  }

  /** The seat is free, and its slot, if it was not lent. */
  #vacate(seat: Seat<T>): void {
    this.#listener.vacated(this, this.#takeBack(seat));
  }

  tell(task: T, word: TaskMessage): void {
    this.#seatOf(task)?.tell(task, word);
  }

  /** Of a batch, the others are not to lose their host to one that waits; unless it is deaf. */
  kill(task: T): void {
    const seat = this.#seatOf(task);
    if (seat === undefined) return;
    const { recallAskedAt = Infinity } = seat;
    if (seat.isHeldBy(task) || now() - recallAskedAt > deafMs) this.#staff.end(seat);
    else if (recallAskedAt !== Infinity) setTimeout(() => this.kill(task), recallMs).unref();
  }

  #seatOf(task: T): Seat<T> | undefined {
    for (const seat of this.#staff) for (const other of seat) if (other === task) return seat;
    return undefined;
  }

  // Tasks go, and come back.

  #hand(seat: Seat<T>): void {
    seat.state = 'busy';
    const refusals = seat.post();
    if (refusals.length > 0 && seat.size === 1) {
      // nothing was sent
      this.#listener.vacated(this, false);
      seat.take([]);
      this.#staff.rest(seat);
    } else if (!seat.loading) {
      seat.begin();
    }
    for (const { task, problem } of refusals) {
      this.#listener.ended(task, { kind: 'uncloneable', error: unsendable(task, problem), runMs: 0 }, thisMoment());
    }
    if (seat.size > 1) this.#armRecall();
    if (seat.loading) this.#loads.watch();
  }

  #armRecall(): void {
    this.#recallTimer ??= setTimeout(() => {
      this.#recallTimer = undefined;
      this.#recall();
    }, recallMs).unref();
  }

  /** Frees the tasks that wait behind one that takes long, though others of its kind did not. */
  #recall(): void {
    for (const seat of this.#staff) {
      if (seat.state !== 'busy' || seat.size === 1) continue;
      if (now() - seat.since < recallMs) this.#armRecall();
      else this.#return(seat.recall());
    }
  }

  /** A host that loads for nobody any more may hang there: it has the grace of the task that it has lost. */
  #recalled(seat: Seat<T>, tasks: readonly T[]): void {
    const { since, loading } = seat;
    const [task] = tasks;
    if (loading && task !== undefined) {
      const isStuck = () => seat.state === 'busy' && seat.since === since && seat.loading;
      setTimeout(() => isStuck() && this.#staff.end(seat), task.options.stopGraceMs).unref();
    }
    this.#return(tasks);
  }

  /** What the host loads will not end, as far as can be told; it has the host for itself. */
  #abandon(seat: Seat<T>, ms: number): void {
    const [task] = seat;
    const load = loadOf(seat);
    if (load !== undefined && task !== undefined) {
      const error = unfinished(load, whatLoads(seat), ms);
      this.#failures.note(task, error, seat.since);
      this.#vacate(seat);
      seat.abandonLoad(error);
      this.#return(seat.leave());
    }
    this.#staff.end(seat);
  }

  #return(tasks: readonly T[]): void {
    if (tasks.length > 0) this.#listener.returned(tasks);
  }

  #reply(seat: Seat<T>, reply: LaneReply, onTeardownProblem: (problem: unknown) => void): void {
    const [task] = seat;
    if (task === undefined && seat.state === 'ending' && reply.kind !== 'teardown') return; // it was given up
    switch (reply.kind) {
      case 'begin':
        if (task !== undefined) this.#failures.forget(task);
        seat.loaded();
        break;
      case 'progress':
        seat.progress(reply.item, reply.progress);
        break;
      case 'word':
        seat.said(reply.item, unpackWord(reply.word));
        break;
      case 'recalled':
        this.#recalled(seat, seat.recalled(reply.items));
        break;
      case 'untidy':
        seat.hasTeardown = true;
        break;
      case 'warm':
        seat.isSpoiled = reply.missing.length > 0;
        seat.warmed(reply.missing);
        this.#staff.welcome(seat);
        break;
      case 'heavy':
        this.#staff.renew(seat);
        break;
      case 'teardown':
        onTeardownProblem(decodeThrown(reply.error));
        break;
      case 'done':
        seat.checkDone();
        this.#finish(seat);
        break;
      default:
        this.#conclude(seat, seat.read(reply));
    }
  }

  #conclude(seat: Seat<T>, outcome: LaneOutcome): void {
    const [task] = seat;
    if (outcome.kind === 'unloadable' && task !== undefined) this.#spoil(seat, task, outcome.error);
    if (seat.isAtLast) this.#finish(seat, () => seat.conclude(outcome));
    else seat.conclude(outcome);
  }

  #spoil(seat: Seat<T>, task: T, error: unknown): void {
    seat.isSpoiled ||= isOfModule(error);
    this.#failures.note(task, error, seat.since);
  }

  /** A host that may say more of what is thought to have ended is ended: that would be taken for another task's. */
  #mishear(seat: Seat<T>, problem: unknown): void {
    const isOutcome = seat.isOutcomeNext;
    const isLast = seat.mishear(problem);
    if (!isOutcome) this.#staff.end(seat);
    else if (isLast) this.#finish(seat);
  }

  /** Nothing of the batch runs any more; `tell` tells the last of it. */
  #finish(seat: Seat<T>, tell?: () => void): void {
    const { size } = seat;
    this.#vacate(seat);
    tell?.();
    this.#return(seat.leave());
    this.#staff.worked(seat, size);
    this.#staff.rest(seat);
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
