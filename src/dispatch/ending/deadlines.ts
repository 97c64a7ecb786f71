/** Ends tasks that wait for longer than `queueTimeoutMs`, run for longer than `timeoutMs`, or take longer than `deadlineMs`. */

import { Deadline } from '../../platform/deadline.ts';
import { setImmediate } from '../../platform/globals.ts';
import type { Task } from '../../task/record/task.ts';
import type { LaneRegistry } from '../lane-registry.ts';
import { expired, timedOut, tooLate } from './end-reasons.ts';
import type { Settlement } from './settlement.ts';

export class Deadlines {
  readonly #lanes: LaneRegistry;
  readonly #settlement: Settlement;

  constructor(lanes: LaneRegistry, settlement: Settlement) {
    this.#lanes = lanes;
    this.#settlement = settlement;
  }

  /** It has just been submitted, by a caller who waits for so long. */
  startDeadline(task: Task, deadlineMs: number): void {
    task.deadline = new Deadline(task.queuedAt, deadlineMs, () => setImmediate(() => this.#pass(task)));
  }

  /** Others who have joined the task may wait longer. */
  #pass(task: Task): void {
    if (task.isSettled) return;
    const runs = this.#settlement.leaderOf(task);
    if (runs.hasSlot) this.#lanes.of(runs.type).lane.reachOf(runs); // reports what has begun or ended by now
    const hasBegun = runs.attempt > 0 && runs.hasBegunElsewhere !== false;
    if (!task.isSettled) this.#settlement.leaveBy(task, tooLate(task, hasBegun));
  }

  startQueueTimeout(task: Task): void {
    const { queueTimeoutMs } = task.options;
    if (queueTimeoutMs === undefined) task.stopTimer();
    else task.setTimer(Math.max(queueTimeoutMs - task.waitMs, 0), () => this.#expire(task, queueTimeoutMs));
  }

  /** @param sinceMs How long ago it has started. */
  startRunTimeout(task: Task, sinceMs: number): void {
    const { timeoutMs } = task.options;
    if (timeoutMs === undefined) task.stopTimer();
    else task.setTimer(Math.max(timeoutMs - sinceMs, 0), () => this.#timeOut(task, timeoutMs));
  }

  #expire(task: Task, timeoutMs: number): void {
    const { queuedAt } = task;
    setImmediate(() => {
      if (task.status !== 'queued' || task.queuedAt !== queuedAt) return;
      this.#settlement.end(task, expired(task, timeoutMs), true);
    });
  }

  /** A main thread that was busy reads the messages of its threads late: they are handled first. */
  #timeOut(task: Task, timeoutMs: number, isSecondTime = false): void {
    const { attempt } = task;
    setImmediate(() => {
      if (task.status !== 'started' || task.attempt !== attempt) return;
      // Its time has not begun if it was handed to a slow thread. But the thread may also hang: it waits only once more.
      const waits = this.#lanes.of(task.type).lane.reachOf(task) === 'waits';
      if (waits && !isSecondTime) task.setTimer(timeoutMs, () => this.#timeOut(task, timeoutMs, true));
      else this.#settlement.end(task, timedOut(task, timeoutMs));
    });
  }
}
