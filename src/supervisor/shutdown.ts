/**
 * The end of a supervisor: lets tasks finish, or ends them, until nothing is pending; then closes the lanes. It may be
 * hurried: each call of `hasten` adds its haste, and there is one report.
 */
import { avoidSelfWait, workersInScope } from '../background-workers/hook-scope.ts';
import type { WorkerRegistry } from '../background-workers/worker-registry.ts';
import { either, type Rule, rules } from '../base/options.ts';
import type { Admission } from '../dispatch/admission.ts';
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
   * `true`: waits until all that was submitted has ended; what is delayed, and has never begun, is canceled.
   * A number: the same for at most so many milliseconds, then all that is left is canceled; resolves within them.
   * `false`: cancels all at once, and ends the threads of what runs; resolves within some seconds, though one of them
   * can't be ended. Default: `true`.
   */
  readonly wait?: boolean | number;
  /** Cancels what waits, and asks what runs to stop. Default: `false`. */
  readonly cancelTasks?: boolean;
  /**
   * Lets background workers end first, with what waits in queues of their own. `false`: they end as soon as they find that
   * the supervisor takes no more runs. Default: `true`.
   */
  readonly stopWorkers?: boolean;
}

export const stopRules: Readonly<Record<keyof StopOptions, Rule>> = {
  wait: either(rules.durationMsOrInfinity, rules.boolean),
  cancelTasks: rules.boolean,
  stopWorkers: rules.boolean,
};

/** How long idle threads and children, and workers that were stopped at once, may take to clean up, in milliseconds. */
const cleanUpMs = 1_000;

/** How many waiting tasks can be canceled in a millisecond, at the least. */
const settledPerMs = 200;

/** How long what is ended by force may take to end, in milliseconds; then it is given up. */
const forceMs = 5_000;

/** How often it is looked whether what is pending is anywhere at all, in milliseconds. */
const searchMs = 1_000;

interface EndCounts {
  readonly settled: number;
  readonly shutdown: number;
}

interface ShutdownParts {
  readonly admission: Admission;
  readonly pending: PendingTasks;
  readonly counters: TaskCounters;
  readonly lanes: LaneRegistry;
  readonly workers: WorkerRegistry;
  readonly schedules: Schedules;
}

export class Shutdown {
  readonly #admission: Admission;
  readonly #pending: PendingTasks;
  readonly #counters: TaskCounters;
  readonly #lanes: LaneRegistry;
  readonly #workers: WorkerRegistry;
  readonly #schedules: Schedules;
  /** Nothing runs any more. */
  readonly #drained = defer();
  /** On the clock of `now()`: when all is to have ended, and when the end is to be told. */
  #deadlineAt = Infinity;
  #resolvesBy = Infinity;
  #search: Timer | undefined;
  #before: EndCounts = { settled: 0, shutdown: 0 };

  constructor({ admission, pending, counters, lanes, workers, schedules }: ShutdownParts) {
    this.#admission = admission;
    this.#pending = pending;
    this.#counters = counters;
    this.#lanes = lanes;
    this.#workers = workers;
    this.#schedules = schedules;
  }

  /** Takes note of what has ended before. */
  begin(): void {
    this.#before = this.#counts();
  }

  /** Resolves when all is settled and closed. */
  async run(stopWorkers: boolean): Promise<StopReport> {
    this.#pending.dropDelayed();
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

  /** What has become of tasks until now. */
  report(): StopReport {
    const { settled, shutdown } = this.#counts();
    const { terminated, missing } = this.#counters;
    const canceled = shutdown - this.#before.shutdown - terminated;
    const finished = settled - this.#before.settled - canceled - terminated;
    return Object.freeze({ finished, canceled, terminated, ...(missing > 0 && { missing }) });
  }

  /** Ends all threads and children; one that can't be ended is not waited for longer than that. */
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

  /** What is pending, and is found nowhere twice in a row, was lost by an error of the bookkeeping: it will never end. */
  #lookForLost(times: number): void {
    this.#search = new Timer(searchMs, () => {
      if (this.#counters.pending === 0) return;
      const isLost = !this.#pending.hasSome;
      if (isLost && times > 0) this.#giveUp();
      else this.#lookForLost(isLost ? times + 1 : 0);
    });
  }

  /** The last resort: the end does not depend on what any book says. */
  #giveUp(): void {
    try {
      this.#pending.abandon();
    } finally {
      this.#workers.giveUp();
      this.#counters.giveUp();
    }
  }

  /** The end for those who ask for it; it has to wait for tasks on the event loop, and for hooks and runs of workers. */
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

  /** What is left is first asked to stop, then ended; and that takes a moment, too. */
  #setDeadline(waitMs: number): void {
    this.#deadlineAt = Math.min(this.#deadlineAt, now() + waitMs * 0.95);
    const settlingMs = this.#counters.pending / settledPerMs;
    this.#resolvesBy = Math.min(this.#resolvesBy, now() + waitMs);
    this.#unlessDrained(Math.max(waitMs - Math.min(waitMs * 0.25, 2_000) - settlingMs, 0), () => this.#stopAll());
    this.#unlessDrained(waitMs - Math.min(waitMs * 0.1, 500), () => this.#killAll());
  }
}
