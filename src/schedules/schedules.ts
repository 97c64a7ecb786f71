/** The schedules of a supervisor: checks their options, submits a task for each run, and ends all when the supervisor stops. */
import { AsyncResource } from 'node:async_hooks';
import { TaskwardenError } from '../base/errors.ts';
import { describe } from '../base/logger.ts';
import { checkOptions, oneOf, type Rule, rules, show } from '../base/options.ts';
import type { ClientWorkerTaskCourier } from '../couriers/courier.ts';
import { courierRule } from '../couriers/workers/base-worker-options.ts';
import type { Startable } from '../dispatch/supervisor-state.ts';
import { defer } from '../platform/deferred.ts';
import { Promise } from '../platform/globals.ts';
import type { KeepAlive } from '../platform/keep-alive.ts';
import { onAbort } from '../platform/on-abort.ts';
import { onHandleEnd, type TaskHandle } from '../task/call/handle.ts';
import { type PreparedCall, type PutOptions, prepareCall } from '../task/call/target.ts';
import type { TaskSpec } from '../task/call/task-options.ts';
import { type TaskResult, type TaskSubmitter, type TaskYield, taskRules } from '../task/call/task-options.ts';
import type { TaskFunction } from '../task/definition/definition.ts';
import { isHost, isLoadingModule } from '../task/definition/load-phase.ts';
import { outsideTask } from '../task/inside/context.ts';
import { Schedule } from './schedule.ts';
import type { ScheduleRules } from './schedule-spec.ts';
import { SharedRuns } from './shared-runs.ts';
import { cron, epochInterval, interval, once, type Timetable } from './timetable.ts';

/** When a scheduled task runs. With neither `delayMs` nor `cron` it runs once, immediately. */
export interface ScheduleTimes extends ScheduleRules {
  /** The time until the run, in milliseconds. If it is recurring, the n-th run is due at start + n x `delayMs`. */
  readonly delayMs?: number;
  /** Whether to run every `delayMs`, which must then be 1 or more. Default: false. */
  readonly recurring?: boolean;
  /**
   * When to run by the wall clock, instead of `delayMs`: 5 fields, or 6 with seconds first, or 7 with years last, or a name
   * such as `@daily`. When clocks change for daylight saving, a pattern that names its times (no `*` and no `/` in seconds,
   * minutes and hours) runs as the clock jumps over them, and only once if they come twice. Any other pattern runs whenever
   * the clock shows its times.
   */
  readonly cron?: string;
  /** The time zone of `cron`, such as `'Europe/Lisbon'`. Default: that of the process. */
  readonly timezone?: string;
}

/** How several machines share a schedule. */
export interface ScheduleSharing {
  /**
   * Makes it one schedule for all machines with the same courier, queue and name: each run comes once, on one of them, and if
   * that machine dies, on another. The schedule has to be recurring. Default: none; each machine runs its own schedule.
   */
  readonly courier?: ClientWorkerTaskCourier;
  /** The queue for its runs at the courier; use it for nothing else. Default: `schedule.` and the name. */
  readonly queue?: string;
}

/** The options of `scheduleTask`: arguments, times, and task options. `signal` also cancels the schedule. */
export type ScheduleOptions<F extends TaskFunction> = Omit<PutOptions<F>, 'delayMs'> & ScheduleTimes & ScheduleSharing;

/** A schedule whose runs are tasks: `trigger()` returns the handle. */
export type TaskSchedule<F extends TaskFunction = TaskFunction> = Schedule<TaskHandle<TaskResult<F>, TaskYield<F>>>;

const timeRules: Readonly<Record<keyof ScheduleTimes, Rule>> = {
  delayMs: rules.durationMs,
  recurring: rules.boolean,
  runNow: rules.boolean,
  cron: rules.string,
  timezone: rules.string,
  overlap: oneOf(['skip', 'queue']),
  missed: oneOf(['skip', 'once']),
  jitterMs: rules.durationMs,
  maxRuns: rules.positiveCountOrInfinity,
};

const sharingRules: Readonly<Record<keyof ScheduleSharing, Rule>> = { courier: courierRule, queue: rules.string };

