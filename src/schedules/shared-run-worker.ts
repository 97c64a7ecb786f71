/**
 * One machine's worker of a shared schedule: takes one run at a time from the courier and performs it as a task here. It tries
 * again when the courier fails. Runs that have not started when it leaves, or that the supervisor does not finish because it
 * stops, go back to the courier, and another machine runs them.
 */
import { backoffMs } from '../base/backoff.ts';
import { hasCode } from '../base/errors.ts';
import type { ClientWorkerTaskCourier, CourierTask } from '../couriers/courier.ts';
import { BaseWorker } from '../couriers/workers/base-worker.ts';
import { deliveryOf, runSupervised } from '../couriers/workers/supervised-run.ts';
import { type CourierTaskContext, isLeaseLost } from '../couriers/workers/tasks-in-flight.ts';
import { pause } from '../platform/pause.ts';
import type { TaskHandle } from '../task/call/handle.ts';
import type { Delivery, ResolvedTaskOptions, TaskSubmitter } from '../task/call/task-options.ts';

export interface SharedRunWorkerSettings {
  readonly courier: ClientWorkerTaskCourier;
  readonly queue: string;
  /** The same on all machines. */
  readonly name: string;
  /** The options of the task. */
  readonly options: ResolvedTaskOptions;
  readonly submitter: TaskSubmitter;
  /** Submits the task here, with these options added to its own. */
  readonly submit: (options: { readonly taskId: string; readonly delivery: Delivery }) => TaskHandle<unknown>;
  /** For problems that belong to no task. */
  readonly log: (what: string, problem: unknown) => void;
}

/** The first pause before a failed courier is asked again, it doubles each time. In milliseconds. */
const retryDelayMs = 500;
/** The longest, in milliseconds. */
const longestPauseMs = 30_000;

export class SharedRunWorker extends BaseWorker {
  readonly #parts: SharedRunWorkerSettings;
  readonly #left = new AbortController();
  readonly #runs = new Map<string, { readonly context: CourierTaskContext; handle?: TaskHandle<unknown> }>();
  /** How often in a row the courier has failed. */
  #failures = 0;

  constructor(parts: SharedRunWorkerSettings) {
    const { courier, queue: queueName, log } = parts;
    super({
      courier,
      queueName,
      onError: (problem) =>
        log(isLeaseLost(problem) ? 'a run was lost' : 'its courier fails, and is asked again', problem),
    });
    this.#parts = parts;
  }

  /** Resolves after `leave()`, when all tasks were returned to the courier. */
  async serve(): Promise<void> {
    const { signal } = this.#left;
    while (!signal.aborted) {
      try {
        await this.perform({ signal });
        return;
      } catch (problem) {
        if (hasCode(problem, 'COURIER_CLOSED')) return;
        this.#failures += 1;
        if (this.#failures === 1) this.#parts.log('its courier fails, and is asked again', problem);
        await pause(backoffMs({ minMs: retryDelayMs, maxMs: longestPauseMs }, this.#failures), signal);
      }
    }
  }

  /** Takes no more runs, and gives back those that have not started. */
  leave(): void {
    this.#left.abort();
    for (const [id, { context }] of this.#runs) if (!this.hasBegun(id)) void this.#giveBack(context);
  }

  hasBegun(id: string): boolean {
    const handle = this.#runs.get(id)?.handle;
    return handle !== undefined && (handle.status !== 'queued' || handle.info.attempt > 0);
  }

  override async waitForTasks(options: { readonly signal: AbortSignal }): Promise<readonly CourierTask[]> {
    const tasks = await super.waitForTasks(options);
    this.#failures = 0;
    return tasks;
  }

  /**
   * The caller of a triggered run, which comes with a call as its data, gets its result. Any other run is reported here, and
   * its result is not kept by the courier.
   */
  override async performSingleTask(task: CourierTask, context: CourierTaskContext): Promise<unknown> {
    if (this.#left.signal.aborted) return this.#giveBack(context);
    const isTriggered = task.data !== null;
    try {
      const result = await this.#run(task, context, isTriggered);
      return isTriggered ? result : undefined;
    } catch (error) {
      if (this.#parts.options.signal?.aborted) return this.#giveBack(context); // the signal is of this machine only
      if (isTriggered) throw error;
      return undefined;
    } finally {
      this.#runs.delete(task.id);
    }
  }

  /** Each attempt has the same id on all machines. A triggered run gets another id than its call, which may wait here. */
  #run(task: CourierTask, context: CourierTaskContext, isTriggered: boolean): Promise<unknown> {
    const { id } = task;
    const { name, options, submitter, submit } = this.#parts;
    const run: { readonly context: CourierTaskContext; handle?: TaskHandle<unknown> } = { context };
    this.#runs.set(id, run);
    const taskId = isTriggered ? `${name}@${id}` : id;
    return runSupervised(
      {
        options,
        submitter,
        isAwaited: isTriggered,
        onGivenBack: () => this.stop(),
        submit: () => {
          run.handle = submit({ taskId, delivery: { ...deliveryOf(task, context), id: taskId } });
          return run.handle;
        },
      },
      context,
    );
  }

  async #giveBack(context: CourierTaskContext): Promise<undefined> {
    try {
      await context.release();
    } catch (problem) {
      this.#parts.log('a run could not be given back, and comes when its lease has run out', problem);
    }
  }
}
