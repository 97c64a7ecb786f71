/** The schedules of a supervisor: from options to runs, each of which is a task. */
import { TaskwardenError } from './errors.ts';
import type { KeepAlive } from './keep-alive.ts';
import { checkOptions, oneOf, type Rule, rules } from './options.ts';
import { Schedule, type ScheduleRules } from './scheduling/schedule.ts';
import { cron, interval, once, type Timetable } from './scheduling/timetable.ts';
import { outsideTask } from './task/context.ts';
import type { TaskFunction } from './task/definition.ts';
import { heedHandle, type TaskHandle } from './task/handle.ts';
import { isHost, isInert } from './task/inert.ts';
import { onAbort } from './task/on-abort.ts';
import type { Arguments } from './task/target.ts';
import type { TaskOptions, TaskResult, TaskYield } from './task/task-options.ts';

/** When a task is to run, and how often. */
export interface Timing extends ScheduleRules {
  /** How long until the run, in milliseconds; of recurring ones, also the time between them. Default: 0. */
  readonly delayMs?: number;
  /** Runs every `delayMs`: the n-th run is due at the start + n x `delayMs`, without drift. Default: false, once. */
  readonly recurring?: boolean;
  /**
   * Instead of `delayMs`: a cron pattern, such as `0 3 * * *`, with seconds before or years behind if need be. Where clocks change,
   * a time of day that is named comes once a day: one that is skipped comes as they jump, one that comes twice the first time.
   */
  readonly cron?: string;
  /** The IANA time zone of the pattern. Default: that of the process. */
  readonly timezone?: string;
}

/** What `scheduleTask` takes beside the target. Of the task options, those of each run. */
export type ScheduleOptions<F extends TaskFunction> = Timing &
  Omit<TaskOptions<F>, 'delayMs' | 'supervisor'> &
  Arguments<F>;

/** A schedule whose runs are tasks. */
export type TaskSchedule<F extends TaskFunction = TaskFunction> = Schedule<TaskHandle<TaskResult<F>, TaskYield<F>>>;

const timingRules: Readonly<Record<keyof Timing, Rule>> = {
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

/** A run: its task is submitted. */
type Submit = () => TaskHandle<unknown>;

export class Schedules {
  readonly #keepAlive: KeepAlive;
  /** Those that have not ended. */
  readonly #schedules = new Set<TaskSchedule>();

  constructor(keepAlive: KeepAlive) {
    this.#keepAlive = keepAlive;
  }

  [Symbol.iterator](): Iterator<TaskSchedule> {
    return this.#schedules.values();
  }

  /** @param name Of the task. */
  add(name: string, submit: Submit, timing: Timing, signal: AbortSignal | undefined): TaskSchedule {
    if (isHost() && !isInert()) {
      const message = `a task in a thread or child can't schedule "${name}": that is for the program, or for tasks on its event loop`;
      throw new TaskwardenError('NOT_IN_PROGRAM', message);
    }
    const timetable = timetableOf(timing);
    const { overlap = timetable.kind === 'once' ? 'queue' : 'skip' } = timing;
    let unlisten: (() => void) | undefined;
    const schedule: TaskSchedule = new Schedule({
      ...timing,
      overlap,
      name,
      timetable,
      run: () => outsideTask(submit),
      heed: heedHandle,
      keepAlive: this.#keepAlive,
      onEnd: () => {
        this.#schedules.delete(schedule);
        unlisten?.();
      },
    });
    if (isHost()) return schedule; // nothing comes of it while a module loads in a thread
    this.#schedules.add(schedule);
    if (signal !== undefined) unlisten = onAbort(signal, () => schedule.cancel());
    if (signal?.aborted) schedule.cancel();
    return schedule.start();
  }

  /** Nothing more is run by any of them. */
  end(): void {
    for (const schedule of [...this]) schedule.cancel();
  }
}

/** Takes the timing out of the options; what is left is of the task. */
export function splitTiming<O extends Timing>(options: O): { timing: Timing; rest: Omit<O, keyof Timing> } {
  const entries = Object.entries(options);
  const isTiming = ([key]: [string, unknown]) => Object.hasOwn(timingRules, key);
  const timing: Timing = Object.fromEntries(entries.filter(isTiming));
  checkOptions(timing, timingRules, 'scheduleTask()');
  return { timing, rest: Object.fromEntries(entries.filter((entry) => !isTiming(entry))) as never };
}

function timetableOf({ delayMs, recurring = false, cron: pattern, timezone }: Timing): Timetable {
  if (pattern !== undefined) {
    if (delayMs !== undefined || recurring) {
      const other = delayMs === undefined ? 'recurring' : 'delayMs';
      throw new TypeError(`options "cron" and "${other}" of scheduleTask() exclude each other: give one of them`);
    }
    return cron(pattern, timezone, 'scheduleTask()');
  }
  if (timezone !== undefined) {
    throw new TypeError('option "timezone" of scheduleTask() belongs to "cron", and there is none');
  }
  if (!recurring) return once(delayMs ?? 0);
  if (delayMs === undefined || delayMs === 0) {
    throw new RangeError(
      `option "recurring" of scheduleTask() needs "delayMs" above 0: the time between runs; got ${delayMs}`,
    );
  }
  return interval(delayMs);
}
