/** What becomes of a task from its first start on, or at its end. Those that wait have none, so that they are small. */
import { type Moment, timeOf } from '../../platform/clock.ts';
import type { EndReason } from './task-info.ts';

export class AttemptRecord {
  /** The attempt that runs or ran last; 0 if none did. */
  attempt = 0;
  /** When it started, on the clock of `now()`, and when that was heard of. */
  startedAt = 0;
  started: Moment | undefined = undefined;
  runMs: number | undefined = undefined;
  /** The thread or process it runs or ran in. */
  hostId: number | undefined = undefined;
  finished: Moment | undefined = undefined;
  endReason: EndReason | undefined = undefined;

  /** @param at When it started; it may be heard of later. */
  start(hostId: number | undefined, at: number, heard: Moment): void {
    this.attempt += 1;
    this.startedAt = at;
    this.started = heard;
    this.runMs = undefined;
    this.hostId = hostId;
  }

  /** It had not started after all. */
  undoStart(): void {
    this.attempt -= 1;
    this.started = undefined;
    this.hostId = undefined;
  }

  get timeStarted(): number | undefined {
    return this.started && timeOf(this.startedAt, this.started);
  }
}
