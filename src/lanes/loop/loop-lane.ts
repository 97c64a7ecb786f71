/**
 * The main event loop as a lane. It calls the functions themselves, so closures work, but nothing can be killed. Tasks begin
 * one after the other, the most urgent first. Those that don't fit into this turn of the loop begin in a later one.
 */
import { types } from 'node:util';
import { TaskwardenError } from '../../base/errors.ts';
import { type Moment, now, thisMoment } from '../../platform/clock.ts';
import { Promise, queueMicrotask } from '../../platform/globals.ts';
import { callInTurn, isSpent } from '../../platform/loop-turn.ts';
import { Fifo, type FifoItem } from '../../queue/order/fifo.ts';
import { type Priority, priorities } from '../../queue/priority.ts';
import { shownAttempt, type TaskSubmitter } from '../../task/call/task-options.ts';
import { loadFunctionInTime } from '../../task/definition/load-function.ts';
import { runInTask } from '../../task/inside/context.ts';
import { Run } from '../../task/inside/run.ts';
import type { KeptWork } from '../../task/inside/steps.ts';
import type { TaskMessage } from '../../task/inside/task-message.ts';
import { unwrapTransferred } from '../../task/inside/transferred.ts';
import type { Progress } from '../../task/record/progress.ts';
import type { Lane, LaneListener, LaneOutcome, LaneTask, TaskReach } from '../lane.ts';
import type { FailureKind } from '../wire/protocol.ts';

/** How many tasks begin in a row: settling their results together costs less. */
const mostAtOnce = 16;

