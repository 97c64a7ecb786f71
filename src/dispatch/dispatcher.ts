/**
 * The way of a task, from submit to settle: it waits in the pool of its type, is handed to the lane when it may start,
 * and whatever ends it goes through `#settle`, where the first cause wins. Here is no queue code and no thread code.
 */
import type { Lane, LaneListener, LaneOutcome } from '../lanes/lane.ts';
import { type Moment, now, thisMoment } from '../platform/clock.ts';
import type { SubmitMessage, TaskMessage } from '../task/inside/task-message.ts';
import type { Progress } from '../task/record/progress.ts';
import type { Task } from '../task/record/task.ts';
import type { EndReason } from '../task/record/task-info.ts';
import type { EndRequest } from '../task/record/task-record.ts';
import type { TaskTable } from '../task/record/task-table.ts';
import { Deadlines } from './deadlines.ts';
import { canceled, crashed, finish, hopeless, isInTime, overtime, shutDown } from './end-reasons.ts';
import type { Announcer } from './events/task-events.ts';
import type { Places } from './lane-registry.ts';
import { Retries } from './retries/retries.ts';
import { isPassing } from './retries/retry-policy.ts';
import { Slots } from './slots.ts';
import type { Ledger } from './task-counters.ts';
import { Families } from './task-tree.ts';

/** Hears of the queues. */
export interface WaitingListener {
  /** A task waits. */
  more(task: Task): void;
  /** Some that had waited before wait again. */
  back(): void;
  /** Some may wait no more. */
  less(): void;
}

export class Dispatcher implements LaneListener<Task> {
  readonly #places: () => Places;
  readonly #announcer: Announcer;
  readonly #table: TaskTable;
  readonly #ledger: Ledger;
  readonly #waiting: WaitingListener;

