/**
 * The way of a task, from submit to settle: it waits in the pool of its type, is handed to the lane when it may start,
 * and whatever ends it goes through `#settle`, where the first cause wins. Here is no queue code and no thread code.
 */
import type { Announcer } from './announcer.ts';
import { type ErrorCode, TaskwardenError } from './errors.ts';
import type { KeepAlive } from './keep-alive.ts';
import type { Lane, LaneListener, LaneOutcome, ThreadExit } from './lanes/lane.ts';
import { backoffMs } from './scheduling/backoff.ts';
import type { PriorityPool } from './scheduling/priority-pool.ts';
import type { Progress } from './task/context.ts';
import type { EndReason } from './task/info.ts';
import type { Ending, Task } from './task/task.ts';
import type { TaskType } from './task/task-options.ts';
import type { TaskTable } from './task/task-table.ts';

/** Where tasks of one type wait, and where they run. */
export interface Place {
  readonly pool: PriorityPool<Task>;
  readonly lane: Lane<Task>;
}

/** Hears of the queues. */
export interface WaitingListener {
  /** A task waits. */
  more(): void;
  /** A task that had waited before waits again. */
  back(): void;
  /** Some may wait no more. */
  less(): void;
}

export interface Counts {
  readonly submitted: number;
  readonly retried: number;
  readonly ended: Readonly<Record<EndReason, number>>;
}

export class Dispatcher implements LaneListener<Task> {
  readonly #places: () => Readonly<Record<TaskType, Place>>;
  readonly #announcer: Announcer;
  readonly #table: TaskTable;
  readonly #keepAlive: KeepAlive;
  readonly #waiting: WaitingListener;

