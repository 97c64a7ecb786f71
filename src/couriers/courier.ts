/**
 * The contract of couriers: they carry tasks from clients to workers, and results back.
 *
 *   addTaskToQueue ──▶ waiting ── getTask ──▶ leased ── returnTaskResult ──▶ completed   (kept for the result's time-to-live)
 *                        ▲                      │
 *                        ├── releaseTask, or its lease ran out
 *                        └── returnTaskError ───┴── no retry left ──▶ failed, a dead letter ── redriveTasks ──▶ waiting
 *
 * A worker holds a task by a lease: as long as it extends the lease, no other worker gets the task. A worker that dies or
 * stalls loses the lease, and its late result is refused. So a task is settled once, but may be started more than once.
 */
import type { Backoff } from '../base/backoff.ts';
import type { RateOptions } from '../queue/keys/rate.ts';
import type { Priority } from '../queue/priority.ts';
import type { KeptWork } from '../task/inside/steps.ts';
import type { Progress } from '../task/record/progress.ts';
import type { ListedTask, ListOptions, QueueEvent, QueueSubscription } from './queue-view.ts';

/** A task as a worker gets it. */
export interface CourierTask<D = unknown> {
  readonly id: string;
  readonly queue: string;
  readonly data: D;
  readonly priority: Priority;
  /** From 1. Goes up after an error that is retried, and after a lease that ran out; not after a release. */
  readonly attempt: number;
  /** The option `retries` it was added with; undefined if that was not given. */
  readonly retries?: number | undefined;
  /** The option `delayMs` it was added with; undefined if that was not given. */
  readonly delayMs?: number | undefined;
  /** The option `key` it was added with. */
  readonly key?: string | undefined;
  /** When its `deadlineMs` is over, in epoch milliseconds on the clock of this machine; undefined if it has none. */
  readonly deadline?: number | undefined;
  /** When it was added, or redriven, in epoch milliseconds. */
  readonly timeQueued: number;
  /** What its attempts have kept by `keepWork()`. Undefined if that is nothing. */
  readonly kept?: KeptWork | undefined;
  /** Unique for each delivery. Returning, extending or releasing the task with any other lease fails with `LEASE_LOST`. */
  readonly lease: string;
}

export interface AddOptions {
  /** The id of the task, without `:`. Fails with `DUPLICATE_TASK_ID` if the courier still knows a task with it. Default: a UUID. */
  readonly id?: string;
  /** Higher priorities are delivered first; within a priority, first in, first out. Default: `'normal'`. */
  readonly priority?: Priority;
  /** How long the task is delayed, in milliseconds. Default: 0. */
  readonly delayMs?: number;
  /**
   * How often the task is delivered again after a worker returned an error. If it is given, it holds with `retryDelayMs`,
   * whatever the worker's definition of the task says. Default: what the worker says, or 0.
   */
  readonly retries?: number;
  /** The pause before a retry, as the task option of that name, which can also be a function. Default: from 1,000. */
  readonly retryDelayMs?: number | Backoff;
  /**
   * How long it may take from when the courier has it, in milliseconds, by the clock of the server; in memory of the program:
   * its delay, all waiting, all attempts and the pauses between them. Then it has failed, and is not tried again: with
   * `TASK_EXPIRED` if it was never begun, else with `TASK_TIMEOUT`, whose `cause` is the last error; a worker that holds it is
   * told. The same as soon as the pause before a retry is longer than what is left. When it is redriven, it has the whole time
   * again. Default: none.
   */
  readonly deadlineMs?: number;
  /** Whose task it is, such as a tenant, a URL or a user: `unique` and the limits of the queue go by it. Default: none. */
  readonly key?: string;
  /**
   * One task of this queue and key at a time, until it has ended, on all machines. What becomes of a second one: `'join'` adds
   * nothing, and resolves with the id of the first; `'refuse'` rejects with `TASK_EXISTS`; `'replace'` cancels the first if it
   * waits (`TASK_REPLACED`), and takes its place; one that a worker holds is left to run. Default: none.
   */
  readonly unique?: 'join' | 'refuse' | 'replace';
  /**
   * How long the task is unique after it has completed, in milliseconds; at most as long as its result is kept. A failure is not
   * kept: the next one is added. Default: 0.
   */
  readonly uniqueForMs?: number;
  /**
   * Waits while the queue is full or the server can't be reached, instead of failing with `QUEUE_FULL` or
   * `COURIER_UNREACHABLE`. The task is added once, however often that was tried. Default: false.
   */
  readonly wait?: boolean;
  /** Ends that wait, which rejects with the reason. If it has already aborted, nothing is added. */
  readonly signal?: AbortSignal;
}

