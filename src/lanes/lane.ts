/** The contract of a lane: where tasks of one type run. */
import type { Exit } from '../base/exit.ts';
import type { Moment } from '../platform/clock.ts';
import type { ResolvedTaskOptions, TaskSubmitter } from '../task/call/task-options.ts';
import type { Definition } from '../task/definition/definition.ts';
import type { KeptWork } from '../task/inside/steps.ts';
import type { CarriedContext, TaskMessage } from '../task/inside/task-message.ts';
import type { Progress } from '../task/record/progress.ts';
import type { FailureKind } from './wire/protocol.ts';

/** What a lane needs to know of a task. */
export interface LaneTask {
  readonly id: string;
  /** The number of the task among those of its supervisor. The id is made of it, unless the options give one. */
  readonly sequence: number;
  readonly name: string;
  readonly definition: Definition;
  readonly options: ResolvedTaskOptions;
  readonly args: readonly unknown[];
  /** How many attempts have started. */
  readonly attempt: number;
  /** The context of its caller that it carries along. Such a task is never batched with others. */
  readonly carried?: CarriedContext | undefined;
  /** What its attempts have kept. */
  readonly keptWork?: KeptWork | undefined;
  /** Takes the tasks that it calls. */
  readonly submitter?: TaskSubmitter | undefined;
  /** Calls something in the asynchronous context of the submitter. */
  runInScope<R>(call: () => R): R;
}

/** The two kinds of hosts. */
export type HostKind = 'thread' | 'child';

/** The outcome of a task that was handed to a lane. */
export type LaneOutcome =
  /** `endedAt` is on the clock of `now()`. */
  | { readonly kind: 'result'; readonly value: unknown; readonly runMs: number; readonly endedAt: number }
  | { readonly kind: FailureKind; readonly error: unknown; readonly runMs: number }
  /** Its host died while it ran, by itself or because the lane was asked to kill it. */
  | ({ readonly kind: 'died' } & Exit)
  /** It never began, and never will: it was withdrawn, or the lane can't start hosts (then with the cause). */
  | { readonly kind: 'withdrawn' }
  | { readonly kind: 'broken'; readonly cause: unknown };

/** What a lane reports of its tasks. */
export interface LaneListener<T extends LaneTask> {
  /**
   * Once for each task that begins, before its progress and its end. The task may have ended by then.
   * @param hostId Of the thread or process; undefined on the event loop.
   * @param at When it began, on the clock of `now()`.
   * @param noticed When this process learned of it.
   */
  started(task: T, hostId: number | undefined, at: number, noticed: Moment): void;
  progress(task: T, progress: Progress): void;
  message(task: T, message: TaskMessage): void;
  /** Once for each task that was handed over, unless it is given back. */
  ended(task: T, outcome: LaneOutcome, noticed: Moment): void;
  /** A prefetched task is about to begin, or has begun, in the slot of the one before it. Then `started` follows. */
  prefetchedBegan(task: T): void;
  /** A prefetched task will not begin in its host, and can be handed over, or prefetched again. */
  prefetchedReturned(task: T): void;
  /** A task that is for one host takes a slot there, and one of the pool, whatever the limits. `slotReleased` follows. */
  slotTaken(task: T): void;
  /** Instead of `ended`: the tasks did not begin, for no reason of their own, and may be handed over again. */
  returned(tasks: readonly T[]): void;
  /**
   * Once for each batch, when nothing of it runs any more, before its last reports, unless a prefetched task has its slot
   * then. `wasLent`: its slot was lent.
   */
  slotReleased(lane: Lane<T>, wasLent: boolean): void;
  /** A host in which nothing ran has exited: another may be started. */
  idleHostExited(): void;
}