  readonly #delayed = new Set<Task>();
  /** Those that have a slot: handed to a lane, and not yet back. */
  readonly #handed = new Set<Task>();
  readonly #ended: Record<EndReason, number> = {
    completed: 0,
    failed: 0,
    canceled: 0,
    timeout: 0,
    expired: 0,
    crashed: 0,
    shutdown: 0,
  };
  #submitted = 0;
  #retried = 0;
  #settled = 0;
  #killed = 0;
  #refused = 0;
  /** No attempt is to follow another any more. */
  #isFinal = false;
  #isPumping = false;
  #drained: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(parts: {
    readonly places: () => Readonly<Record<TaskType, Place>>;
    readonly announcer: Announcer;
    readonly table: TaskTable;
    readonly keepAlive: KeepAlive;
    readonly waiting: WaitingListener;
  }) {
    this.#places = parts.places;
    this.#announcer = parts.announcer;
    this.#table = parts.table;
    this.#keepAlive = parts.keepAlive;
    this.#waiting = parts.waiting;
  }

  get counts(): Counts {
    return { submitted: this.#submitted, retried: this.#retried, ended: { ...this.#ended } };
  }

  get pending(): number {
    return this.#submitted - this.#settled;
  }

  /** Tasks whose shutdown took their thread. */
  get killed(): number {
    return this.#killed;
  }

  /** Tasks that were not taken in. */
  get refused(): number {
    return this.#refused;
  }

  get delayed(): number {
    return this.#delayed.size;
  }

  get handed(): Iterable<Task> {
    return this.#handed;
  }

  /** All that have not ended, from those that run to those that wait longest. */
  *[Symbol.iterator](): Generator<Task> {
    for (const task of this.#handed) if (!task.isSettled) yield task;
    for (const { pool } of Object.values(this.#places())) yield* pool;
    yield* this.#delayed;
  }

  // Out: submitted, queued, handed over.

  submit(task: Task): void {
    this.#count(task);
    const { signal, delayMs = 0 } = task.options;
    if (signal?.aborted) {
      this.cancel(task, signal.reason);
      return;
    }
    if (signal !== undefined) task.listen(signal, () => this.cancel(task, signal.reason));
    if (delayMs > 0) this.#delay(task, delayMs);
    else this.#enqueue(task);
  }

  /** Fails a task that can't be taken in. */
  refuse(task: Task, code: ErrorCode, message: string): void {
    this.#refused += 1;
    this.#count(task);
    this.#settle(task, 'failed', new TaskwardenError(code, message, { taskId: task.id }));
  }

  #count(task: Task): void {
    this.#submitted += 1;
    if (this.pending === 1) this.#keepAlive.hold();
    if (task.options.taskId !== undefined) void task.id; // found by it from now on
  }

  #delay(task: Task, delayMs: number): void {
    this.#delayed.add(task);
    task.setTimer(delayMs, () => {
      this.#delayed.delete(task);
      this.#enqueue(task);
    });
  }

  #enqueue(task: Task): void {
    const { pool } = this.#places()[task.type];
    task.enqueue();
    pool.put(task);
    const { queueTimeoutMs } = task.options;
    if (queueTimeoutMs === undefined) task.stopTimer();
    else task.setTimer(queueTimeoutMs, () => this.#expire(task, queueTimeoutMs));
    this.#announcer.emit('task:queued', task);
    this.pump();
    if (pool.waiting > 0) this.#waiting.more();
  }

  /** Hands over all tasks that may start now. What happens meanwhile is seen by the loop that is on its way. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    let isMore: boolean;
    do {
      isMore = false;
      for (const { pool, lane } of Object.values(this.#places())) {
        for (let task = pool.take(); task !== undefined; task = pool.take()) {
          isMore = true; // the lane may have called back, and so made room in another pool
          task.hasSlot = true;
          this.#handed.add(task);
          lane.run([task]);
        }
      }
    } while (isMore);
    this.#isPumping = false;
    this.#waiting.less();
  }

  // Back: what the lanes tell.

  started(task: Task, threadId: number | undefined): void {
    if (task.isSettled) return;
    task.start(threadId);
    const { timeoutMs } = task.options;
    if (task.ending === undefined) {
      if (timeoutMs === undefined) task.stopTimer();
      else task.setTimer(timeoutMs, () => this.#timeOut(task, timeoutMs));
    }
    this.#announcer.emit('task:started', task);
  }

  progress(task: Task, progress: Progress): void {
    if (!task.isSettled) this.#announcer.progress(task, progress);
  }

  ended(task: Task, outcome: LaneOutcome): void {
    this.#freeSlot(task);
    this.#places()[task.type].pool.release();
    if (!task.isSettled) this.#conclude(task, outcome);
    this.pump();
  }

  returned(task: Task): void {
    this.#freeSlot(task);
    const { pool } = this.#places()[task.type];
    if (task.isSettled) pool.release();
    else pool.putBack(task);
    this.pump();
    if (pool.waiting > 0) this.#waiting.back();
  }

  threadStarted(threadId: number): void {
    this.#announcer.threadStarted(threadId);
  }

  threadExited(exit: ThreadExit, wasIdle: boolean): void {
    this.#announcer.threadExited(exit, wasIdle);
  }

  #freeSlot(task: Task): void {
    task.hasSlot = false;
    this.#handed.delete(task);
    if (task.status === 'started' || task.isSettled) task.stopTimer();
  }

  #conclude(task: Task, outcome: LaneOutcome): void {
    if ('runMs' in outcome) task.runMs = outcome.runMs;
    const { ending } = task;
    if (ending !== undefined) {
      if (outcome.kind === 'died' && ending.reason === 'shutdown') this.#killed += 1;
      if (ending.reason !== 'timeout' || !this.#retry(task, ending.error)) {
        this.#settle(task, ending.reason, ending.error);
      }
      return;
    }
    switch (outcome.kind) {
      case 'result':
        this.#settle(task, 'completed', outcome.value);
        break;
      case 'thrown':
        if (!this.#retry(task, outcome.error)) this.#settle(task, 'failed', outcome.error);
        break;
      case 'unloadable':
      case 'uncloneable':
        this.#settle(task, 'failed', outcome.error);
        break;
      case 'broken':
        this.#settle(task, 'failed', outcome.cause);
        break;
      case 'died':
        this.#crash(task, outcome.exitCode, outcome.cause);
        break;
      case 'withdrawn':
        throw new Error(`task ${task.id} was withdrawn, and by nobody`);
    }
  }

  #crash(task: Task, exitCode: number | undefined, cause: unknown): void {
    const how = cause instanceof Error ? cause.message : `it exited with code ${exitCode}`;
    const error = new TaskwardenError('TASK_CRASHED', `the thread of task "${task.name}" died under it: ${how}`, {
      taskId: task.id,
      ...(exitCode !== undefined && { exitCode }),
      ...(cause !== undefined && { cause }),
    });
    if (task.crashes < (task.options.crashRetries ?? 0) && !this.#isFinal) {
      task.crashes += 1;
      this.#runAgain(task, error, 0);
    } else {
      this.#settle(task, 'crashed', error);
    }
  }

  /** False if the task has no retry left, or does not want one. */
  #retry(task: Task, error: unknown): boolean {
    const { retries = 0, retryDelayMs = 100, retryIf } = task.options;
    const failures = task.attempt - task.crashes;
    if (failures > retries || this.#isFinal) return false;
    try {
      if (retryIf?.(error, task.attempt) === false) return false;
    } catch (problem) {
      this.#announcer.log(task, 'retryIf threw', problem);
      return false;
    }
    this.#runAgain(task, error, backoffMs(retryDelayMs, failures));
    return true;
  }

  #runAgain(task: Task, error: unknown, delayMs: number): void {
    this.#retried += 1;
    task.retry();
    this.#delay(task, delayMs);
    this.#announcer.emit('task:retried', task, { error, delayMs });
  }

  // Endings that come from outside.

  cancel(task: Task, reason: unknown): boolean {
    if (task.isSettled) return false;
    const error = new TaskwardenError('TASK_CANCELED', `task "${task.name}" was canceled`, {
      taskId: task.id,
      ...(reason !== undefined && { cause: reason }),
    });
    this.#end(task, { reason: 'canceled', error });
    return true;
  }

  #timeOut(task: Task, timeoutMs: number): void {
    const message = `task "${task.name}" ran longer than its ${timeoutMs} ms`;
    const error = new TaskwardenError('TASK_TIMEOUT', message, { taskId: task.id, timeoutMs });
    this.#end(task, { reason: 'timeout', error });
  }

  #expire(task: Task, timeoutMs: number): void {
    const message = `task "${task.name}" waited longer than its ${timeoutMs} ms, and never ran`;
    const error = new TaskwardenError('TASK_EXPIRED', message, { taskId: task.id, timeoutMs });
    this.#end(task, { reason: 'expired', error });
  }

  /** A task that waits is settled at once; one that runs is asked to stop, and settled when it has. */
  #end(task: Task, ending: Ending): void {
    if (task.isSettled || task.ending !== undefined) return;
    const { pool, lane } = this.#places()[task.type];
    if (!task.hasSlot) {
      if (!this.#delayed.delete(task) && task.status === 'queued') pool.remove(task);
      this.#settle(task, ending.reason, ending.error);
      this.pump();
      return;
    }
    task.ending = ending;
    if (task.status === 'queued' && lane.withdraw(task)) this.#settle(task, ending.reason, ending.error);
    else lane.stop(task, ending.error);
    // A thread that is still loading a module can hang there with its slot, though the task is settled.
    if (task.hasSlot) task.setTimer(task.options.stopGraceMs, () => lane.kill(task));
  }

  /** Ends all that have not begun; from now on, nothing is tried again. */
  dropWaiting(): void {
    this.#isFinal = true;
    for (const task of [...this]) if (!task.hasSlot) this.#end(task, this.#shutdown(task));
  }

  /** Ends what is delayed and has never begun: nobody is to wait for its time. */
  dropDelayed(): void {
    for (const task of [...this.#delayed]) if (task.attempt === 0) this.#end(task, this.#shutdown(task));
  }

  /** Asks all that run to stop; they have their grace. */
  stopStarted(): void {
    for (const task of [...this.#handed]) this.#end(task, this.#shutdown(task));
  }

  /** Ends all that run, with their threads. */
  killStarted(): void {
    for (const task of [...this.#handed]) {
      this.#end(task, this.#shutdown(task));
      if (task.hasSlot) this.#places()[task.type].lane.kill(task);
    }
  }

  #shutdown(task: Task): Ending {
    const message = `task "${task.name}" was canceled, because its supervisor stops`;
    return { reason: 'shutdown', error: new TaskwardenError('TASK_CANCELED', message, { taskId: task.id }) };
  }

  /** Resolves when nothing is pending. */
  drained(): Promise<void> {
    if (this.pending === 0) return Promise.resolve();
    if (this.#drained === undefined) {
      let resolve = () => {};
      const promise = new Promise<void>((settle) => {
        resolve = settle;
      });
      this.#drained = { promise, resolve };
    }
    return this.#drained.promise;
  }

  // The end, whatever it was.

  #settle(task: Task, endReason: EndReason, outcome: unknown): void {
    if (!task.settle(endReason, outcome)) return;
    this.#ended[endReason] += 1;
    this.#settled += 1;
    this.#table.keep(task);
    if (task.status === 'completed') this.#announcer.completed(task, outcome);
    else if (task.status === 'canceled') this.#announcer.canceled(task, outcome);
    else this.#announcer.failed(task, outcome);
    if (this.pending === 0) {
      this.#keepAlive.release();
      this.#drained?.resolve();
      this.#drained = undefined;
    }
  }
}
