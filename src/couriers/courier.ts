/**
 * The contract of couriers: they carry tasks from clients to workers, and results back.
 *
 *   addTaskToQueue ──▶ waiting ── getTask ──▶ leased ── returnTaskResult ──▶ completed   (kept for the result's time-to-live)
 *                        ▲                      │
 *                        ├── releaseTask, or its lease ran out
 *                        └── returnTaskError ───┴── no retry left ──▶ failed, a dead letter ── redriveTasks ──▶ waiting
 *
 * A worker has a task by a lease: while it extends that, nobody else gets the task. One that dies or stalls loses it, and
 * its late result is refused, so a task is settled once; but it may be begun more than once. A courier knows no supervisor.
 */
import type { Priority } from '../queue/priority.ts';
import type { Progress } from '../task/record/progress.ts';

/** A task as a worker gets it. */
export interface CourierTask<D = unknown> {
  readonly id: string;
  readonly queue: string;
  readonly data: D;
  readonly priority: Priority;
  /** From 1; more after an error that was retried, or a lease that ran out. What was released counts once. */
  readonly attempt: number;
  /** With how many retries it was added; undefined if nothing was said of them. */
  readonly retries?: number | undefined;
  /** When it was added, in epoch milliseconds. */
  readonly timeQueued: number;
  /** Unique for each delivery: what is returned, extended or released with another one is refused with `LEASE_LOST`. */
  readonly lease: string;
}

export interface AddOptions {
  /** The task's own id, without `:`; that of a task the courier still knows fails with `DUPLICATE_TASK_ID`. Default: a UUID. */
  readonly id?: string;
  /** A higher one is delivered first; inside one, first in, first out. Default: `'normal'`. */
  readonly priority?: Priority;
  /** How long it is held back. Default: 0. */
  readonly delayMs?: number;
  /** How often a task that a worker returned with an error is delivered again. Default: 0. */
  readonly retries?: number;
  /** The pause before a retry, as the task option of that name. Default: 100. */
  readonly retryDelayMs?: number;
  /**
   * Waits for room in a queue that is full, and for a server that can't be reached, instead of failing with `QUEUE_FULL` or
   * `COURIER_UNREACHABLE`. It is added once, though it was tried often. Default: false.
   */
  readonly wait?: boolean;
  /** Ends that wait, with its reason; one that has aborted adds nothing. */
  readonly signal?: AbortSignal;
}

/** For all of a bulk. */
export type BulkAddOptions = Omit<AddOptions, 'id'>;

export interface WaitOptions {
  /** Default: Infinity. */
  readonly timeoutMs?: number;
  /** Ends the wait, which rejects with its reason. */
  readonly signal?: AbortSignal;
}

export interface FetchOptions {
  /** Only tasks of this priority and above. Default: `'low'`, which is all. */
  readonly minPriority?: Priority;
}

export interface ReturnErrorOptions {
  /** The task has failed for good, though it has retries left. Default: false. */
  readonly isFinal?: boolean;
}

/** What a worker says of a task that it has. Of one that ends at once, a courier may leave out that it has started. */
export type TaskUpdate =
  | { readonly kind: 'started'; readonly attempt: number }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'message'; readonly data: unknown };

/** What a client says to the worker that has a task, and what the courier itself says. */
export type TaskCommand =
  /** The client wants no result any more. */
  | { readonly kind: 'cancel'; readonly reason: unknown }
  /** The task is to finish; its result counts. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'message'; readonly data: unknown }
  /** The lease is lost: what the worker returns will be refused. */
  | { readonly kind: 'lost' };

/** What a client sends to a task that goes on. */
export type ClientCommand = TaskCommand & { readonly kind: 'stop' | 'message' };

/** A task that failed for good. It is kept until it is redriven or removed, when its error is no result any more, too. */
export interface DeadLetter<D = unknown> {
  readonly id: string;
  readonly data: D;
  readonly priority: Priority;
  /** How often it was delivered. */
  readonly attempts: number;
  readonly error: unknown;
  /** In epoch milliseconds. */
  readonly timeFailed: number;
}

export interface CourierQueueInfo {
  /** Tasks that a worker could get now. */
  readonly waiting: Readonly<Record<Priority, number>>;
  /** Tasks that are held back, by their delay or before a retry. */
  readonly delayed: number;
  /** Tasks that a worker has. */
  readonly leased: number;
  readonly deadLetters: number;
}

