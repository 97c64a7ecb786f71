/** What follows a failed attempt: another one after a pause, if the task has one left and wants it; else its end. */
import type { Task } from '../../task/record/task.ts';
import type { EndRequest } from '../../task/record/task-record.ts';
import { backoffMs } from './backoff.ts';
import { mayRetry, mayRetryCrash, wantsRetry } from './retry-policy.ts';

interface RetryParts {
  /** No attempt is to follow another any more. */
  isFinal(): boolean;
  /** Lets the task wait so long, and then for its next attempt. */
  runAgain(task: Task, error: unknown, delayMs: number): void;
  settle(task: Task, ending: EndRequest): void;
  /** `retryIf` has failed. */
  log(task: Task, problem: unknown): void;
}

export class Retries {
  readonly #parts: RetryParts;
  /** Those whose `retryIf` has not answered yet. */
  readonly #undecided: Set<Task>;

  /** @param undecided Where those are kept whose `retryIf` has not answered; who is taken out is not asked for any more. */
  constructor(undecided: Set<Task>, parts: RetryParts) {
    this.#undecided = undecided;
    this.#parts = parts;
  }

  /** Its thread or child has died under it. */
  afterCrash(task: Task, ending: EndRequest): void {
    if (mayRetryCrash(task) && !this.#parts.isFinal()) {
      task.crashes += 1;
      this.#parts.runAgain(task, ending.error, 0);
    } else {
      this.#parts.settle(task, ending);
    }
  }

  /** Unless the task has a retry left, and wants it, that is its end. */
  after(task: Task, ending: EndRequest): void {
    if (!this.hasOne(task)) {
      this.#parts.settle(task, ending);
      return;
    }
    if (task.endRequest !== undefined) task.endRequest = undefined; // it has come to that, and whoever cancels it now ends it
    const wants = wantsRetry(task, ending.error, (problem) => this.#parts.log(task, problem));
    if (typeof wants === 'boolean') {
      this.#decide(task, ending, wants);
      return;
    }
    this.#undecided.add(task);
    void wants.then((answer) => {
      if (this.#undecided.delete(task)) this.#decide(task, ending, answer);
    });
  }

  #decide(task: Task, ending: EndRequest, wants: boolean): void {
    const { retryDelayMs = 100 } = task.options;
    if (task.isSettled) return; // retryIf has canceled it
    if (!wants || !this.hasOne(task)) this.#parts.settle(task, ending);
    else this.#parts.runAgain(task, ending.error, backoffMs(retryDelayMs, task.attempt - task.crashes));
  }

  hasOne(task: Task): boolean {
    return mayRetry(task) && !this.#parts.isFinal();
  }
}