/** What a lane reports of its hosts. */
export interface HostWatcher {
  /** They die as they start, so no more are started for now. */
  broken(cause: unknown): void;
  /** A host has been loading a module for `ms`, and goes on. */
  loadsLong(kind: HostKind, id: number, what: string, ms: number): void;
  teardownFailed(kind: HostKind, id: number, problem: unknown): void;
  /** Something of the option `preload` could not be loaded. */
  preloadFailed(kind: HostKind, id: number, problem: unknown): void;
  hostStarted(kind: HostKind, id: number): void;
  /** `wasIdle`: it died by itself while no task ran in it. */
  hostExited(kind: HostKind, id: number, exit: Exit, wasIdle: boolean): void;
}

/** How far a task is that was handed over. */
export type TaskReach = 'waits' | 'runs' | 'ended';

/** Whether a task will never begin. 'asked' if that is not known yet: then `returned` or `started` follows. */
export type Withdrawal = boolean | 'asked';

/** Tasks that are sent together: at least one, all of one definition and name. */
export type Batch<T> = readonly [T, ...T[]];

/** A thread or child. */
export interface LaneHost {
  /** Of the thread or process. */
  readonly id: number;
}

/** The threads or children of a lane that are not ending, and tasks that run in a certain one. */
export interface LaneHosts<T extends LaneTask> extends Iterable<LaneHost> {
  /**
   * Runs a task in that host, as soon as one that runs there now has ended, and never in another. `ended` follows in any case,
   * unless it is `returned` because the host died before it began.
   */
  run(host: LaneHost, task: T): void;
  /** Calls back with each host that is started, until the returned function is called. */
  subscribe(listener: (host: LaneHost) => void): () => void;
}

export interface Lane<T extends LaneTask> {
  /** Absent on the event loop. */
  readonly hosts?: LaneHosts<T>;
  /** Its one listener, from now on. Called once, before a task is handed over. */
  subscribe(listener: LaneListener<T>): void;
  /** The tasks that were handed over, and whose end or return has not been reported. */
  [Symbol.iterator](): Iterator<T>;
  /** How many tasks like this one the next batch may hold. */
  roomFor(task: T): number;
  /** Hands over tasks that run one after the other in one slot, which is taken already. */
  run(batch: Batch<T>): void;
  /**
   * Sends a task that waits to a busy host, which begins it as soon as what runs there has ended, if it is not taken back
   * before. The task stays in its queue.
   * @param mayFollow Whether it may wait for a task that has run for so many milliseconds.
   * @returns False if no host takes it.
   */
  prefetch(task: T, mayFollow: (running: T, forMs: number) => boolean): boolean;
  /** Takes a prefetched task back. False: it begins or has begun, and `prefetchedBegan` was reported. */
  takeBack(task: T): boolean;
  /** First reports what has ended by now, if that can be known. */
  reachOf(task: T): TaskReach;
  /** Takes a task back before it begins. `ended` follows when its slot is free. */
  withdraw(task: T): Withdrawal;
  /**
   * Takes back all that was handed over and has not begun: `returned` follows for it, at once or later. What is being
   * loaded for a task has begun.
   */
  recall(): void;
  /** Asks a running task to stop. `isFinal`: it need not begin any more; otherwise its result is still wanted. */
  stop(task: T, reason: unknown, isFinal: boolean): void;
  /** Sends a message to a task whose start was reported. Throws `MESSAGE_NOT_CLONEABLE`; then nothing was sent. */
  send(task: T, message: TaskMessage): void;
  /** Lends the slot of a running task to others while it waits for tasks that it has called. Returns false if it is lent already. */
  lend(task: T): boolean;
  /** Takes its slot back. Returns whether it was lent. */
  resume(task: T): boolean;
  /** Kills the host in which a task runs, or which it blocks, if there is one. If the task runs, `ended` follows soon. */
  kill(task: T): void;
  /** Resolves when the hosts that are always kept are up. */
  ready(): Promise<void>;
  /** Replaces all hosts, each when its successor is warm and it is idle. Resolves when all are replaced. */
  recycle(): Promise<void>;
  /** Ends all hosts, which have `graceMs` to clean up. No task may be left in them. */
  close(graceMs: number): Promise<void>;
}
