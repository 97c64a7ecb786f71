/**
 * Schedule: runs something when a timetable says so, until it ends. It keeps one timer, and knows no task.
 *
 *   paused ◀── pause() / resume() ──▶ active ── its last run has begun, cancel() ──▶ ended
 *      └────────────────────────── cancel(), the last trigger() ───────────────────────▲
 */
import { now, Timer } from '../platform/clock.ts';
import { queueMicrotask, randomUUID, timeOfDay } from '../platform/globals.ts';
import { inTurn } from '../platform/loop-turn.ts';
import type { Timetable } from './timetable.ts';

export type ScheduleState = 'active' | 'paused' | 'ended';

/** What becomes of runs that come due at a bad moment. */
export interface ScheduleRules {
  /**
   * What becomes of a run that comes due before the last one has ended: dropped, or run as soon as it has, one after the
   * other. A single run after a delay always waits, and is not dropped. Default: `'skip'`.
   */
  readonly overlap?: 'skip' | 'queue';
  /**
   * What becomes of runs that were missed while the process was blocked or stopped, or the machine asleep, or because
   * the clock was set forward: nothing, or one run at once for all of them. A run is missed if it is noticed more than
   * 60 s late, or when the one after it was due already; less late than that is late, and runs. One that is late makes
   * up for those missed before it. What has no grid, such as a single run after a delay, is never missed. Default:
   * `'skip'`.
   */
  readonly missed?: 'skip' | 'once';
  /** One more run at once. Default: false. */
  readonly runNow?: boolean;
  /**
   * Each run comes up to so much later than it is due, at random, but before the next one is due. When they are due does
   * not change. Default: 0.
   */
  readonly jitterMs?: number;
  /** The schedule ends after so many runs; those of `runNow` and `trigger()` count. Default: Infinity. */
  readonly maxRuns?: number;
}

export interface ScheduleSpec<R> extends ScheduleRules {
  readonly name: string;
  readonly timetable: Timetable;
  /** What it throws, or rejects with, is not told by the schedule, which goes on. */
  readonly run: () => R;
  /**
   * Instead of it for what the timetable says; gets the time at which that is due, without its jitter. Resolves when the
   * run has ended; with false if there was none, because another one goes on.
   */
  readonly runDue?: (due: number) => PromiseLike<boolean>;
  /** Calls back when the run has ended, however. Default: by its `then`. */
  readonly onRunEnd?: (run: R, ended: () => void) => void;
  /** Held while the schedule is active. */
  readonly keepAlive?: { hold(): void; release(): void };
  readonly onEnd?: (schedule: Schedule<R>) => void;
}

/** Later than this, a run is missed. In milliseconds. */
const missedAfterMs = 60_000;

/** How soon it is noticed that the wall clock was set, or that the machine has slept: timers stand still meanwhile. */
const checkEveryMs = 30_000;

/** A clock that is set back by more was wrong before: https://manpages.debian.org/cron */
const correctionMs = 3 * 60 * 60 * 1_000;

/** Times on the clock of `now()` are fractions, whose sums are not exact. */
const roundingMs = 0.001;

/** Something that runs again and again, or later: see `scheduleTask()`. */
export class Schedule<R = unknown> {
  readonly name: string;
  readonly #spec: ScheduleSpec<R>;
  readonly #timetable: Timetable;
  readonly #clock: () => number;
  #id: string | undefined;
  #state: ScheduleState = 'paused';
  /** When it started, on its clock; so are the next two. */
  #start: number | undefined;
  #due: number | undefined;
  /** When it is due, and its jitter. */
  #planned = Infinity;
  /** The wall clock as it was last seen. */
  #lastWallTime = -Infinity;
  #timer: Timer | undefined;
  #running = 0;
  /** When the runs were due that wait for the one before to end. */
  readonly #waiting: number[] = [];
  #runs = 0;
  #skipped = 0;
  #missed = 0;
  #lastRun: number | undefined;

  /** @internal Schedules come from `scheduleTask()`. It is paused until its `start()`. */
  constructor(spec: ScheduleSpec<R>) {
    this.name = spec.name;
    this.#spec = spec;
    this.#timetable = spec.timetable;
    this.#clock = spec.timetable.clock === 'wall' ? () => timeOfDay() : now;
  }

