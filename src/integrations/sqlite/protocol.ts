/** What the courier asks of the thread that has the database, and what that answers. Values and errors are JSON by then. */
import type { AddOptions, CourierTaskState, Priority, QueueLimits } from '../../index.ts';

export interface StoreSettings {
  readonly path: string;
  readonly leaseMs: number;
  /** Infinity: for ever. */
  readonly resultTtlMs: number;
  readonly maxQueued: number;
  readonly maxStalls: number;
  /** How long a call waits for the lock of another process, in milliseconds. */
  readonly busyTimeoutMs: number;
  /** Into its first number the thread writes when the database last answered, in epoch milliseconds. */
  readonly answered: SharedArrayBuffer;
}

export interface NewTask {
  readonly id: string;
  /** The function that its data calls. */
  readonly name: string | undefined;
  /** As JSON; null if it is undefined. */
  readonly data: string | null;
}

export type NewTaskOptions = Pick<
  AddOptions,
  'priority' | 'delayMs' | 'retries' | 'retryDelayMs' | 'deadlineMs' | 'key' | 'unique' | 'uniqueForMs' | 'wait'
>;

/** A task that a worker holds. */
export interface HeldTask {
  readonly id: string;
  readonly lease: string;
}

export interface DeliveredTask {
  readonly id: string;
  readonly data: string | null;
  readonly priority: Priority;
  readonly attempt: number;
  readonly retries: number | undefined;
  readonly delayMs: number | undefined;
  readonly key: string | undefined;
  readonly deadline: number | undefined;
  readonly timeQueued: number;
  readonly kept: ReadonlyMap<string, Uint8Array> | undefined;
  readonly lease: string;
}

/** How a task has ended. `outcome` is JSON: of its result; of `StoredFailure` otherwise. */
export interface StoredEnd {
  readonly state: 'completed' | 'failed' | 'canceled';
  readonly outcome: string | null;
}

/** Why a task has failed, or was canceled: what was thrown, or the reason, as `encodeThrown()` gives it; or what the store did. */
export type StoredFailure =
  | { readonly thrown: unknown }
  | { readonly canceled: unknown }
  | { readonly stalls: number }
  | PassedDeadline
  | { readonly replacedBy: string };

/** The deadline of a task is over. */
export interface PassedDeadline {
  readonly deadlineMs: number;
  readonly hasBegun: boolean;
  /** How its last attempt has failed; JSON of `StoredFailure`. */
  readonly last: string | null;
}

export interface StoredTask {
  readonly id: string;
  readonly name: string | undefined;
  readonly key: string | undefined;
  readonly state: CourierTaskState;
  readonly priority: Priority;
  readonly attempts: number;
  readonly timeQueued: number;
  readonly timeStarted: number | undefined;
  readonly timeEnded: number | undefined;
  readonly outcome: string | null;
}

export interface StoredLetter {
  readonly id: string;
  readonly data: string | null;
  readonly priority: Priority;
  readonly attempts: number;
  readonly outcome: string | null;
  readonly timeFailed: number;
}

export interface StoredQueue {
  readonly waiting: Record<Priority, number>;
  readonly delayed: number;
  readonly leased: number;
  readonly deadLetters: number;
  readonly isPaused: boolean;
  readonly limits: QueueLimits | undefined;
}

/** What is sent to a worker, in the order of the numbers. Commands are JSON; after the others nothing comes. */
export type StoredCommand =
  | { readonly kind: 'command'; readonly number: number; readonly command: string }
  | { readonly kind: 'cancel'; readonly number: number; readonly outcome: string | null }
  | { readonly kind: 'lost'; readonly number: number };

