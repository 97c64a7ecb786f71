/** What follows a failed attempt: another one after a pause, if the task has one left and wants it; else its end. */
import type { Task } from '../../task/record/task.ts';
import type { EndRequest } from '../../task/record/task-record.ts';
import type { Backlog } from '../backlog.ts';
import { tooLate } from '../ending/end-reasons.ts';
import type { Settlement } from '../ending/settlement.ts';
import type { TaskEvents } from '../events/task-events.ts';
import type { TaskCounters } from '../task-counters.ts';
import type { TaskQueues } from '../task-queues.ts';
import type { TaskTree } from '../task-tree.ts';
import { mayRetry, mayRetryCrash, retryPauseMs, wantsRetry } from './retry-policy.ts';

interface RetriesParts {
  readonly backlog: Backlog;
  readonly counters: TaskCounters;
  readonly events: TaskEvents;
  readonly tree: TaskTree;
  readonly settlement: Settlement;
  readonly queues: TaskQueues;
  /** Is notified when a part of a bulk waits for its next attempt. */
  readonly bulks: { onRetried(part: Task): void };
}

export class Retries {
  readonly #parts: RetriesParts;

  constructor(parts: RetriesParts) {
    this.#parts = parts;
  }

  /** The thread or child of the task has died under it. */
  afterCrash(task: Task, request: EndRequest): void {
    if (mayRetryCrash(task) && !this.#parts.backlog.isClosed) {
      task.crashes += 1;
      this.#runAgain(task, request.error, 0);
    } else {
      this.#settle(task, request);
    }
  }

  /** Settles the task, unless it has a retry left and wants it. */
  after(task: Task, request: EndRequest): void {
    if (!this.#hasOne(task)) {
      this.#settle(task, request);
      return;
    }
    // From now on it is another cause that ends the task, such as a cancel() while retryIf decides.
    if (task.endRequest !== undefined) task.endRequest = undefined;
    const { delayed } = this.#parts.backlog;
    const wants = wantsRetry(task, request.error, (problem) => this.#parts.events.log(task, 'retryIf failed', problem));
    if (typeof wants === 'boolean') {
      this.#decide(task, request, wants);
      return;
    }
    delayed.add(task);
    void wants.then((answer) => {
      if (delayed.delete(task)) this.#decide(task, request, answer);
    });
  }

  #decide(task: Task, request: EndRequest, wants: boolean): void {
    if (task.isSettled) return; // retryIf has canceled it
    if (!wants || !this.#hasOne(task)) this.#settle(task, request);
    else this.#runAgain(task, request.error, this.#pauseMs(task, request.error));
  }

  #pauseMs(task: Task, error: unknown): number {
    return retryPauseMs(task, error, (problem) => this.#parts.events.log(task, 'retryDelayMs failed', problem));
  }

  #hasOne(task: Task): boolean {
    return mayRetry(task) && !this.#parts.backlog.isClosed;
  }

  #settle(task: Task, { reason, error }: EndRequest): void {
    this.#parts.settlement.settle(task, reason, error);
  }

  #runAgain(task: Task, error: unknown, delayMs: number): void {
    const { counters, events, tree, settlement, queues, bulks } = this.#parts;
    const { deadline } = task;
    if (deadline !== undefined) {
      deadline.failure = { error };
      if (deadline.leftMs <= delayMs && !task.isShared) {
        this.#settle(task, tooLate(task, true)); // no other attempt could begin in time
        return;
      }
    }
    counters.countRetried();
    if (task.isParent) settlement.abandonChildren(task, error);
    task.retry();
    if (task.isSubTask || task.isShared) tree.update(task, { kind: 'retried' });
    queues.delay(task, delayMs);
    if (task.isPart) bulks.onRetried(task);
    else events.emit('task:retried', task, { error, delayMs });
  }
}