  /** Those whose delay runs, and those that have failed and whose `retryIf` has not answered yet. */
  readonly #delayed = new Set<Task>();
  readonly slots: Slots;
  readonly families: Families;
  readonly #deadlines = new Deadlines({
    look: (task) => this.#places().of(task.type).lane.reachOf(task),
    end: (task, ending, onlyIfWaiting) => this.#end(task, ending, onlyIfWaiting),
  });
  readonly #retries = new Retries(this.#delayed, {
    isFinal: () => this.#isFinal,
    runAgain: (task, error, delayMs) => this.#runAgain(task, error, delayMs),
    settle: (task, { reason, error }) => this.#settle(task, reason, error),
    log: (task, problem) => this.#announcer.log(task, 'retryIf failed', problem),
  });
  /** No attempt is to follow another any more. */
  #isFinal = false;

  constructor(parts: {
    readonly places: () => Places;
    readonly announcer: Announcer;
    readonly table: TaskTable;
    readonly ledger: Ledger;
    readonly waiting: WaitingListener;
    /** Takes in a task that a task calls. */
    readonly submit: (parent: Task, word: SubmitMessage) => void;
  }) {
    this.#places = parts.places;
    this.#announcer = parts.announcer;
    this.#table = parts.table;
    this.#ledger = parts.ledger;
    this.#waiting = parts.waiting;
    this.slots = new Slots({
      places: parts.places,
      heldFor: (task) => this.families.heldFor(task),
      onLess: () => this.#waiting.less(),
      onHopeless: (task, held) => this.#end(task, hopeless(task, held)),
    });
    this.families = new Families({
      find: (id) => this.#table.findLive(id),
      cancel: (task, reason) => this.cancel(task, reason),
      stop: (task) => this.stop(task),
      talk: (task, talk) => this.tell(task, talk),
      submit: parts.submit,
      free: (task) => {
        task.release();
        for (const topic of ['message', 'yield'] as const) this.tell(task, { topic, message: { kind: 'unthrottled' } });
      },
      lend: (parent) => {
        const { pool, lane } = this.#places().of(parent.type);
        if (lane.lend(parent)) pool.lend();
        this.slots.wake();
      },
      lendTo: (task) => this.slots.lendTo(task),
      resume: (parent) => {
        const { pool, lane } = this.#places().of(parent.type);
        if (!lane.resume(parent)) return;
        pool.reclaim();
        this.#waiting.less();
      },
    });
  }

  /** Nothing more is begun. */
  get isFinal(): boolean {
    return this.#isFinal;
  }

  get delayed(): number {
    return this.#delayed.size;
  }

  /** Those whose function may have run, and so may know their id. */
  get begun(): readonly Task[] {
    return [...this.#handed(), ...this.#delayed];
  }

  *#handed(): Generator<Task> {
    for (const { lane } of this.#places()) yield* lane;
  }

  /** Whether anything can be found that has not ended. */
  get hasPending(): boolean {
    for (const { isSettled } of this) if (!isSettled) return true;
    return false;
  }

  /** All that have not ended, from those that run to those that wait longest. */
  *[Symbol.iterator](): Generator<Task> {
    for (const task of this.#handed()) if (!task.isSettled) yield task;
    yield* this.slots;
    for (const { pool } of this.#places()) yield* pool;
    yield* this.#delayed;
  }

  // Out: submitted, queued, handed over.

  submit(task: Task): void {
    this.#ledger.submit();
    if (task.options.taskId !== undefined) void task.id; // found by it from now on
    const { signal, delayMs = 0 } = task.options;
    if (signal?.aborted) {
      this.cancel(task, signal.reason);
      return;
    }
    if (signal !== undefined) task.listenToSignal(signal, () => this.cancel(task, signal.reason));
    if (delayMs > 0) this.#delay(task, delayMs);
    else this.#enqueue(task);
  }

  #delay(task: Task, delayMs: number): void {
    this.#delayed.add(task);
    task.setTimer(delayMs, () => {
      this.#delayed.delete(task);
      this.#enqueue(task);
    });
  }

  #enqueue(task: Task): void {
    const { pool } = this.#places().of(task.type);
    if (task.isSubTask) pool.putFirst(task, this.families.elderOf(task));
    else pool.put(task);
    task.enqueue();
    this.#deadlines.whileItWaits(task);
    this.#announcer.emit('task:queued', task);
    this.slots.take(pool);
    if (!task.hasSlot) this.#waiting.more(task);
  }

  // Back: what the lanes tell.

  started(task: Task, hostId: number | undefined, at: number, heard: Moment): void {
    if (task.isSettled) return;
    task.start(hostId, heard, at);
    if (task.endRequest?.isTentative) task.endRequest = undefined;
    if (task.endRequest === undefined) this.#deadlines.whileItRuns(task, heard.at - at);
    if (task.isStopRequested) this.#askToFinish(task);
    if (task.isSubTask) this.families.tell(task, { kind: 'started', hostId });
    this.#announcer.emit('task:started', task);
  }

  progress(task: Task, progress: Progress): void {
    if (task.isSettled) return;
    if (task.isSubTask) this.families.tell(task, { kind: 'progress', progress });
    this.#announcer.progress(task, progress);
  }

  message(task: Task, word: TaskMessage): void {
    if (task.isSettled) return;
    if (word.topic === 'submit' || word.topic === 'child-command') this.families.hear(task, word);
    else if (word.topic !== 'child-update' && !this.families.tell(task, { kind: 'data', data: word })) {
      task.channels.handle(word);
    }
  }

  ended(task: Task, outcome: LaneOutcome, heard: Moment): void {
    this.#freeSlot(task);
    this.slots.reopen(task.bulkhead);
    if (!task.isSettled) this.#conclude(task, outcome, heard);
  }

  returned(tasks: readonly Task[]): void {
    for (const task of tasks.toReversed()) {
      this.#freeSlot(task);
      const ending = task.endRequest ?? (this.#isFinal ? shutDown(task) : undefined);
      if (task.isSettled) continue;
      if (ending !== undefined) {
        this.#settle(task, ending.reason, ending.error);
      } else {
        task.putBack();
        this.#places().of(task.type).pool.putBack(task);
        this.#deadlines.whileItWaits(task);
      }
    }
    for (const { bulkhead } of tasks) this.slots.reopen(bulkhead);
    this.slots.wake();
    this.#waiting.back();
  }

  vacated(lane: Lane<Task>, wasLent: boolean): void {
    for (const place of this.#places()) if (place.lane === lane) place.pool.release(wasLent);
    this.slots.wake();
  }

  departed(): void {
    this.slots.wake();
  }

  #freeSlot(task: Task): void {
    this.slots.free(task);
    if (task.status === 'started' || task.isSettled) task.stopTimer();
  }

  #conclude(task: Task, outcome: LaneOutcome, heard: Moment): void {
    task.runMs = 'runMs' in outcome ? outcome.runMs : task.runMs;
    if (outcome.kind === 'result' || outcome.kind === 'thrown') this.slots.batcher.note(task, outcome.runMs);
    const ending = task.endRequest ?? overtime(task, outcome);
    if (ending !== undefined && !isInTime(task, ending, outcome)) {
      if (outcome.kind === 'died' && ending.reason === 'shutdown') this.#ledger.terminate();
      if (ending.reason === 'timeout') this.#retries.after(task, ending);
      else this.#settle(task, ending.reason, ending.error, heard);
      return;
    }
    switch (outcome.kind) {
      case 'result':
        this.#settle(task, 'completed', outcome.value, heard);
        break;
      case 'thrown':
      case 'unloadable':
      case 'uncloneable':
        if (isPassing(outcome.kind, outcome.error)) {
          this.#retries.after(task, { reason: 'failed', error: outcome.error });
        } else {
          this.#settle(task, 'failed', outcome.error, heard);
        }
        break;
      case 'broken':
        this.#settle(task, 'failed', outcome.cause, heard);
        break;
      case 'died':
        this.#retries.afterCrash(task, crashed(task, outcome));
        break;
      case 'withdrawn':
        throw new Error(`task ${task.id} was withdrawn, and by nobody`);
    }
  }

  #runAgain(task: Task, error: unknown, delayMs: number): void {
    this.#ledger.retry();
    if (task.isParent) this.families.orphan(task, error);
    task.retry();
    if (task.isSubTask) this.families.tell(task, { kind: 'retried' });
    this.#delay(task, delayMs);
    this.#announcer.emit('task:retried', task, { error, delayMs });
  }

  // Endings that come from outside.

  cancel(task: Task, reason: unknown): boolean {
    return !task.isSettled && this.#end(task, canceled(task, reason));
  }

  /** One that waits is asked when it begins. */
  stop(task: Task): void {
    if (task.isSettled || task.isStopRequested) return;
    task.isStopRequested = true;
    if (task.status === 'started' && task.endRequest === undefined) this.#askToFinish(task);
  }

  #askToFinish(task: Task): void {
    this.#places().of(task.type).lane.stop(task, finish(task), false);
  }

  /** Says something to a task that has begun. */
  tell(task: Task, word: TaskMessage): void {
    if (task.status === 'started') this.#places().of(task.type).lane.send(task, word);
  }

  /** A task that waits is settled at once, one that runs is asked to stop, and settled when it has. False: it has ended. */
  #end(task: Task, ending: EndRequest, onlyIfWaiting = false): boolean {
    if (task.isSettled) return false;
    if (task.endRequest !== undefined) {
      // A timeout ends an attempt, and with retries not the task: then this is the first cause that does.
      if (task.endRequest.reason === 'timeout' && this.#retries.hasOne(task)) task.endRequest = ending;
      return true;
    }
    const { lane } = this.#places().of(task.type);
    if (this.slots.withdraw(task)) {
      this.#delayed.delete(task);
      this.#freeSlot(task);
      this.#settle(task, ending.reason, ending.error);
      this.slots.reopen(task.bulkhead);
      this.slots.wake();
      return true;
    }
    const state = lane.reachOf(task);
    if (task.isSettled) return false;
    if (state === 'ended') {
      // What it came to is not told yet: a result counts, and anything else comes too late for another attempt.
      if (!onlyIfWaiting) task.endRequest = { ...ending, at: now() };
      return !onlyIfWaiting;
    }
    task.endRequest = { ...ending, at: now() };
    if (task.isParent) this.families.orphan(task, ending.error);
    const withdrawal = lane.withdraw(task);
    if (withdrawal === true) {
      this.#settle(task, ending.reason, ending.error);
    } else if (onlyIfWaiting) {
      // If it has begun after all, or does so now, it runs on.
      task.endRequest = withdrawal === 'asked' ? { ...ending, isTentative: true } : undefined;
      return false;
    } else {
      lane.stop(task, ending.error, true);
    }
    // A thread that is still loading a module can hang there with its slot, though the task is settled.
    if (task.hasSlot) task.setTimer(task.options.stopGraceMs, () => lane.kill(task));
    return true;
  }

  /** Ends all that have not begun; from now on, nothing is tried again. */
  dropWaiting(): void {
    this.#isFinal = true;
    for (const task of [...this]) if (!task.hasSlot) this.#end(task, shutDown(task));
  }

  /** Ends what is delayed and has never begun, and lets run what waits for a reader: nobody is to wait for either. */
  hurry(): void {
    for (const task of this) task.release();
    for (const task of [...this.#delayed]) if (task.attempt === 0) this.#end(task, shutDown(task));
  }

  /** Asks all that run to stop; they have their grace. */
  stopStarted(): void {
    for (const task of [...this.slots, ...this.#handed()]) this.#end(task, shutDown(task));
  }

  /** Ends all that run, with their threads. */
  killStarted(): void {
    for (const task of [...this.slots, ...this.#handed()]) {
      this.#end(task, shutDown(task));
      if (task.hasSlot) this.#places().of(task.type).lane.kill(task);
    }
  }

  /** Settles all that can be found, wherever it is and whatever runs: nothing more is heard of it. */
  abandon(): void {
    for (const task of [...this]) {
      const { reason, error } = task.endRequest ?? shutDown(task);
      this.#settle(task, reason, error);
    }
  }

  // The end, whatever it was.

  #settle(task: Task, endReason: EndReason, outcome: unknown, heard: Moment = thisMoment()): void {
    if (!task.settle(endReason, outcome, heard)) return;
    if (task.isParent)
      this.families.orphan(task, endReason === 'completed' || endReason === 'failed' ? undefined : outcome);
    if (task.isSubTask) this.families.ended(task, { kind: 'ended', endReason, outcome });
    this.#ledger.settle(endReason);
    this.#table.keep(task);
    this.#announcer.ended(task, outcome);
    if (!this.#announcer.isTelling) this.#ledger.balance(); // else when all is told
  }
}