/** Every call, with what it gives. */
export interface StoreCalls {
  add(queue: string, tasks: readonly NewTask[], options: NewTaskOptions): string[];
  endOf(queue: string, id: string): StoredEnd | undefined;
  waitForEnd(queue: string, id: string): StoredEnd;
  cancel(queue: string, id: string, outcome: string): boolean;
  sendToTask(queue: string, id: string, command: string): undefined;
  subscribeToTask(queue: string, id: string): boolean;
  unsubscribeFromTask(queue: string, id: string): undefined;
  subscribe(queue: string): undefined;
  unsubscribe(queue: string): undefined;
  deadLetters(queue: string, offset: number, max: number): StoredLetter[];
  redrive(queue: string, ids: readonly string[] | undefined): number;
  removeDead(queue: string, ids: readonly string[] | undefined): number;
  list(queue: string, state: CourierTaskState, offset: number, max: number): StoredTask[];
  info(queue: string): StoredQueue;
  /** The queue is not looked at. */
  queueNames(queue: string): string[];
  pause(queue: string, isPaused: boolean): undefined;
  setLimits(queue: string, limits: QueueLimits): QueueLimits | undefined;
  claim(queue: string, max: number, minPriority: Priority): DeliveredTask[];
  waitForTasks(queue: string, max: number, minPriority: Priority): DeliveredTask[];
  /** Gives the ids of those whose lease was lost, and the next tasks if there are none. */
  complete(
    queue: string,
    results: readonly (HeldTask & { readonly outcome: string | null })[],
    next: number,
  ): { readonly lost: string[]; readonly next: DeliveredTask[] };
  fail(queue: string, task: HeldTask, failure: NewFailure): boolean;
  /** Gives the leases that were lost. */
  extend(queue: string, tasks: readonly HeldTask[]): string[];
  release(queue: string, task: HeldTask): boolean;
  keepWork(queue: string, task: HeldTask, name: string, work: Uint8Array): boolean;
  sendToClient(queue: string, task: HeldTask, kind: string, update: string): boolean;
  /** Gives all commands up to now. Later ones come as notices with the lease, until it is over. */
  watch(queue: string, task: HeldTask): StoredCommand[];
  unwatch(queue: string, task: HeldTask): undefined;
}

export interface NewFailure {
  readonly outcome: string;
  readonly message: string;
  readonly isFinal: boolean;
  readonly retries: number;
  /** Of the worker; JSON. */
  readonly retryDelayMs: string | undefined;
}

export type CallName = keyof StoreCalls;

/** To the thread. `cancel` ends a call that waits: it is answered at once, by what it has, or by `over`. */
export type ToThread =
  | { readonly call: CallName; readonly n: number; readonly args: readonly unknown[] }
  | { readonly cancel: number }
  | { readonly close: true };

/** What has happened, to those who listen. */
export type Notice =
  | { readonly kind: 'event'; readonly queue: string; readonly event: string }
  | { readonly kind: 'update'; readonly queue: string; readonly id: string; readonly update: string }
  | { readonly kind: 'ended'; readonly queue: string; readonly id: string }
  | { readonly kind: 'missed'; readonly queue: string }
  | { readonly kind: 'command'; readonly lease: string; readonly command: StoredCommand }
  | { readonly kind: 'outage'; readonly failure: Failure };

/** Why a call was refused. What is not an answer of the courier is `unreachable` or `unusable`. */
export type Failure =
  | { readonly code: 'TASK_NOT_FOUND' | 'DUPLICATE_TASK_ID'; readonly id: string }
  | { readonly code: 'TASK_EXISTS'; readonly key: string; readonly id: string }
  | { readonly code: 'QUEUE_FULL' }
  | { readonly code: 'unreachable' | 'unusable'; readonly message: string; readonly cause: SqliteProblem }
  /** It was called with something that is none of its arguments. */
  | { readonly code: 'invalid'; readonly message: string }
  | { readonly code: 'over' };

/** An error of SQLite, as far as it can be sent. */
export interface SqliteProblem {
  readonly message: string;
  /** Such as `'SQLITE_BUSY'`. */
  readonly code: string | undefined;
}

export type Reply = { readonly n: number; readonly value: unknown } | { readonly n: number; readonly failure: Failure };

/** From the thread: notices come before the replies. */
export interface FromThread {
  readonly notices: readonly Notice[];
  readonly replies: readonly Reply[];
}
