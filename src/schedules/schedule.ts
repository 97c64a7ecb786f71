/**
 * Schedule: calls a function when a timetable says so, until it ends. It keeps one timer, and does not know tasks.
 *
 *   paused ◀── pause() / resume() ──▶ active ── last run started, cancel() ──▶ ended
 *      └──────────────────── cancel(), the last trigger() ───────────────────────▲
 */
import { now, Timer } from '../platform/clock.ts';
import { queueMicrotask, randomUUID, timeOfDay } from '../platform/globals.ts';
import { callInTurn } from '../platform/loop-turn.ts';
import { onSettled, type ScheduleSpec, type ScheduleState } from './schedule-spec.ts';
import type { Timetable } from './timetable.ts';

/** A run that is noticed later than this is missed. In milliseconds. */
const missedAfterMs = 60_000;

/** How often the wall clock is checked for a jump, in milliseconds: timers do not run while the machine sleeps. */
const checkEveryMs = 30_000;

/** A clock that is set back by more than this was wrong before: https://manpages.debian.org/cron */
const correctionMs = 3 * 60 * 60 * 1_000;

/** Times of `now()` are fractions, so their sums are rounded. In milliseconds. */
const roundingMs = 0.001;

/** Runs that come later, or again and again: see `scheduleTask()`. */
export class Schedule<R = unknown> {
  readonly name: string;
  readonly #spec: ScheduleSpec<R>;
  readonly #timetable: Timetable;
  readonly #clock: () => number;
  #id: string | undefined;
  #state: ScheduleState = 'paused';
  /** When it started, on the clock of its timetable; `#due` and `#planned` are on the same clock. */
  #start: number | undefined;
  #due: number | undefined;
  /** `#due` plus jitter; Infinity if no run is planned. */
  #planned = Infinity;
  /** The last reading of the wall clock. */
  #lastWallTime = -Infinity;
  #timer: Timer | undefined;
  #running = 0;
  /** Due times of the runs that wait for the present one to end. */
  readonly #waiting: number[] = [];
  #runs = 0;
  #skipped = 0;
  #missed = 0;
  #lastRun: number | undefined;

  /** @internal Use `scheduleTask()`. The schedule is paused until `start()`. */
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

  /** `'ended'` after the last run has started, or after `cancel()`. That run may still be going on. */
  get state(): ScheduleState {
    return this.#state;
  }

  /** Whether it was paused. */
  get isPaused(): boolean {
    return this.#state === 'paused';
  }

  /**
   * When the next run starts, in epoch milliseconds. undefined if the schedule is paused or has ended, or if the present run
   * has to end first. Without `cron`, the value changes when the wall clock is set.
   */
  get nextRun(): number | undefined {
    if (this.#state !== 'active' || this.#planned === Infinity) return undefined;
    return Math.round(this.#timetable.clock === 'wall' ? this.#planned : timeOfDay() + this.#planned - now());
  }

  /** When the last run started, in epoch milliseconds. */
  get lastRun(): number | undefined {
    return this.#lastRun;
  }

  /** How many runs have started. */
  get runs(): number {
    return this.#runs;
  }

  /** How many runs were dropped because another was running. */
  get skipped(): number {
    return this.#skipped;
  }

  /** How many runs were missed, whether made up for or not. With `cron`, at most 1,000 are counted at a time. */
  get missed(): number {
    return this.#missed;
  }

  /** @internal A second call does nothing. */
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

  /** Stops runs until `resume()`: runs that come due meanwhile are dropped. A run that has started goes on. */
  pause(): void {
    if (this.#state === 'active') this.#deactivate('paused');
  }

  /** Continues with the runs that come due from now on. */
  resume(): void {
    if (this.#state !== 'paused' || this.#start === undefined) return;
    this.#activate();
    const at = this.#readClock();
    if (this.#planned <= at) this.#plan(this.#timetable.next(this.#start, at));
    this.#continue();
  }

  /**
   * Runs once now, also while the schedule is paused; the due times do not change. Returns the TaskHandle of the run, or
   * undefined if the schedule has ended, or if another run is going on and `overlap` is `'skip'`.
   */
  trigger(): R | undefined {
    if (this.#state === 'ended' || (this.#running > 0 && this.#spec.overlap !== 'queue')) return undefined;
    return this.#run();
  }

  /** Ends the schedule for good. A run that has started goes on. */
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

  // Planning.

  #plan(due: number | undefined): void {
    this.#due = due;
    this.#planned = due === undefined ? Infinity : due + this.#jitter(due);
  }

  #jitter(due: number): number {
    const { jitterMs = 0 } = this.#spec;
    return jitterMs === 0 ? 0 : Math.random() * Math.min(jitterMs, this.#timeUntilNext(due));
  }

  /** The time between this run and the next, in milliseconds. */
  #timeUntilNext(due: number): number {
    if (this.#timetable.kind === 'pause') return Infinity;
    return (this.#timetable.next(this.#start as number, due) ?? Infinity) - due;
  }

  /** If the clock was set back a lot, plans anew by the new time. If it was set back a little, no run comes twice. */
  #readClock(): number {
    const at = this.#clock();
    if (this.#timetable.clock !== 'wall') return at;
    if (at < this.#lastWallTime - correctionMs) this.#plan(this.#timetable.next(this.#start as number, at));
    this.#lastWallTime = at;
    return at;
  }

  /** Starts the run that is due, or sets the timer for it. */
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
    // Rounded down: a timer that fires too early is set again; rounded up, the run would be late.
    const leftMs = Math.max(Math.floor(this.#planned - this.#clock() + roundingMs), 0);
    const stepMs = this.#timetable.clock === 'wall' ? Math.min(leftMs, checkEveryMs) : leftMs;
    this.#timer = new Timer(stepMs, () => this.#check());
  }

  /** Plans the next run before it starts this one, because this one may cancel the schedule. */
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

  /**
   * Skips to the latest run that is due, or to the next one if the latest is missed, too. Returns the due time of the run
   * that is to start now, if any.
   */
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

  // Running.

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

  /** Counts a run at its start, and takes that back if it was left out. */
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
      // The run has ended with an error, which is not the schedule's to report.
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
      callInTurn(() => this.#continue());
    };
    try {
      return run(ended);
    } catch (error) {
      queueMicrotask(ended); // as for a run that rejects
      throw error;
    }
  }

  /** Called when a run has ended or the schedule was resumed. */
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
