/** The contract of a place where tasks run, and nothing about any one place. */
import type { Exit } from '../base/exit.ts';
import type { Moment } from '../platform/clock.ts';
import type { ResolvedTaskOptions, TaskSubmitter } from '../task/call/task-options.ts';
import type { Definition } from '../task/definition/definition.ts';
import type { CarriedContext, TaskMessage } from '../task/inside/task-message.ts';
import type { Progress } from '../task/record/progress.ts';
import type { FailureKind } from './wire/protocol.ts';

/** What a lane needs to know of a task. */
export interface LaneTask {
  readonly id: string;
  /** Counts the tasks of a supervisor; the id is made of it, unless the options give one. */
  readonly sequence: number;
  readonly name: string;
  readonly definition: Definition;
  readonly options: ResolvedTaskOptions;
  readonly args: readonly unknown[];
  /** How many attempts have started. */
  readonly attempt: number;
  /** What of its caller's context goes along; such a task travels alone. */
  readonly carried?: CarriedContext | undefined;
  /** Takes in the tasks that it calls. */
  readonly submitter?: TaskSubmitter | undefined;
  /** Calls something in the asynchronous context of whoever submitted the task. */
  runInScope<R>(call: () => R): R;
}

/** What the hosts of a lane are. */
export type HostKind = 'thread' | 'child';

/** How a task that was handed to a lane left it. */
export type LaneOutcome =
  /** `endedAt` is on the clock of `now()`. */
  | { readonly kind: 'result'; readonly value: unknown; readonly runMs: number; readonly endedAt: number }
  | { readonly kind: FailureKind; readonly error: unknown; readonly runMs: number }
  /** Its host died under it, of itself or because the lane was told to kill it. */
  | ({ readonly kind: 'died' } & Exit)
  /** It never began, and is not to: it was withdrawn, or the lane can't start hosts (then with the cause). */
  | { readonly kind: 'withdrawn' }
  | { readonly kind: 'broken'; readonly cause: unknown };

/** What a lane tells of its tasks. */
export interface LaneListener<T extends LaneTask> {
  /**
   * Once for each task that begins, before its progress and its end; it may be told when the task has ended.
   * @param hostId Of the thread or process; undefined on the event loop.
   * @param at When it began, on the clock of `now()`.
   * @param heard When that was heard of.
   */
  started(task: T, hostId: number | undefined, at: number, heard: Moment): void;
  progress(task: T, progress: Progress): void;
  message(task: T, message: TaskMessage): void;
  /** Once for each task handed over, unless it is given back. */
  ended(task: T, outcome: LaneOutcome, heard: Moment): void;
  /** Instead of `ended`: they did not begin, through no fault of their own, and may be handed over again. */
  returned(tasks: readonly T[]): void;
  /** Once for each batch, before what is left to tell of it: nothing of it runs any more. `wasLent`: its slot was. */
  vacated(lane: Lane<T>, wasLent: boolean): void;
  /** A host in which nothing ran has exited: another may be started. */
  departed(): void;
}

/** What a lane tells of its hosts. */
export interface HostWatcher {
  /** They die as they start, and no more are started for now. */
  broken(cause: unknown): void;
  /** One has been loading what a task needs for so long, and goes on. */
  loadsLong(kind: HostKind, id: number, what: string, ms: number): void;
  teardownFailed(kind: HostKind, id: number, problem: unknown): void;
  hostStarted(kind: HostKind, id: number): void;
  /** `wasIdle`: it died of itself, while no task ran in it. */
  hostExited(kind: HostKind, id: number, exit: Exit, wasIdle: boolean): void;
}

/** How far a task is that was handed over. */
export type TaskReach = 'waits' | 'runs' | 'ended';

/** Whether a task will never begin. 'asked': if so, it is `returned`; if it begins, that is told. */
export type Withdrawal = boolean | 'asked';

/** Tasks that travel together: of one definition and name, one at least. */
export type Batch<T> = readonly [T, ...T[]];

export interface Lane<T extends LaneTask> {
  /** Its one listener, from now on. Called once, before a task is handed over. */
  subscribe(listener: LaneListener<T>): void;
  /** Those that were handed over, and whose end or return has not been told. */
  [Symbol.iterator](): Iterator<T>;
  /** How many tasks like this one the next batch may hold. */
  roomFor(task: T): number;
  /** Hands over tasks that may start now, one after the other in one slot, which is taken. */
  run(batch: Batch<T>): void;
  /** What has ended by now is told first, as far as it can be. */
  reachOf(task: T): TaskReach;
  /** Takes a task back before it begins; `ended` follows when its place is free. */
  withdraw(task: T): Withdrawal;
  /** Asks a running task to stop. `isFinal`: it need not begin any more; else what it then returns is still wanted. */
  stop(task: T, reason: unknown, isFinal: boolean): void;
  /** Says something to a task whose start was told. Throws `MESSAGE_NOT_CLONEABLE`; then nothing was said. */
  send(task: T, message: TaskMessage): void;
  /** The slot of a running task goes to others while it waits for tasks that it has called. True: it had it. */
  lend(task: T): boolean;
  /** Its slot is its own again. True: it was lent. */
  resume(task: T): boolean;
  /** Ends what a task runs in, or keeps from running, if that can be done; of one that runs, `ended` follows soon. */
  kill(task: T): void;
  /** Resolves when the hosts that are always kept are up. */
  ready(): Promise<void>;
  /** Replaces all hosts, each when its successor is warm, and it is idle; resolves then. */
  recycle(): Promise<void>;
  /** Ends all hosts, which may clean up for so long; no task may be left in them. */
  close(graceMs: number): Promise<void>;
}
