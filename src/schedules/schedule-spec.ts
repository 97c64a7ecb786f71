/** What a schedule is made of: its timetable, what it runs, and how it treats runs that come due at a bad moment. */
import type { Timetable } from './timetable.ts';

export type ScheduleState = 'active' | 'paused' | 'ended';

/** How a schedule treats runs that overlap or are missed, and when it ends. */
export interface ScheduleRules {
  /**
   * What happens to a run that comes due while another is running: `'skip'` drops it, `'queue'` runs it as soon as the other
   * has ended, one after the other. A single run after a delay always waits, and is never dropped. Default: `'skip'`.
   */
  readonly overlap?: 'skip' | 'queue';
  /**
   * What happens to runs that were missed because the process was blocked or stopped, the machine was asleep, or the clock
   * was set forward: `'skip'` drops them, `'once'` runs once for all of them. A run is missed if it is noticed more than
   * 60 s late, or when the next one was already due. A run that is less late still runs, and makes up for those missed
   * before it. A run without a grid, such as a single run after a delay, is never missed. Default: `'skip'`.
   */
  readonly missed?: 'skip' | 'once';
  /** Whether to run once more, at the start. Default: false. */
  readonly runNow?: boolean;
  /**
   * Each run starts up to this many milliseconds after it is due, at random, but before the next one is due. The due times
   * do not change. Default: 0.
   */
  readonly jitterMs?: number;
  /** The schedule ends after so many runs; those of `runNow` and `trigger()` count. Default: Infinity. */
  readonly maxRuns?: number;
}

export interface ScheduleSpec<R> extends ScheduleRules {
  readonly name: string;
  readonly timetable: Timetable;
  /** If it throws or rejects, the schedule reports nothing and goes on. */
  readonly run: () => R;
  /**
   * Called instead of `run` for runs by the timetable, with the time at which the run is due, without its jitter. Resolves
   * when the run has ended; with false if it was left out because another run goes on.
   */
  readonly runDue?: (due: number) => PromiseLike<boolean>;
  /** Calls `ended` when the run has ended, whether well or not. Default: `run.then(ended, ended)`. */
  readonly onRunEnd?: (run: R, ended: () => void) => void;
  /** Held while the schedule is active. */
  readonly keepAlive?: { hold(): void; release(): void };
  /** Gets the schedule. */
  readonly onEnd?: (schedule: object) => void;
}

/** Calls back when the promise of a run has settled. */
export function onSettled(run: unknown, ended: () => void): void {
  (run as PromiseLike<unknown>).then(ended, ended);
}