/** The same for all tasks of a bulk. */
export type BulkAddOptions = Omit<AddOptions, 'id' | 'unique' | 'uniqueForMs'>;

export interface WaitOptions {
  /** In milliseconds. Default: Infinity. */
  readonly timeoutMs?: number;
  /** Ends the wait, which rejects with the reason. */
  readonly signal?: AbortSignal;
}

export interface FetchOptions {
  /** Only tasks of this priority or above. Default: `'low'`, which means all. */
  readonly minPriority?: Priority;
}

export interface ReturnErrorOptions {
  /** Whether the task has failed for good, even if it has retries left. Default: false. */
  readonly isFinal?: boolean;
  /** How often a task is tried again that was added without `retries`. Default: 0. */
  readonly retries?: number | undefined;
  /** The pause before that, if the task was added without `retryDelayMs`, too. */
  readonly retryDelayMs?: number | Backoff | undefined;
}

export interface ReturnOptions {
  /** How many tasks to fetch as well, whatever their priority: results that are returned make room for others. Default: 0. */
  readonly next?: number;
}

/** What a worker sends about its task. If the task ends at once, a courier may leave out `'started'`. */
export type TaskUpdate =
  | { readonly kind: 'started'; readonly attempt: number }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'message'; readonly data: unknown };

/** What a client, or the courier itself, sends to the worker that holds a task. */
export type TaskCommand =
  /** The result is not wanted any more: its client has canceled it, or its deadline is over. */
  | { readonly kind: 'cancel'; readonly reason: unknown }
  /** The task should finish soon; its result counts. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'message'; readonly data: unknown }
  /** The lease is lost: what the worker returns is refused. */
  | { readonly kind: 'lost' };

/** What a client sends to a task that is to go on. */
export type ClientCommand = TaskCommand & { readonly kind: 'stop' | 'message' };

/** A task that failed for good. It stays until it is redriven or removed, even when its error is not kept as a result any more. */
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

/** What limits the workers of a queue, on all machines together. A start is a delivery to a worker. */
export interface QueueLimits {
  /** How many tasks of one key workers may hold at a time. Tasks without a key count in none. Default: Infinity. */
  readonly maxPerKey?: number;
  /**
   * How many tasks workers may get in a time, by the clock of the server: never more than `max` in any `perMs`, or
   * `max + burst - 1` with a `burst`. One that is given back has used its start. Default: none.
   */
  readonly rate?: RateOptions | undefined;
}

export interface CourierQueueInfo {
  /** Tasks that wait for a worker, also those that a limit of the queue holds back, or that wait while it is paused. */
  readonly waiting: Readonly<Record<Priority, number>>;
  /** Tasks that wait for the end of their delay, or for a retry. */
  readonly delayed: number;
  /** Tasks that workers hold. */
  readonly leased: number;
  readonly deadLetters: number;
  readonly isPaused: boolean;
  /** Undefined if it has none. */
  readonly limits: QueueLimits | undefined;
}

