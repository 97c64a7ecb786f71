/**
 * The tasks that a worker holds: extends their leases in time, receives commands of clients for them, and keeps track of those
 * that were lost, canceled or released. It neither performs tasks nor returns results.
 *
 *   held ──▶ finished                                                      its lease is extended until its result is returned
 *        ──▶ lost (its lease) | canceled (by its client) | released        its result is not needed
 */
import { callSafely } from '../../base/call-safely.ts';
import { hasCode, TaskwardenError } from '../../base/errors.ts';
import { rules } from '../../base/options.ts';
import { now, Timer } from '../../platform/clock.ts';
import type {
  ClientCommand,
  CourierTask,
  ReturnErrorOptions,
  TaskCommand,
  TaskUpdate,
  WorkerTaskCourier,
} from '../courier.ts';
import { isAnswer, isUnreachable, type Outage, outagePauseMs } from '../outage.ts';

/** The context of a task in flight: messages to and from its client, and its end. */
export interface CourierTaskContext {
  /** Aborts when the result is not needed any more: the client has canceled the task, or its lease is lost. */
  readonly signal: AbortSignal;
  /** Sends an update to the client. Resolves with false if that failed, for example because the lease is lost. */
  send(update: TaskUpdate): Promise<boolean>;
  /** Sets the listener for commands of the client, and delivers those that came before. There is one listener at a time. */
  onCommand(listener: (command: ClientCommand) => unknown): void;
  /**
   * Keeps work for the later attempts of the task, as `keepWork()` of the courier does. While the courier can't be reached, it
   * is tried again. Rejects with `LEASE_LOST`, or why the task was canceled.
   */
  keepWork(name: string, work: Uint8Array): Promise<void>;
  /** Makes a failure of this attempt final: the courier does not retry the task, even if it has retries left. */
  giveUp(): void;
  /** Says what a failure of this attempt means for the courier, as the options of `returnTaskError()`. */
  onFailure(options: ReturnErrorOptions): void;
  /** Gives the task back to the queue, before those that wait; this does not count as an attempt. Its result is dropped. */
  release(): Promise<void>;
}

interface Callbacks<D> {
  /** Called when a lease was lost, or an update could not be sent. */
  readonly onError: (error: unknown, task?: CourierTask<D>) => void;
  /** Called when the courier can't be reached. */
  readonly outage: Outage;
}

export function isLeaseLost(error: unknown): boolean {
  return hasCode(error, 'LEASE_LOST');
}

export class TasksInFlight<D> {
  readonly #courier: WorkerTaskCourier;
  readonly #queue: string;
  readonly #callbacks: Callbacks<D>;
  /** By lease. */
  readonly #held = new Map<string, TaskInFlight<D>>();
  #timer: Timer | undefined;
  /** How often in a row extending has failed. */
  #failures = 0;
  #stuckTimer: Timer | undefined;
  #isClosed = false;

  constructor(courier: WorkerTaskCourier, queue: string, callbacks: Callbacks<D>) {
    this.#courier = courier;
    this.#queue = queue;
    this.#callbacks = callbacks;
  }

  get size(): number {
    return this.#held.size;
  }

