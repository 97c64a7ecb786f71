/** What is recorded of a task's attempts, and of its end. A task gets one at its first start, so those that wait are small. */
import { type Moment, timeOf } from '../../platform/clock.ts';
import type { EndReason } from './task-info.ts';

export class AttemptRecord {
  /** The number of the last attempt; 0 before the first. */
  attempt = 0;
  /** When this process learned of the start. */
  started: Moment | undefined = undefined;
  // In whole microseconds: a number with a fraction would be an object of its own.
  /** How long before that it started. */
  #sinceUs = 0;
  #runUs: number | undefined = undefined;
  /** The thread or process in which it runs or ran. */
  hostId: number | undefined = undefined;
  finished: Moment | undefined = undefined;
  endReason: EndReason | undefined = undefined;

  start(hostId: number | undefined, at: number, noticed: Moment): void {
    this.attempt += 1;
    this.started = noticed;
    this.#sinceUs = Math.floor((noticed.at - at) * 1_000);
    this.#runUs = undefined;
    this.hostId = hostId;
  }

  /** It had not started after all. */
  undoStart(): void {
    this.attempt -= 1;
    this.started = undefined;
    this.hostId = undefined;
  }

  /** When it started, on the clock of `now()`; undefined before the first start. */
  get startedAt(): number | undefined {
    return this.started && this.started.at - this.#sinceUs / 1_000;
  }

  get timeStarted(): number | undefined {
    const { started, startedAt } = this;
    return started && startedAt && timeOf(startedAt, started);
  }

  get runMs(): number | undefined {
    return this.#runUs && this.#runUs / 1_000;
  }

  set runMs(runMs: number | undefined) {
    this.#runUs = runMs && Math.ceil(runMs * 1_000);
  }
}