/** The side of the clients, which add tasks. */
export interface ClientTaskCourier {
  /**
   * Adds a task and resolves with its id, or with that of the task that it has joined. Rejects with `QUEUE_FULL`,
   * `DUPLICATE_TASK_ID`, `TASK_EXISTS`, `ARGUMENT_NOT_CLONEABLE` or `COURIER_CLOSED`; then nothing was added. Like all methods, rejects with `COURIER_UNREACHABLE` when the server can't be
   * reached; then it is not known whether the task was added.
   */
  addTaskToQueue(queue: string, data: unknown, options?: AddOptions): Promise<string>;
  /**
   * Adds all or none. With `wait: true` it adds them in order, as room becomes free; if the signal ends that, those already
   * added stay. Resolves with their ids, in order.
   */
  bulkAddTasksToQueue(queue: string, data: readonly unknown[], options?: BulkAddOptions): Promise<string[]>;
  /** Resolves with the result. Rejects with the task's error if it failed, with `RESULT_NOT_READY`, or `TASK_NOT_FOUND`. */
  getTaskResult<R = unknown>(queue: string, id: string): Promise<R>;
  /** Waits for the result. Rejects like `getTaskResult`, and with `RESULT_TIMEOUT`; the task then goes on. */
  waitForTaskResult<R = unknown>(queue: string, id: string, options?: WaitOptions): Promise<R>;
  /** Whether the task has ended, successfully or not. Rejects with `TASK_NOT_FOUND`. */
  checkForDone(queue: string, id: string): Promise<boolean>;
  /**
   * Cancels a task. One that waits never runs; if a worker holds it, the worker is told. Waiting for its result rejects at
   * once with `TASK_CANCELED`, its `cause` the reason, and what the worker returns is refused with `LEASE_LOST`. It leaves no
   * dead letter. Resolves with false if the task had ended or is not known.
   */
  cancelTask(queue: string, id: string, reason?: unknown): Promise<boolean>;
  /**
   * Sends a command to the worker that holds the task, or will hold it. Commands are kept in order until the task has ended:
   * the worker of each attempt gets all of them, because each attempt starts from the beginning. Rejects with
   * `TASK_NOT_FOUND` or `MESSAGE_NOT_CLONEABLE`. If the task has ended, the command is dropped without an error.
   */
  sendToTask(queue: string, id: string, command: ClientCommand): Promise<void>;
  /**
   * Calls the listener with what the worker sends, until the task has ended or the returned function is called. Updates are
   * not kept for late listeners: choose the id, subscribe, then add the task. Updates come before the result.
   */
  subscribeToTask(queue: string, id: string, listener: (update: TaskUpdate) => void): Promise<() => void>;
  /**
   * Calls the listener with what happens to the tasks of a queue, whoever does it, from now on; until the returned function is
   * called, its `await using` ends, the signal aborts, or the courier is closed. After an outage of the server it goes on.
   */
  subscribe(
    queue: string,
    listener: (event: QueueEvent) => void,
    options?: { readonly signal?: AbortSignal },
  ): Promise<QueueSubscription | (() => void)>;
  /** The oldest first. Default: the first 100. */
  getDeadLetters(queue: string, options?: { readonly offset?: number; readonly max?: number }): Promise<DeadLetter[]>;
  /**
   * Puts dead letters back into the queue as if they were new: behind all others, with all retries, at attempt 1, even if the
   * queue is full. Their results can be waited for again. Without ids: all of the queue. Resolves with how many.
   */
  redriveTasks(queue: string, ids?: readonly string[]): Promise<number>;
  /** Removes dead letters and their errors; without ids, all of the queue. Resolves with how many. */
  removeDeadLetters(queue: string, ids?: readonly string[]): Promise<number>;
  /**
   * The tasks of a queue in a state. Those that wait are in the order in which they are delivered, delayed ones in that in
   * which their delay ends, those that workers hold by their start, and those that have ended by their end; the first first.
   */
  listTasks(queue: string, options: ListOptions): Promise<ListedTask[]>;
  getQueueInfo(queue: string): Promise<CourierQueueInfo>;
  /** The names of the queues that the courier knows: there are tasks, results or dead letters in them, or there were. Sorted. */
  getQueueNames(): Promise<string[]>;
  /** From now on no worker, on any machine, gets a task of the queue. What workers hold goes on. */
  pauseQueue(queue: string): Promise<void>;
  resumeQueue(queue: string): Promise<void>;
  /** Rejects all waits with `COURIER_CLOSED`, and all later calls, too. */
  close(): Promise<void>;
}