const owner = 'scheduleTask()';

export class Schedules {
  readonly #supervisor: Startable;
  readonly #keepAlive: KeepAlive;
  readonly #log: (line: string) => void;
  readonly #all = new Set<TaskSchedule>();
  /** Schedules that have ended, and still return tasks to their couriers. */
  readonly #ending = new Set<Promise<void>>();
  readonly #abandoned = defer();

  constructor(supervisor: Startable, keepAlive: KeepAlive, log: (line: string) => void) {
    this.#supervisor = supervisor;
    this.#keepAlive = keepAlive;
    this.#log = log;
  }

  [Symbol.iterator](): Iterator<TaskSchedule> {
    return this.#all.values();
  }

  /** Ends all schedules. */
  close(): void {
    for (const schedule of this.#all) schedule.cancel();
  }

  /** Resolves when the ended schedules have returned all tasks to their couriers, or after `giveUp()`. */
  async whenEnded(): Promise<void> {
    await Promise.race([Promise.all(this.#ending), this.#abandoned.promise]);
  }

  giveUp(): void {
    this.#abandoned.resolve();
  }

  /** Makes a schedule and starts it. */
  add(target: TaskFunction, options: object): TaskSchedule {
    checkOptions(options, { args: () => {}, ...taskRules, ...timeRules, ...sharingRules }, owner);
    const { times, sharing, rest } = split(options);
    if (sharing.courier === undefined) refuse(sharing, ['queue'], 'needs the option "courier"; give both');
    else checkShared(times, rest);
    const timetable = timetableOf(times, sharing.courier !== undefined);
    // The delay of the schedule replaces one of the task's definition.
    const call = prepareCall(target, { ...rest, delayMs: 0 }, owner);
    if (isLoadingModule()) return this.#pausedForever(call);
    if (this.#supervisor.state === 'idle') this.#supervisor.start();
    this.#refuseIfClosed(call.name);

    const { name, spec, args, supervisor = this.#supervisor } = call;
    const scope = outsideTask(() => new AsyncResource('taskwarden.Schedule'));
    const { signal } = spec.options;
    let unlisten = () => {};
    const submit = (what: TaskSpec) => scope.runInAsyncScope(() => supervisor.submit<unknown, unknown>(what, args));
    const shared =
      sharing.courier &&
      this.#share(sharing.courier, {
        ...call,
        supervisor,
        submit,
        queue: sharing.queue,
        overlap: times.overlap,
      });
    const schedule: TaskSchedule = new Schedule({
      ...times,
      name,
      timetable,
      // A schedule that runs once, immediately, would run twice.
      runNow: times.runNow === true && timetable !== atOnce,
      run: () => (shared === undefined ? submit(spec) : scope.runInAsyncScope(() => shared.trigger())),
      ...(shared && { runDue: (due: number) => shared.run(due) }),
      onRunEnd: onHandleEnd,
      keepAlive: {
        hold: () => {
          this.#keepAlive.hold();
          scope.runInAsyncScope(() => shared?.serve());
        },
        release: () => {
          this.#keepAlive.release();
          shared?.leave();
        },
      },
      onEnd: () => {
        unlisten();
        if (shared !== undefined) this.#awaitEnd(shared);
        this.#all.delete(schedule);
      },
    });
    this.#all.add(schedule);
    if (signal?.aborted) schedule.cancel();
    else if (signal !== undefined) unlisten = onAbort(signal, () => schedule.cancel());
    scope.runInAsyncScope(() => schedule.start());
    return schedule;
  }

  #share(
    courier: ClientWorkerTaskCourier,
    { name, spec, supervisor, submit, queue = `schedule.${name}`, overlap = 'skip' }: SharedCall,
  ): SharedRuns {
    if (name.includes(':')) {
      throw new TypeError(
        `option "name" of ${owner} must be without ":" where there is a "courier", whose ids have none; got ${show(name)}`,
      );
    }
    return new SharedRuns({
      courier,
      queue,
      name,
      overlap,
      options: spec.options,
      submitter: supervisor,
      submit: (options) => submit({ ...spec, options: Object.freeze({ ...spec.options, ...options }) }),
      log: (what, problem) => this.#log(`schedule "${name}": ${what}: ${describe(problem)}`),
    });
  }

  #awaitEnd(shared: SharedRuns): void {
    const end = shared.end().finally(() => this.#ending.delete(end));
    this.#ending.add(end);
  }

  #refuseIfClosed(name: string): void {
    const { state } = this.#supervisor;
    if (isHost()) {
      const message = `task "${name}" can't be scheduled in a thread or child: schedule it in the program`;
      throw new TaskwardenError('NOT_IN_PROGRAM', message);
    }
    if (state === 'stopping' || state === 'stopped') {
      const message = `task "${name}" can't be scheduled: ${this.#supervisor.name} is ${state}`;
      throw new TaskwardenError('SUPERVISOR_STOPPED', message);
    }
  }

  /** For while a module loads in a thread: a schedule that never runs, and keeps nothing alive. */
  #pausedForever({ name, spec, args }: PreparedCall): TaskSchedule {
    const run = () => {
      if (!isLoadingModule()) this.#refuseIfClosed(name);
      return this.#supervisor.submit<unknown, unknown>(spec, args);
    };
    return new Schedule({ name, timetable: once(Number.POSITIVE_INFINITY), run, onRunEnd: () => {} }).start();
  }
}

interface SharedCall extends PreparedCall {
  readonly supervisor: TaskSubmitter;
  readonly submit: (spec: TaskSpec) => TaskHandle<unknown>;
  readonly queue: string | undefined;
  readonly overlap: ScheduleTimes['overlap'];
}

/** Separates the times, the sharing, and the rest, which are task options. */
function split(options: object): {
  readonly times: ScheduleTimes;
  readonly sharing: ScheduleSharing;
  readonly rest: object;
} {
  const entries = Object.entries(options);
  const pick = (isWanted: (key: string) => boolean) => Object.fromEntries(entries.filter(([key]) => isWanted(key)));
  return {
    times: pick((key) => Object.hasOwn(timeRules, key)),
    sharing: pick((key) => Object.hasOwn(sharingRules, key)),
    rest: pick((key) => !Object.hasOwn(timeRules, key) && !Object.hasOwn(sharingRules, key)),
  };
}

/** Refuses options that each machine would apply for itself. */
function checkShared(times: ScheduleTimes, rest: object): void {
  refuse(times, ['runNow'], 'has no meaning with a "courier", as each machine would add a run: call trigger()');
  refuse(times, ['maxRuns'], 'has no meaning with a "courier", as each machine counts from its own start');
  refuse(rest, ['taskId'], 'has no meaning with a "courier", where each run has an id of its own');
  if (times.cron === undefined && !times.recurring) {
    throw new TypeError(`option "courier" of ${owner} needs a time that is the same for all: "cron", or "recurring"`);
  }
}

function refuse(options: object, names: readonly string[], why: string): void {
  for (const [name, value] of Object.entries(options)) {
    if (names.includes(name) && value !== undefined && value !== false) {
      throw new TypeError(`option "${name}" of ${owner} ${why}`);
    }
  }
}

const atOnce = once(0);

function timetableOf({ delayMs, recurring, cron: pattern, timezone }: ScheduleTimes, isShared: boolean): Timetable {
  if (pattern !== undefined) {
    if (delayMs !== undefined || recurring) {
      throw new TypeError(
        `${owner} takes either cron, which recurs by itself, or delayMs and recurring; leave one out`,
      );
    }
    return cron(pattern, timezone, owner);
  }
  if (timezone !== undefined) throw new TypeError(`option "timezone" of ${owner} needs the option "cron"; give both`);
  if (!recurring) return delayMs ? once(delayMs) : atOnce;
  if (delayMs === undefined || delayMs < 1) {
    throw new TypeError(`option "recurring" of ${owner} needs a "delayMs" of 1 or more, the time between the runs`);
  }
  return isShared ? epochInterval(delayMs) : interval(delayMs);
}