export class LoopLane<T extends LaneTask> implements Lane<T> {
  #listener!: LaneListener<T>;
  readonly #runs = new Map<T, LoopRun<T>>();
  /** Those that have not begun. */
  readonly #waiting: Readonly<Record<Priority, Fifo<LoopRun<T>>>> = {
    critical: new Fifo(),
    high: new Fifo(),
    normal: new Fifo(),
    low: new Fifo(),
  };
  #isBeginDue = false;

  subscribe(listener: LaneListener<T>): void {
    this.#listener = listener;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#runs.keys();
  }

  /** Nothing is sent here, so batches have one task. */
  roomFor(): number {
    return 1;
  }

  run([task]: readonly [T]): void {
    const whileItRuns = (report: () => void) => {
      if (this.#runs.get(task) === loopRun) report();
    };
    const loopRun = new LoopRun(
      task,
      (progress) => whileItRuns(() => this.#listener.progress(task, progress)),
      (message) => whileItRuns(() => this.#listener.message(task, message)),
    );
    this.#runs.set(task, loopRun);
    this.#waiting[task.options.priority].push(loopRun);
    this.#beginSoon();
  }

  #beginSoon(): void {
    if (this.#isBeginDue || this.#nextPriority() === undefined) return;
    this.#isBeginDue = true;
    queueMicrotask(this.#begin);
  }

  readonly #begin = (): void => callInTurn(this.#beginSome);

  /** The next tasks begin after the microtasks of these, whose time counts for the turn, too. */
  readonly #beginSome = (moment: Moment): void => {
    this.#isBeginDue = false;
    let priority = this.#nextPriority();
    for (let begun = 1; priority !== undefined; begun += 1) {
      const loopRun = this.#waiting[priority].shift() as LoopRun<T>;
      void this.#call(loopRun.task, loopRun, moment);
      priority = this.#nextPriority();
      if (begun === mostAtOnce || priority === undefined) break;
      moment = thisMoment();
      if (isSpent(moment.at)) break;
    }
    this.#beginSoon();
  };

  #nextPriority(): Priority | undefined {
    for (const priority of priorities) if (this.#waiting[priority].size > 0) return priority;
    return undefined;
  }

  prefetch(): boolean {
    return false;
  }

  takeBack(): boolean {
    return false;
  }

  reachOf(task: T): TaskReach {
    const loopRun = this.#runs.get(task);
    if (loopRun === undefined) return 'ended';
    return loopRun.begun ? 'runs' : 'waits';
  }

  withdraw(task: T): boolean {
    const loopRun = this.#runs.get(task);
    if (loopRun === undefined || loopRun.begun) return false;
    this.#end(task, loopRun, { kind: 'withdrawn' });
    return true;
  }

  recall(): void {
    const waiting = [...this.#runs.values()].filter(({ begun }) => !begun);
    for (const loopRun of waiting) {
      this.#runs.delete(loopRun.task);
      this.#waiting[loopRun.task.options.priority].remove(loopRun);
      this.#listener.slotReleased(this, false);
    }
    if (waiting.length > 0) this.#listener.returned(waiting.map(({ task }) => task));
  }

  stop(task: T, reason: unknown): void {
    task.runInScope(() => this.#runs.get(task)?.stop(reason));
  }

  lend(task: T): boolean {
    const loopRun = this.#runs.get(task);
    if (loopRun === undefined || loopRun.isLent) return false;
    loopRun.isLent = true;
    return true;
  }

  resume(task: T): boolean {
    const loopRun = this.#runs.get(task);
    if (loopRun === undefined || !loopRun.isLent) return false;
    loopRun.isLent = false;
    return true;
  }

  send(task: T, message: TaskMessage): void {
    this.#runs.get(task)?.handle(message);
  }

  /** The function can't be ended: its task ends, and what the function still does is ignored. */
  kill(task: T): void {
    this.#end(task, this.#runs.get(task), { kind: 'died', exitCode: undefined, signal: undefined, cause: undefined });
  }

  async ready(): Promise<void> {}

  async recycle(): Promise<void> {}

  async close(): Promise<void> {}

  async #call(task: T, loopRun: LoopRun<T>, moment: Moment): Promise<void> {
    loopRun.begun = true;
    this.#listener.started(task, undefined, moment.at, moment);
    if (this.#runs.get(task) !== loopRun) return; // the listener has killed it
    const startedAt = moment.at;
    let kind: FailureKind = 'unloadable';
    let outcome: LaneOutcome;
    try {
      const { fn, receiver } = task.definition;
      const loaded = fn === undefined ? await loadFunctionInTime(task.definition) : { fn, receiver };
      kind = 'thrown';
      const value = unwrapTransferred(await task.runInScope(() => loopRun.call(loaded.fn, loaded.receiver)));
      const endedAt = now();
      outcome = { kind: 'result', value, runMs: endedAt - startedAt, endedAt };
    } catch (error) {
      outcome = { kind, error, runMs: now() - startedAt };
    }
    loopRun.end();
    this.#end(task, loopRun, outcome);
  }

  /** Only for the present run: an attempt that was given up must not end the next one. */
  #end(task: T, loopRun: LoopRun<T> | undefined, outcome: LaneOutcome): void {
    if (loopRun === undefined || this.#runs.get(task) !== loopRun) return;
    this.#runs.delete(task);
    if (!loopRun.begun) this.#waiting[task.options.priority].remove(loopRun);
    this.#listener.slotReleased(this, loopRun.isLent);
    this.#listener.ended(task, outcome, thisMoment());
  }
}

/** One attempt of one task. */
class LoopRun<T extends LaneTask> extends Run implements FifoItem<LoopRun<T>> {
  next: LoopRun<T> | undefined = undefined;
  previous: LoopRun<T> | undefined = undefined;
  readonly name: string;
  readonly attempt: number;
  begun = false;
  isLent = false;
  readonly task: T;
  readonly #sendProgress: (progress: Progress) => void;
  readonly #sendMessage: (message: TaskMessage) => void;
  #isStopRequested = false;

  constructor(task: T, tellProgress: (progress: Progress) => void, tellWord: (message: TaskMessage) => void) {
    super(task.args);
    this.name = task.name;
    this.attempt = shownAttempt(task.options, task.attempt + 1);
    this.task = task;
    this.#sendProgress = tellProgress;
    this.#sendMessage = tellWord;
  }

  isBefore(other: LoopRun<T>): boolean {
    return this.task.sequence < other.task.sequence;
  }

  /** Awaits a promise inside the task, because awaiting a handle marks it as awaited by this task. */
  override call(fn: (...args: never[]) => unknown, receiver: unknown): unknown {
    const value = super.call(fn, receiver);
    if (!types.isPromise(value) || !Object.hasOwn(value, 'constructor')) return value;
    return runInTask(this, () => Promise.resolve(value));
  }

  get submitter(): TaskSubmitter | undefined {
    return this.task.submitter;
  }

  get id(): string {
    return this.task.options.delivery?.id ?? this.task.id;
  }

  override get keptWork(): KeptWork | undefined {
    return this.task.keptWork;
  }

  protected override get ownIdempotencyKey(): string | undefined {
    return this.task.options.idempotencyKey;
  }

  protected isStopRequested(): boolean {
    return this.#isStopRequested;
  }

  protected report(progress: Progress): void {
    this.#sendProgress(progress);
  }

  post(message: TaskMessage): void {
    this.#sendMessage(message);
  }

  poll(timeoutMs: number): boolean {
    if (timeoutMs <= 0) return false;
    const message =
      'recvSync() would wait for ever: while it waits on the event loop, nothing can be sent; ' +
      'use await recv(), or recvSync({ timeoutMs: 0 })';
    throw new TaskwardenError('WOULD_BLOCK', message, { taskId: this.id });
  }

  override stop(reason: unknown): void {
    this.#isStopRequested = true;
    super.stop(reason);
  }
}