  take(tasks: readonly CourierTask<D>[]): void {
    for (const task of tasks) {
      this.#held.set(task.lease, new TaskInFlight(this.#courier, this.#queue, task, this.#callbacks));
    }
    if (this.#timer === undefined) this.#extendLater();
  }

  find(task: CourierTask<D>): TaskInFlight<D> | undefined {
    return this.#held.get(task.lease);
  }

  /** To be called when the task was performed. Returns whether this worker still has to return its result. */
  finish(task: CourierTask<D>): boolean {
    return this.find(task)?.finish() ?? false;
  }

  remove(task: CourierTask<D>): void {
    this.find(task)?.leave('left');
    this.#held.delete(task.lease);
    if (this.#held.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#stuckTimer?.cancel();
    for (const { task } of [...this.#held.values()]) this.remove(task);
  }

  /** Calls back when all tasks have been performed or given back for longer than a lease lasts: the courier does not answer. */
  whenStuck(callback: () => void): void {
    if (this.#isClosed) return;
    const { leaseMs } = this.#courier;
    const endedAt = Math.max(-Infinity, ...[...this.#held.values()].map((each) => each.endedAt));
    if (this.#held.size > 0 && endedAt + leaseMs <= now()) callback();
    else this.#stuckTimer = new Timer(leaseMs / 4, () => this.whenStuck(callback));
  }

  #extendLater(waitMs = Infinity): void {
    this.#timer?.cancel();
    this.#timer = new Timer(Math.min(waitMs, Math.max(this.#courier.leaseMs / 3, 1)), () => {
      this.#extendLater();
      void this.#extend();
    });
  }

  async #extend(): Promise<void> {
    const tasks = [...this.#held.values()].filter(({ isOurs }) => isOurs).map(({ task }) => task);
    if (tasks.length === 0) return;
    try {
      for (const { lease } of await this.#courier.bulkExtendLeases(this.#queue, tasks)) this.#held.get(lease)?.lose();
      this.#failures = 0;
    } catch (error) {
      this.#handleExtendError(error);
    }
  }

  #handleExtendError(error: unknown): void {
    if (isAnswer(error)) {
      this.#callbacks.onError(error);
      return;
    }
    this.#callbacks.outage.report(error);
    if (!isUnreachable(error)) return; // the next try comes at the usual time
    this.#failures += 1;
    if (this.#held.size > 0) this.#extendLater(outagePauseMs(this.#failures));
  }
}

class TaskInFlight<D> implements CourierTaskContext {
  readonly task: CourierTask<D>;
  readonly #courier: WorkerTaskCourier;
  readonly #queue: string;
  readonly #callbacks: Callbacks<D>;
  #state: 'held' | 'finished' | 'lost' | 'canceled' | 'released' | 'left' = 'held';
  /** When it was performed or given back, on the clock of `now()`; Infinity before. */
  endedAt: number = Infinity;
  /** What a failure means for the courier; undefined if nothing was said. */
  failure: ReturnErrorOptions | undefined;
  #hasBegun = false;
  #abort: AbortController | undefined;
  #reason: TaskwardenError | undefined;
  #onCommand: ((command: ClientCommand) => unknown) | undefined;
  readonly #pendingCommands: ClientCommand[] = [];
  #unsubscribe: (() => void) | undefined;
  /** Set while the subscription is being retried. */
  #subscribing: AbortController | undefined;

  constructor(courier: WorkerTaskCourier, queue: string, task: CourierTask<D>, callbacks: Callbacks<D>) {
    this.task = task;
    this.#courier = courier;
    this.#queue = queue;
    this.#callbacks = callbacks;
    void this.#subscribe();
  }

  async #subscribe(): Promise<void> {
    try {
      const subscribe = () =>
        this.#courier.subscribeToClient(this.#queue, this.task, (command) => this.#receive(command));
      const unsubscribe = await subscribe().catch((error: unknown) => this.#retrySubscribe(error, subscribe));
      if (this.#state === 'left' || this.#state === 'finished') unsubscribe();
      else this.#unsubscribe = unsubscribe;
    } catch (error) {
      this.#handleError(error);
    }
  }

  /** Retries until it succeeds, or the task is removed. */
  #retrySubscribe<R>(error: unknown, subscribe: () => Promise<R>): Promise<R> {
    if (isAnswer(error)) throw error;
    this.#callbacks.outage.report(error);
    this.#subscribing = new AbortController();
    return this.#callbacks.outage.retryWithoutEnding(subscribe, this.#subscribing.signal);
  }

  giveUp(): void {
    this.failure = { isFinal: true };
  }

  onFailure(options: ReturnErrorOptions): void {
    this.failure = options;
  }

  get isHeld(): boolean {
    return this.#state === 'held';
  }

  /** Whether its lease still has to be extended. */
  get isOurs(): boolean {
    return this.isHeld || this.#state === 'finished';
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#reason !== undefined && !this.#abort.signal.aborted) this.#abort.abort(this.#reason);
    return this.#abort.signal;
  }

  /** Tells the client, once, that the task has started. */
  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    void this.send({ kind: 'started', attempt: this.task.attempt });
  }

  async send(update: TaskUpdate): Promise<boolean> {
    if (update.kind === 'progress') rules.fraction(update.progress.fraction, 'the fraction of a progress');
    if (!this.isHeld) return false;
    try {
      await this.#courier.sendToClient(this.#queue, this.task, update);
      return true;
    } catch (error) {
      this.#handleError(error);
      return false;
    }
  }

  async keepWork(name: string, work: Uint8Array): Promise<void> {
    this.signal.throwIfAborted();
    const keep = () => this.#courier.keepWork(this.#queue, this.task, name, work);
    try {
      await this.#callbacks.outage.retryWithoutEnding(keep, this.signal);
    } catch (error) {
      if (isLeaseLost(error)) this.lose();
      throw error;
    }
  }

  onCommand(listener: (command: ClientCommand) => unknown): void {
    this.#onCommand = listener;
    for (const command of this.#pendingCommands.splice(0)) this.#deliver(command);
  }

  async release(): Promise<void> {
    if (!this.#end('released', 'LEASE_LOST', 'was given back')) return;
    try {
      await this.#courier.releaseTask(this.#queue, this.task);
    } catch (error) {
      if (!isAnswer(error))
        this.#callbacks.outage.report(error); // the lease runs out
      else if (!isLeaseLost(error)) throw error;
    }
  }

  /** Ends the task for all but its result. Returns whether there is a result to return. */
  finish(): boolean {
    if (!this.isHeld) return false;
    this.endedAt = now();
    this.leave('finished');
    return true;
  }

  /** Listens no more: a courier that did would look for commands while the result is on its way. */
  leave(state: 'finished' | 'left'): void {
    this.#state = state;
    this.#subscribing?.abort();
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  lose(): void {
    if (this.#end('lost', 'LEASE_LOST', 'was held for longer than its lease: another worker has it now')) {
      this.#callbacks.onError(this.#reason, this.task);
    }
  }

  #receive(command: TaskCommand): void {
    if (command.kind === 'lost') this.lose();
    else if (command.kind === 'cancel') this.#end('canceled', 'TASK_CANCELED', 'was canceled', command.reason);
    else if (this.#onCommand === undefined) this.#pendingCommands.push(command as ClientCommand);
    else this.#deliver(command as ClientCommand);
  }

  #deliver(command: ClientCommand): void {
    const listener = this.#onCommand as (command: ClientCommand) => unknown;
    if (this.isHeld) callSafely(listener, command, (problem) => this.#callbacks.onError(problem, this.task));
  }

  #handleError(error: unknown): void {
    if (isLeaseLost(error)) this.lose();
    else if (isUnreachable(error)) this.#callbacks.outage.report(error);
    else if (this.isHeld) this.#callbacks.onError(error, this.task);
  }

  /** Returns false, and changes nothing, if the task was not held any more. */
  #end(
    state: 'lost' | 'canceled' | 'released',
    code: 'LEASE_LOST' | 'TASK_CANCELED',
    what: string,
    cause?: unknown,
  ): boolean {
    if (!this.isHeld) return false;
    const { id } = this.task;
    this.#state = state;
    if (state === 'released') this.endedAt = now();
    this.#reason = new TaskwardenError(code, `task ${id} ${what}`, {
      taskId: id,
      ...(cause !== undefined && { cause }),
    });
    this.#abort?.abort(this.#reason);
    return true;
  }
}
