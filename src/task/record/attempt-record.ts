/** What is recorded of a task's attempts, and of its end. A task gets one at its first start, so those that wait are small. */
import { type Moment, timeOf } from '../../platform/clock.ts';
import type { EndReason } from './task-info.ts';

export class AttemptRecord {
  /** The number of the last attempt; 0 before the first. */
  attempt = 0;
  /** When it started, on the clock of `now()`. */
  startedAt = 0;
  /** When this process learned of the start. */
  started: Moment | undefined = undefined;
  runMs: number | undefined = undefined;
  /** The thread or process in which it runs or ran. */
  hostId: number | undefined = undefined;
  finished: Moment | undefined = undefined;
  endReason: EndReason | undefined = undefined;

  start(hostId: number | undefined, at: number, noticed: Moment): void {
    this.attempt += 1;
    this.startedAt = at;
    this.started = noticed;
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