/** The side of those who want something done. */
export interface ClientTaskCourier {
  /**
   * Adds a task and gives its id. Rejects with `QUEUE_FULL`, `DUPLICATE_TASK_ID`, `ARGUMENT_NOT_CLONEABLE` or
   * `COURIER_CLOSED`; then nothing was added. With `COURIER_UNREACHABLE`, as everything here, when a server is away: then it
   * is not known.
   */
  addTaskToQueue(queue: string, data: unknown, options?: AddOptions): Promise<string>;
  /**
   * All or none, but for `wait: true`, which adds them in order as room comes: when its signal ends that, those that were
   * added stay. Gives their ids, in order.
   */
  bulkAddTasksToQueue(queue: string, data: readonly unknown[], options?: BulkAddOptions): Promise<string[]>;
  /** The result. Rejects with the task's error if it failed, with `RESULT_NOT_READY`, or with `TASK_NOT_FOUND`. */
  getTaskResult<R = unknown>(queue: string, id: string): Promise<R>;
  /** Waits for the result. Rejects as `getTaskResult`, and with `RESULT_TIMEOUT`; the task goes on. */
  waitForTaskResult<R = unknown>(queue: string, id: string, options?: WaitOptions): Promise<R>;
  /** Whether it has ended, well or not. Rejects with `TASK_NOT_FOUND`. */
  checkForDone(queue: string, id: string): Promise<boolean>;
  /**
   * A task that waits is gone and never runs; the worker that has one is told. Waiting for its result then rejects with
   * `TASK_CANCELED`, at once, its `cause` the reason; what the worker returns is refused with `LEASE_LOST`. No dead
   * letter. Gives false if it had ended, or is not known.
   */
  cancelTask(queue: string, id: string, reason?: unknown): Promise<boolean>;
  /**
   * Says something to the worker that has the task, or will have it. All is kept until the task has ended, in order: the
   * worker of each attempt hears it from the first on, since it begins anew. Rejects with `TASK_NOT_FOUND`, or
   * `MESSAGE_NOT_CLONEABLE`; a task that has ended hears nothing, and that is no failure.
   */
  sendToTask(queue: string, id: string, command: ClientCommand): Promise<void>;
  /**
   * Hears what the worker says, until the task has ended or what it gives is called. Not kept for late listeners: choose
   * the id, follow it, then add the task. What was said before the result is heard before it.
   */
  subscribeToTask(queue: string, id: string, listener: (update: TaskUpdate) => void): Promise<() => void>;
  /** The oldest first. Default: 100 from the start. */
  getDeadLetters(queue: string, options?: { readonly offset?: number; readonly max?: number }): Promise<DeadLetter[]>;
  /**
   * Puts dead letters back to wait, as if they came anew: behind all others, with all their retries and leases, attempt 1,
   * whether there is room or not. Their results can be waited for again. Without ids, all of the queue. Gives how many.
   */
  redriveTasks(queue: string, ids?: readonly string[]): Promise<number>;
  /** Forgets dead letters, and their errors with them; without ids, all of the queue. Gives how many. */
  removeDeadLetters(queue: string, ids?: readonly string[]): Promise<number>;
  getQueueInfo(queue: string): Promise<CourierQueueInfo>;
  /** Ends all waits with `COURIER_CLOSED`; so does everything that is asked afterwards. */
  close(): Promise<void>;
}

/** The side of those who do it. */
export interface WorkerTaskCourier {
  /** The next task, with a lease; or undefined, if none waits. */
  getTask(queue: string, options?: FetchOptions): Promise<CourierTask | undefined>;
  /** As many as wait, at most `max`. */
  bulkGetTasks(queue: string, max: number, options?: FetchOptions): Promise<CourierTask[]>;
  /** Waits for a task; undefined when `timeoutMs` is over. */
  waitForTask(queue: string, options?: WaitOptions & FetchOptions): Promise<CourierTask | undefined>;
  /** Waits for one at least, and gives as many as there are; none when `timeoutMs` is over. */
  bulkWaitForTasks(queue: string, max: number, options?: WaitOptions & FetchOptions): Promise<CourierTask[]>;
  /** Ends the task. Rejects with `LEASE_LOST`, `RESULT_NOT_CLONEABLE` or `COURIER_CLOSED`. */
  returnTaskResult(queue: string, task: CourierTask, result: unknown): Promise<void>;
  /** Ends the attempt: the task is tried again if it has a retry left, or else has failed with this error. Rejects with `LEASE_LOST`. */
  returnTaskError(queue: string, task: CourierTask, error: unknown, options?: ReturnErrorOptions): Promise<void>;
  /** Ends all whose lease is not lost; then rejects with `LEASE_LOST` if some were, naming them. */
  bulkReturnTaskResults(queue: string, results: readonly (readonly [CourierTask, unknown])[]): Promise<void>;
  /** Begins the lease anew. Rejects with `LEASE_LOST`. */
  extendLease(queue: string, task: CourierTask): Promise<void>;
  /** The same for many. Gives those whose lease is lost. */
  bulkExtendLeases(queue: string, tasks: readonly CourierTask[]): Promise<CourierTask[]>;
  /** Gives the task back, to where it was, before those that wait; this was no attempt. Rejects with `LEASE_LOST`. */
  releaseTask(queue: string, task: CourierTask): Promise<void>;
  /** Says something to whoever follows the task. Rejects with `LEASE_LOST`. */
  sendToClient(queue: string, task: CourierTask, update: TaskUpdate): Promise<void>;
  /**
   * Hears all that clients have said and say, from the first on, and of the loss of the lease, though that was before;
   * until what it gives is called, or the worker has the task no more.
   */
  subscribeToClient(queue: string, task: CourierTask, listener: (command: TaskCommand) => void): Promise<() => void>;
  /** How long a lease holds, in milliseconds: extend it in good time. */
  readonly leaseMs: number;
  /**
   * When the server has last answered a fetch of this courier, though it had nothing, in epoch milliseconds; undefined if it
   * has not yet. A wait that lasts asks it again and again. Absent in a courier without a server.
   */
  readonly timeAnswered?: number | undefined;
  /**
   * Hears each time that the server can't be reached, or can't do what a worker asks, also where that is asked again by the
   * courier itself; until what it gives is called. Absent in a courier without a server.
   */
  readonly onOutage?: ((listener: (error: unknown) => void) => () => void) | undefined;
  close(): Promise<void>;
}

/** Both sides. */
export interface ClientWorkerTaskCourier extends ClientTaskCourier, WorkerTaskCourier {}