/** The side of the workers, which perform tasks. */
export interface WorkerTaskCourier {
  /** The next task, with a lease; undefined if none waits. */
  getTask(queue: string, options?: FetchOptions): Promise<CourierTask | undefined>;
  /** As many tasks as wait, at most `max`. */
  bulkGetTasks(queue: string, max: number, options?: FetchOptions): Promise<CourierTask[]>;
  /** Waits for a task; undefined after `timeoutMs`. */
  waitForTask(queue: string, options?: WaitOptions & FetchOptions): Promise<CourierTask | undefined>;
  /** Waits for at least one task, and resolves with as many as wait then, at most `max`; with none after `timeoutMs`. */
  bulkWaitForTasks(queue: string, max: number, options?: WaitOptions & FetchOptions): Promise<CourierTask[]>;
  /** Completes the task. Rejects with `LEASE_LOST`, `RESULT_NOT_CLONEABLE` or `COURIER_CLOSED`. */
  returnTaskResult(queue: string, task: CourierTask, result: unknown): Promise<void>;
  /** Ends the attempt: the task is tried again if it has retries left, or else has failed with this error. Rejects with `LEASE_LOST`. */
  returnTaskError(queue: string, task: CourierTask, error: unknown, options?: ReturnErrorOptions): Promise<void>;
  /**
   * Completes all tasks whose lease is not lost; then rejects with `LEASE_LOST` and the ids of the others, if there are any.
   * With `next`, resolves with as many tasks as wait then, at most that many: a server takes a result and gives the next task
   * in one round trip. If it rejects, it has given no task; one that was on its way comes again when its lease runs out.
   */
  bulkReturnTaskResults(
    queue: string,
    results: readonly (readonly [CourierTask, unknown])[],
    options?: ReturnOptions,
  ): Promise<CourierTask[]>;
  /** Starts the time of the lease again. Rejects with `LEASE_LOST`. */
  extendLease(queue: string, task: CourierTask): Promise<void>;
  /** The same for many. Resolves with the tasks whose lease is lost. */
  bulkExtendLeases(queue: string, tasks: readonly CourierTask[]): Promise<CourierTask[]>;
  /** Puts the task back where it was, before those that wait. This does not count as an attempt. Rejects with `LEASE_LOST`. */
  releaseTask(queue: string, task: CourierTask): Promise<void>;
  /**
   * Sets the limits of the queue, which hold from now on for all its workers on all machines; the last call counts, and `{}`
   * removes them. What workers hold at that moment counts in none. Resolves with the limits that the queue had before.
   */
  setLimits(queue: string, limits: QueueLimits): Promise<QueueLimits | undefined>;
  /**
   * Keeps a piece of work of the task under a name, in place of what has that name. Later deliveries have it as `kept`, also
   * after a redrive, until the task has completed or was canceled. Resolves when it is kept as safely as the task itself is.
   * Rejects with `LEASE_LOST`; then nothing was kept.
   * @param work What it means is for the worker to know.
   */
  keepWork(queue: string, task: CourierTask, name: string, work: Uint8Array): Promise<void>;
  /** Sends an update to the clients that subscribed to the task. Rejects with `LEASE_LOST`. */
  sendToClient(queue: string, task: CourierTask, update: TaskUpdate): Promise<void>;
  /**
   * Calls the listener with all commands of clients, from the first on, and with `'lost'` when the lease is lost, or already
   * was; until the returned function is called, or the worker does not hold the task any more.
   */
  subscribeToClient(queue: string, task: CourierTask, listener: (command: TaskCommand) => void): Promise<() => void>;
  /** How long a lease lasts, in milliseconds. */
  readonly leaseMs: number;
  /**
   * When the server last answered a fetch of this courier, even without a task, in epoch milliseconds; undefined if it has
   * not yet. A long wait asks the server again and again. Absent in a courier without a server.
   */
  readonly timeAnswered?: number | undefined;
  /**
   * Calls the listener each time a call of a worker fails because of the server, even if the courier retries the call itself;
   * until the returned function is called. Absent in a courier without a server.
   */
  readonly onOutage?: ((listener: (error: unknown) => void) => () => void) | undefined;
  close(): Promise<void>;
}

/** Both sides. */
export interface ClientWorkerTaskCourier extends ClientTaskCourier, WorkerTaskCourier {}
