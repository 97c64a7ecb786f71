/** Ends tasks that wait for longer than `queueTimeoutMs`, or whose attempt runs for longer than `timeoutMs`. */
import { setImmediate } from '../../platform/globals.ts';
import type { Task } from '../../task/record/task.ts';
import type { LaneRegistry } from '../lane-registry.ts';
import { expired, timedOut } from './end-reasons.ts';
import type { Settlement } from './settlement.ts';

export class Deadlines {
  readonly #lanes: LaneRegistry;
  readonly #settlement: Settlement;

  constructor(lanes: LaneRegistry, settlement: Settlement) {
    this.#lanes = lanes;
    this.#settlement = settlement;
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
