/**
 * Stops a supervisor: lets tasks finish, or ends them, until nothing is pending; then closes the lanes. Each call of
 * `bringForward()` can shorten the stop, and there is one report.
 */
import { avoidSelfWait, workersInScope } from '../background-workers/hook-scope.ts';
import type { WorkerRegistry } from '../background-workers/worker-registry.ts';
import { either, type Rule, rules } from '../base/options.ts';
import type { Admission } from '../dispatch/admission.ts';
import type { Backlog } from '../dispatch/backlog.ts';
import type { PendingTasks } from '../dispatch/ending/pending-tasks.ts';
import type { StopReport } from '../dispatch/events/supervisor-events.ts';
import type { LaneRegistry } from '../dispatch/lane-registry.ts';
import type { TaskCounters } from '../dispatch/task-counters.ts';
import { now, Timer } from '../platform/clock.ts';
import { defer } from '../platform/deferred.ts';
import { Promise } from '../platform/globals.ts';
import type { Schedules } from '../schedules/schedules.ts';
import type { TaskSubmitter } from '../task/call/task-options.ts';
import { currentRun } from '../task/inside/context.ts';
import type { Task } from '../task/record/task.ts';

export interface StopOptions {
  /**
   * `true`: waits until all submitted tasks have ended. Delayed tasks that have never begun are canceled, and so is what is paused. A number: the
   * same for at most so many milliseconds, then all that is left is canceled. It resolves within that time. `false`:
   * cancels all tasks at once, and ends the threads and children of running ones. It resolves within some seconds, even
   * if one of them can't be ended. Default: `true`.
   */
  readonly wait?: boolean | number;
  /** Cancels tasks that wait, and asks running tasks to stop. Default: `false`. */
  readonly cancelTasks?: boolean;
  /**
   * Lets background workers end first, with all that waits in their own queues. `false`: they end as soon as the
   * supervisor refuses a run. Default: `true`.
   */
  readonly stopWorkers?: boolean;
}

export const stopRules: Readonly<Record<keyof StopOptions, Rule>> = {
  wait: either(rules.durationMsOrInfinity, rules.boolean),
  cancelTasks: rules.boolean,
  stopWorkers: rules.boolean,
};

/** How long idle threads and children, and workers that were stopped at once, may clean up, in milliseconds. */
const cleanUpMs = 1_000;

/** How many waiting tasks can be canceled in a millisecond, at least. */
const settledPerMs = 200;

/** How long a thread or child that is ended by force may take to exit before it is given up, in milliseconds. */
const forceMs = 5_000;

/** How often to check whether the pending tasks can be found, in milliseconds. */
const searchMs = 1_000;

interface EndCounts {
  readonly settled: number;
  readonly shutdown: number;
}

interface ShutdownParts {
  readonly admission: Admission;
  readonly backlog: Backlog;
  readonly pending: PendingTasks;
  readonly counters: TaskCounters;
  readonly lanes: LaneRegistry;
  readonly workers: WorkerRegistry;
  readonly schedules: Schedules;
}

export class Shutdown {
  readonly #admission: Admission;
  readonly #backlog: Backlog;
  readonly #pending: PendingTasks;
  readonly #counters: TaskCounters;
  readonly #lanes: LaneRegistry;
  readonly #workers: WorkerRegistry;
  readonly #schedules: Schedules;
  /** Resolves when nothing runs any more. */
  readonly #drained = defer();
  /** On the clock of `now()`: when all is to have ended, and when `stop()` is to resolve. */
  #deadlineAt = Infinity;
  #resolvesBy = Infinity;
  #search: Timer | undefined;
  #before: EndCounts = { settled: 0, shutdown: 0 };

  constructor({ admission, backlog, pending, counters, lanes, workers, schedules }: ShutdownParts) {
    this.#admission = admission;
    this.#backlog = backlog;
    this.#pending = pending;
    this.#counters = counters;
    this.#lanes = lanes;
    this.#workers = workers;
    this.#schedules = schedules;
  }

  /** Remembers how many tasks had ended before. */
  begin(): void {
    this.#before = this.#counts();
  }

  /** Resolves when all tasks are settled and all lanes closed. */
  async run(stopWorkers: boolean): Promise<StopReport> {
    this.#backlog.isStopping = true;
    this.#pending.dropDelayed();
    this.#pending.dropPaused();
    if (stopWorkers) {
      this.#admission.takesRuns = true;
      this.#workers.stop(true);
      await this.#workers.emptied();
      this.#admission.takesRuns = false;
    }
    this.#lookForLost(0);
    await this.#counters.whenDrained();
    this.#search?.cancel();
    this.#workers.stop(false);
    this.#drained.resolve();
    await this.#close();
    return this.report();
  }

