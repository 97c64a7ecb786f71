/**
 * The tasks that a worker has: extends their leases in good time, hears what clients say to them, and knows which of them
 * are not the worker's any more. It performs nothing, and returns nothing.
 *
 *   held ──▶ finished                                                      its result is returned; its lease is extended till then
 *        ──▶ lost (its lease) | canceled (by its client) | released        then nobody asks for its result
 */
import { callSafely } from '../call-safely.ts';
import { Timer } from '../clock.ts';
import { TaskwardenError } from '../errors.ts';
import { rules } from '../options.ts';
import type { CourierNews, CourierOrder, CourierTask, WorkerTaskCourier } from './courier.ts';

/** What a client says to a task that goes on. */
export type TaskOrder = CourierOrder & { readonly kind: 'stop' | 'message' };

/** A task in hand, beside its data: what is said of it, and to it. */
export interface CourierTaskContext {
  /** Aborts when nobody wants the result any more: its client has canceled it, or its lease is lost. */
  readonly signal: AbortSignal;
  /** Says something to the client. False if nobody heard it, because the task is not this worker's any more. */
  tell(news: CourierNews): Promise<boolean>;
  /** Hears what the client says, from the first that was not heard. One hears at a time. */
  heed(hear: (order: TaskOrder) => unknown): void;
  /** Gives the task back to the queue, before those that wait: this was no attempt. What it then results in is dropped. */
  release(): Promise<void>;
}

/** Hears of what ends nothing: a lost lease, or something that could not be told. */
type OnTrouble<D> = (error: unknown, task?: CourierTask<D>) => void;

export function isLeaseLost(error: unknown): boolean {
  return error instanceof TaskwardenError && error.code === 'LEASE_LOST';
}

export class TasksInHand<D> {
  readonly #courier: WorkerTaskCourier;
  readonly #queue: string;
  readonly #onTrouble: OnTrouble<D>;
  /** By their leases. */
  readonly #held = new Map<string, TaskInHand<D>>();
  #timer: Timer | undefined;

  constructor(courier: WorkerTaskCourier, queue: string, onTrouble: OnTrouble<D>) {
    this.#courier = courier;
    this.#queue = queue;
    this.#onTrouble = onTrouble;
  }

  take(tasks: readonly CourierTask<D>[]): void {
    for (const task of tasks) {
      this.#held.set(task.lease, new TaskInHand(this.#courier, this.#queue, task, this.#onTrouble));
    }
    if (this.#timer === undefined) this.#extendLater();
  }

  find(task: CourierTask<D>): TaskInHand<D> | undefined {
    return this.#held.get(task.lease);
  }

  /** It was performed. Gives whether its result is still to be returned, by this worker. */
  finish(task: CourierTask<D>): boolean {
    return this.find(task)?.finish() ?? false;
  }

  /** Lets it go. */
  leave(task: CourierTask<D>): void {
    this.find(task)?.leave();
    this.#held.delete(task.lease);
    if (this.#held.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #extendLater(): void {
    this.#timer = new Timer(Math.max(this.#courier.leaseMs / 3, 1), () => {
      this.#extendLater();
      void this.#extend();
    });
  }

  async #extend(): Promise<void> {
    const tasks = [...this.#held.values()].filter(({ isOurs }) => isOurs).map(({ task }) => task);
    if (tasks.length === 0) return;
    try {
      for (const { lease } of await this.#courier.bulkExtendLeases(this.#queue, tasks)) this.#held.get(lease)?.lose();
    } catch (error) {
      this.#onTrouble(error);
    }
  }
}

class TaskInHand<D> implements CourierTaskContext {
  readonly task: CourierTask<D>;
  readonly #courier: WorkerTaskCourier;
  readonly #queue: string;
  readonly #onTrouble: OnTrouble<D>;
  #state: 'held' | 'finished' | 'lost' | 'canceled' | 'released' | 'left' = 'held';
  #hasBegun = false;
  #abort: AbortController | undefined;
  #reason: TaskwardenError | undefined;
  #hear: ((order: TaskOrder) => unknown) | undefined;
  readonly #unheard: TaskOrder[] = [];
  #unheed: (() => void) | undefined;