  get id(): string {
    this.#id ??= randomUUID();
    return this.#id;
  }

  /** Ended: it has run for the last time, or was canceled. A run may still be going on. */
  get state(): ScheduleState {
    return this.#state;
  }

  /**
   * When the next run comes, in epoch milliseconds. undefined: it is paused or has ended, or the run before it has to end
   * first. For what does not care about the wall clock, it changes when that is set.
   */
  get nextRun(): number | undefined {
    if (this.#state !== 'active' || this.#planned === Infinity) return undefined;
    return Math.round(this.#timetable.clock === 'wall' ? this.#planned : timeOfDay() + this.#planned - now());
  }

  /** When the last run began, in epoch milliseconds. */
  get lastRun(): number | undefined {
    return this.#lastRun;
  }

  /** How many have begun. */
  get runs(): number {
    return this.#runs;
  }

  /** How many were dropped because the one before had not ended. */
  get skipped(): number {
    return this.#skipped;
  }

  /** How many were missed, whether made up for or not. Of a cron pattern, 1,000 are counted at a time. */
  get missed(): number {
    return this.#missed;
  }

  /** @internal Begins. A second call changes nothing. */
  start(): this {
    if (this.#start !== undefined || this.#state === 'ended') return this;
    this.#start = this.#readClock();
    this.#activate();
    this.#plan(this.#timetable.first(this.#start));
    if (this.#spec.runNow) {
      if (this.#timetable.kind === 'pause') this.#plan(undefined);
      this.#runQuietly(() => this.#run());
    }
    this.#check();
    return this;
  }

  /** No more runs until `resume()`: what comes due meanwhile is neither run nor made up for. A run that has begun goes on. */
  pause(): void {
    if (this.#state === 'active') this.#deactivate('paused');
  }

  /** Goes on with what comes due from now on. */
  resume(): void {
    if (this.#state !== 'paused' || this.#start === undefined) return;
    this.#activate();
    const at = this.#readClock();
    if (this.#planned <= at) this.#plan(this.#timetable.next(this.#start, at));
    this.#continue();
  }

  /**
   * Runs once now, out of turn, also while it is paused; what is due when does not change. Gives what it runs: a
   * TaskHandle. undefined: it has ended, or a run is going on and `overlap` is `'skip'`.
   */
  trigger(): R | undefined {
    if (this.#state === 'ended' || (this.#running > 0 && this.#spec.overlap !== 'queue')) return undefined;
    return this.#run();
  }

  /** Ends it for good. A run that has begun goes on. */
  cancel(): void {
    if (this.#state === 'ended') return;
    this.#deactivate('ended');
    this.#plan(undefined);
    this.#spec.onEnd?.(this);
  }

  #activate(): void {
    this.#state = 'active';
    this.#spec.keepAlive?.hold();
  }

  #deactivate(state: 'paused' | 'ended'): void {
    this.#timer?.cancel();
    if (this.#state === 'active') this.#spec.keepAlive?.release();
    this.#state = state;
  }

  // When.

  #plan(due: number | undefined): void {
    this.#due = due;
    this.#planned = due === undefined ? Infinity : due + this.#jitter(due);
  }

  #jitter(due: number): number {
    const { jitterMs = 0 } = this.#spec;
    return jitterMs === 0 ? 0 : Math.random() * Math.min(jitterMs, this.#timeUntilNext(due));
  }

  /** The time until the next run is due. */
  #timeUntilNext(due: number): number {
    if (this.#timetable.kind === 'pause') return Infinity;
    return (this.#timetable.next(this.#start as number, due) ?? Infinity) - due;
  }

  /** If the clock was found wrong, and set back, the new time counts at once; if it was set back by less, nothing is run twice. */
  #readClock(): number {
    const at = this.#clock();
    if (this.#timetable.clock !== 'wall') return at;
    if (at < this.#lastWallTime - correctionMs) this.#plan(this.#timetable.next(this.#start as number, at));
    this.#lastWallTime = at;
    return at;
  }

  /** Runs what is due, and sets the timer for what is not. */
  #check(): void {
    this.#timer?.cancel();
    if (this.#state !== 'active') return;
    const at = this.#readClock();
    if (at >= this.#planned - roundingMs) this.#handleDue(at);
    if (this.#state !== 'active') return;
    if (this.#due === undefined) this.#endIfOver();
    else this.#arm();
  }

  #arm(): void {
    this.#timer?.cancel();
    // It may be a little early, and then waits again: rounded up, it would be late.
    const leftMs = Math.max(Math.floor(this.#planned - this.#clock() + roundingMs), 0);
    const stepMs = this.#timetable.clock === 'wall' ? Math.min(leftMs, checkEveryMs) : leftMs;
    this.#timer = new Timer(stepMs, () => this.#check());
  }

  /** Plans the next run before it runs this one, which may cancel the schedule. */
  #handleDue(at: number): void {
    const { kind } = this.#timetable;
    const start = this.#start as number;
    let due = this.#due;
    if (kind === 'once' || kind === 'pause') {
      this.#plan(undefined);
    } else {
      if (this.#isMissed(at)) due = this.#catchUp(at);
      if (this.#planned <= at + roundingMs) this.#plan(this.#timetable.next(start, this.#due as number));
    }
    if (due !== undefined) this.#runInTurn(due);
  }

  #isMissed(at: number): boolean {
    return at - this.#planned > Math.min(this.#timeUntilNext(this.#due as number), missedAfterMs);
  }

  /** Goes on to the last run that is due, or to the next one if that is missed too. Gives when the run was due that is to come now, if any. */
  #catchUp(at: number): number | undefined {
    const start = this.#start as number;
    const { latest, count } = this.#timetable.passed(start, this.#due as number, at);
    this.#missed += count - 1;
    if (count > 1) this.#plan(latest);
    if (!this.#isMissed(at)) return this.#planned <= at + roundingMs ? latest : undefined;
    this.#missed += 1;
    this.#plan(this.#timetable.next(start, latest));
    return this.#spec.missed === 'once' ? latest : undefined;
  }

  #endIfOver(): void {
    const awaitsEnd = this.#timetable.kind === 'pause' && this.#running > 0;
    if (this.#due === undefined && this.#waiting.length === 0 && !awaitsEnd) this.cancel();
  }

  // Runs.

  #runInTurn(due: number): void {
    if (this.#running === 0) this.#runDue(due);
    else if (this.#spec.overlap === 'queue' || this.#timetable.kind === 'once') this.#waiting.push(due);
    else this.#skipped += 1;
  }

  #runDue(due: number): void {
    const { runDue } = this.#spec;
    if (runDue === undefined) this.#runQuietly(() => this.#run());
    else this.#runQuietly(() => this.#runIfNone(() => runDue(due)));
  }

  /** It counts as a run until it is found to be none. */
  #runIfNone(run: () => PromiseLike<boolean>): void {
    const lastRun = this.#lastRun;
    this.#begin((ended) => {
      run().then((hasRun) => {
        if (!hasRun) {
          this.#runs -= 1;
          this.#skipped += 1;
          this.#lastRun = lastRun;
        }
        ended();
      }, ended);
    });
  }

  #runQuietly(run: () => unknown): void {
    try {
      run();
    } catch {
      // it has ended
    }
  }

  #run(): R {
    return this.#begin((ended) => {
      const run = this.#spec.run();
      (this.#spec.onRunEnd ?? onSettled)(run, ended);
      return run;
    });
  }

  #begin<T>(run: (ended: () => void) => T): T {
    this.#runs += 1;
    this.#running += 1;
    this.#lastRun = timeOfDay();
    if (this.#runs >= (this.#spec.maxRuns ?? Infinity)) this.cancel();
    let isOver = false;
    const ended = () => {
      if (isOver) return;
      isOver = true;
      this.#running -= 1;
      inTurn(() => this.#continue());
    };
    try {
      return run(ended);
    } catch (error) {
      queueMicrotask(ended); // like a run that rejects
      throw error;
    }
  }

  /** A run has ended, or the schedule was resumed. */
  #continue(): void {
    if (this.#state !== 'active') return;
    if (this.#running === 0) {
      const due = this.#waiting.shift();
      if (due !== undefined) {
        this.#runDue(due);
      } else if (this.#due === undefined && this.#timetable.kind === 'pause') {
        this.#plan(this.#timetable.next(this.#start as number, this.#clock()));
      }
    }
    this.#check();
  }
}

function onSettled(run: unknown, ended: () => void): void {
  (run as PromiseLike<unknown>).then(ended, ended);
}
