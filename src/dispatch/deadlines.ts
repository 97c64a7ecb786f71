/** How long a task may wait, and how long an attempt of it may run. */
import type { TaskReach } from '../lanes/lane.ts';
import { setImmediate } from '../platform/globals.ts';
import type { Task } from '../task/record/task.ts';
import type { EndRequest } from '../task/record/task-record.ts';
import { expired, timedOut } from './end-reasons.ts';

interface DeadlineParts {
  /** How far a task is that was handed to its lane. */
  look(task: Task): TaskReach;
  /** Ends a task; `onlyIfWaiting`: unless it has begun. */
  end(task: Task, ending: EndRequest, onlyIfWaiting?: boolean): void;
}

export class Deadlines {
  readonly #parts: DeadlineParts;

  constructor(parts: DeadlineParts) {
    this.#parts = parts;
  }

  whileItWaits(task: Task): void {
    const { queueTimeoutMs } = task.options;
    if (queueTimeoutMs === undefined) task.stopTimer();
    else task.setTimer(Math.max(queueTimeoutMs - task.waitMs, 0), () => this.#expire(task, queueTimeoutMs));
  }

  /** @param sinceMs How long ago it has started. */
  whileItRuns(task: Task, sinceMs: number): void {
    const { timeoutMs } = task.options;
    if (timeoutMs === undefined) task.stopTimer();
    else task.setTimer(Math.max(timeoutMs - sinceMs, 0), () => this.#timeOut(task, timeoutMs));
  }

  #expire(task: Task, timeoutMs: number): void {
    const { queuedAt } = task;
    setImmediate(() => {
      if (task.status !== 'queued' || task.queuedAt !== queuedAt) return;
      this.#parts.end(task, expired(task, timeoutMs), true);
    });
  }

  /** A main thread that was busy reads late what its threads have said: that goes first. */
  #timeOut(task: Task, timeoutMs: number, isLate = false): void {
    const { attempt } = task;
    setImmediate(() => {
      if (task.status !== 'started' || task.attempt !== attempt) return;
      // Its time has not begun, if it was handed to a thread that is slow; but a thread can be deaf, too.
      const waits = this.#parts.look(task) === 'waits';
      if (waits && !isLate) task.setTimer(timeoutMs, () => this.#timeOut(task, timeoutMs, true));
      else this.#parts.end(task, timedOut(task, timeoutMs));
    });
  }
}
