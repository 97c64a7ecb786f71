/** The schedules of a supervisor: checks what is asked for, submits a task for each run, and ends all when it stops. */
import { AsyncResource } from 'node:async_hooks';
import { TaskwardenError } from './errors.ts';
import type { KeepAlive } from './keep-alive.ts';
import { checkOptions, oneOf, type Rule, rules } from './options.ts';
import { Schedule, type ScheduleRules } from './scheduling/schedule.ts';
import { cron, interval, once, type Timetable } from './scheduling/timetable.ts';
import type { TaskSupervisor } from './supervisor.ts';
import { outsideTask } from './task/context.ts';
import type { TaskFunction } from './task/definition.ts';
import { heedHandle, type TaskHandle } from './task/handle.ts';
import { isHost, isInert } from './task/inert.ts';
import { onAbort } from './task/on-abort.ts';
import { type PreparedCall, type PutOptions, prepareCall } from './task/target.ts';
import { type TaskResult, type TaskYield, taskRules } from './task/task-options.ts';

/** When a scheduled task runs. With neither `delayMs` nor `cron`: once, at once. */
export interface ScheduleTimes extends ScheduleRules {
  /** The time until the run; if it is recurring, also between the runs: the n-th is due at start + n x `delayMs`. */
  readonly delayMs?: number;
  /** Whether it runs every `delayMs`, which is 1 or more then. Default: false. */
  readonly recurring?: boolean;
  /**
   * When it runs by the wall clock, instead of `delayMs`: 5 fields, or 6 with seconds first, or 7 with years last, or a name
   * such as `@daily`. As clocks are changed for daylight saving, a pattern that names its times (no `*` and no `/` in
   * seconds, minutes and hours) is run as the clock jumps over them, and once if they come twice; any other runs when
   * the clock shows its times, and not when it does not.
   */
  readonly cron?: string;
  /** Of `cron`, such as `'Europe/Lisbon'`. Default: that of the process. */
  readonly timezone?: string;
}

/** What `scheduleTask` takes beside the target: its arguments, when it runs, and task options. `signal` cancels it, too. */
export type ScheduleOptions<F extends TaskFunction> = Omit<PutOptions<F>, 'delayMs'> & ScheduleTimes;

/** A schedule whose runs are tasks: `trigger()` gives the handle. */
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

const owner = 'scheduleTask()';

export class Schedules {
  readonly #supervisor: TaskSupervisor;
  readonly #keepAlive: KeepAlive;
  readonly #all = new Set<TaskSchedule>();

  constructor(supervisor: TaskSupervisor, keepAlive: KeepAlive) {
    this.#supervisor = supervisor;
    this.#keepAlive = keepAlive;
  }

  [Symbol.iterator](): Iterator<TaskSchedule> {
    return this.#all.values();
  }

  /** Ends all. */
  close(): void {
    for (const schedule of this.#all) schedule.cancel();
  }

  /** Makes one, and begins it. */
  add(target: TaskFunction, options: object): TaskSchedule {
    checkOptions(options, { args: () => {}, ...taskRules, ...timeRules }, owner);
    const { times, rest } = split(options);
    const timetable = timetableOf(times);
    // The schedule's delay is all there is, whatever the task was defined with.
    const call = prepareCall(target, { ...rest, delayMs: 0 }, owner);
    if (isInert()) return this.#inert(call);
    if (this.#supervisor.state === 'idle') this.#supervisor.start();
    this.#refuseIfClosed(call.name);

    const { name, spec, args, supervisor = this.#supervisor } = call;
    const scope = outsideTask(() => new AsyncResource('taskwarden.Schedule'));
    const { signal } = spec.options;
    let unlisten = () => {};
    const schedule: TaskSchedule = new Schedule({
      ...times,
      name,
      timetable,
      // Alone it would be the same run twice.
      runNow: times.runNow === true && timetable !== atOnce,
      run: () => scope.runInAsyncScope(() => supervisor.submit<unknown, unknown>(spec, args)),
      heed: heedHandle,
      keepAlive: this.#keepAlive,
      onEnd: () => {
        unlisten();
        this.#all.delete(schedule);
      },
    });
    this.#all.add(schedule);
    if (signal?.aborted) schedule.cancel();
    else if (signal !== undefined) unlisten = onAbort(signal, () => schedule.cancel());
    scope.runInAsyncScope(() => schedule.start());
    return schedule;
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

  /** While a module loads in a thread: one that never comes to run, and holds nothing. */
  #inert({ name, spec, args }: PreparedCall): TaskSchedule {
    const run = () => {
      if (!isInert()) this.#refuseIfClosed(name);
      return this.#supervisor.submit<unknown, unknown>(spec, args);
    };
    return new Schedule({ name, timetable: once(Number.POSITIVE_INFINITY), run, heed: () => {} }).start();
  }
}

/** When it runs, and the rest, which is of the task. */
function split(options: object): { readonly times: ScheduleTimes; readonly rest: object } {
  const entries = Object.entries(options);
  const isTime = ([key]: [string, unknown]) => Object.hasOwn(timeRules, key);
  return {
    times: Object.fromEntries(entries.filter(isTime)),
    rest: Object.fromEntries(entries.filter((entry) => !isTime(entry))),
  };
}

const atOnce = once(0);

function timetableOf({ delayMs, recurring, cron: pattern, timezone }: ScheduleTimes): Timetable {
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
  return interval(delayMs);
}