  constructor(courier: WorkerTaskCourier, queue: string, task: CourierTask<D>, onTrouble: OnTrouble<D>) {
    this.task = task;
    this.#courier = courier;
    this.#queue = queue;
    this.#onTrouble = onTrouble;
    void this.#listen();
  }

  async #listen(): Promise<void> {
    try {
      const unheed = await this.#courier.heedTask(this.#queue, this.task, (order) => this.#heard(order));
      if (this.#state === 'left') unheed();
      else this.#unheed = unheed;
    } catch (error) {
      this.#note(error);
    }
  }

  get isHeld(): boolean {
    return this.#state === 'held';
  }

  /** Its lease is still of use. */
  get isOurs(): boolean {
    return this.isHeld || this.#state === 'finished';
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#reason !== undefined && !this.#abort.signal.aborted) this.#abort.abort(this.#reason);
    return this.#abort.signal;
  }

  /** Says to the client that it begins, once. */
  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    void this.tell({ kind: 'started', attempt: this.task.attempt });
  }

  async tell(news: CourierNews): Promise<boolean> {
    if (news.kind === 'progress') rules.fraction(news.progress.fraction, 'the fraction of a progress');
    if (!this.isHeld) return false;
    try {
      await this.#courier.tellClient(this.#queue, this.task, news);
      return true;
    } catch (error) {
      this.#note(error);
      return false;
    }
  }

  heed(hear: (order: TaskOrder) => unknown): void {
    this.#hear = hear;
    for (const order of this.#unheard.splice(0)) this.#pass(order);
  }

  async release(): Promise<void> {
    if (!this.#end('released', 'LEASE_LOST', 'was given back')) return;
    try {
      await this.#courier.releaseTask(this.#queue, this.task);
    } catch (error) {
      if (!isLeaseLost(error)) throw error;
    }
  }

  /** Nothing that happens to it matters any more, but for its result. Gives whether there is one to return. */
  finish(): boolean {
    if (!this.isHeld) return false;
    this.#state = 'finished';
    return true;
  }

  leave(): void {
    this.#state = 'left';
    this.#unheed?.();
    this.#unheed = undefined;
  }

  lose(): void {
    if (this.#end('lost', 'LEASE_LOST', 'was held for longer than its lease: another worker has it now')) {
      this.#onTrouble(this.#reason, this.task);
    }
  }

  #heard(order: CourierOrder): void {
    if (order.kind === 'lost') this.lose();
    else if (order.kind === 'cancel') this.#end('canceled', 'TASK_CANCELED', 'was canceled', order.reason);
    else if (this.#hear === undefined) this.#unheard.push(order as TaskOrder);
    else this.#pass(order as TaskOrder);
  }

  #pass(order: TaskOrder): void {
    const hear = this.#hear as (order: TaskOrder) => unknown;
    if (this.isHeld) callSafely(hear, order, (problem) => this.#onTrouble(problem, this.task));
  }

  #note(error: unknown): void {
    if (isLeaseLost(error)) this.lose();
    else if (this.isHeld) this.#onTrouble(error, this.task);
  }

  /** False, and nothing changes, if it was not held any more. */
  #end(
    state: 'lost' | 'canceled' | 'released',
    code: 'LEASE_LOST' | 'TASK_CANCELED',
    what: string,
    cause?: unknown,
  ): boolean {
    if (!this.isHeld) return false;
    const { id } = this.task;
    this.#state = state;
    this.#reason = new TaskwardenError(code, `task ${id} ${what}`, {
      taskId: id,
      ...(cause !== undefined && { cause }),
    });
    this.#abort?.abort(this.#reason);
    return true;
  }
}