  /** What became of the tasks until now. */
  report(): StopReport {
    const { settled, shutdown } = this.#counts();
    const { terminated, missing } = this.#counters;
    const canceled = shutdown - this.#before.shutdown - terminated;
    const finished = settled - this.#before.settled - canceled - terminated;
    return Object.freeze({ finished, canceled, terminated, ...(missing > 0 && { missing }) });
  }

  /** Ends all threads and children. It does not wait longer for one that can't be ended. */
  async #close(): Promise<void> {
    const closingMs = Math.min(cleanUpMs, Math.max(this.#deadlineAt - now(), 0));
    const tooLate = new Timer(closingMs, () => {
      this.#workers.giveUp();
      this.#schedules.giveUp();
    });
    const closed = Promise.all([this.#lanes.close(closingMs), this.#workers.emptied(), this.#schedules.whenEnded()]);
    const longest = defer();
    const force = new Timer(closingMs + forceMs, () => longest.resolve());
    await Promise.race([closed, longest.promise]);
    force.cancel();
    tooLate.cancel();
  }

  /** Pending tasks that can't be found twice in a row were lost by an error in the supervisor: they will never end. */
  #lookForLost(times: number): void {
    this.#search = new Timer(searchMs, () => {
      if (this.#counters.pending === 0) return;
      const isLost = !this.#pending.hasSome;
      if (isLost && times > 0) this.#giveUp();
      else this.#lookForLost(isLost ? times + 1 : 0);
    });
  }

  /** The last resort: the stop ends whatever the counters say. */
  #giveUp(): void {
    try {
      this.#pending.abandon();
    } finally {
      this.#workers.giveUp();
      this.#counters.giveUp();
    }
  }

  /**
   * The report for one caller of `stop()`. A loop task, hook or run that the stop waits for can't wait for the stop: it
   * gets the report as it is now, unless `wait` has a limit.
   */
  reportFor(end: Promise<StopReport>, { wait = true }: StopOptions, supervisor: TaskSubmitter): Promise<StopReport> {
    if (wait !== true && wait !== Infinity) return end;
    const waitsForThis = () => {
      const task = currentRun()?.task as Task | undefined;
      if (task?.submitter === supervisor && !task.isSettled) return true;
      const active = new Set<object>(this.#workers);
      return [...workersInScope()].some((worker) => active.has(worker));
    };
    return avoidSelfWait(end, waitsForThis, () => this.report());
  }

  #counts(): EndCounts {
    return { settled: this.#counters.settled, shutdown: this.#counters.counts.ended.shutdown };
  }

  /** What the options of a call of `stop()` add: the stop can only become shorter. */
  bringForward({ wait = true, cancelTasks = false }: StopOptions): void {
    if (wait === false || wait === 0) {
      this.#pending.dropWaiting();
      this.#killAll();
    } else if (typeof wait === 'number' && wait !== Infinity) {
      this.#setDeadline(wait);
    }
    if (cancelTasks) this.#stopAll();
  }

  #killAll(): void {
    try {
      this.#pending.killStarted();
    } finally {
      this.#workers.stop(false);
      this.#workers.giveUp();
      this.#unlessDrained(Math.min(Math.max(this.#resolvesBy - now(), 0), forceMs), () => {
        if (this.#pending.hasSome) this.#unlessDrained(forceMs, () => this.#giveUp());
        else this.#giveUp();
      });
    }
  }

  #unlessDrained(delayMs: number, call: () => void): void {
    const timer = new Timer(delayMs, call);
    void this.#drained.promise.then(() => timer.cancel());
  }

  #stopAll(): void {
    this.#pending.dropWaiting();
    this.#pending.stopStarted();
    this.#workers.stop(false);
  }

  /**
   * Tasks that are left are first asked to stop, then ended: both before the time is up, as that takes a while, too.
   */
  #setDeadline(waitMs: number): void {
    this.#deadlineAt = Math.min(this.#deadlineAt, now() + waitMs * 0.95);
    const settlingMs = this.#counters.pending / settledPerMs;
    this.#resolvesBy = Math.min(this.#resolvesBy, now() + waitMs);
    this.#unlessDrained(Math.max(waitMs - Math.min(waitMs * 0.25, 2_000) - settlingMs, 0), () => this.#stopAll());
    this.#unlessDrained(waitMs - Math.min(waitMs * 0.1, 500), () => this.#killAll());
  }
}
