/** Fetches the items of a queue worker from its courier, as many as can start, and returns their results. */
import type { ClientWorkerTaskCourier, CourierTask } from '../../couriers/courier.ts';
import { BaseWorker } from '../../couriers/workers/base-worker.ts';
import { Prefetch, type SupervisorDemand } from '../../couriers/workers/prefetch.ts';
import type { ReturnForNext } from '../../couriers/workers/result-return.ts';
import { errorIn, type TaskAndResult } from '../../couriers/workers/task-results.ts';
import type { CourierTaskContext } from '../../couriers/workers/tasks-in-flight.ts';
import type { RateOptions } from '../../queue/keys/rate.ts';

interface FetchLoopOptions {
  /** What a run needs: only items that can start are fetched. */
  readonly demand?: SupervisorDemand;
  readonly courier: ClientWorkerTaskCourier;
  readonly queueName: string;
  readonly maxTasksPerIteration: number;
  readonly maxSimultaneousTasks: number;
  readonly maxPerKey: number | undefined;
  readonly rate: RateOptions | undefined;
  readonly onError: (error: unknown) => void;
  /** Called before each fetch of an iteration, which has no items then; other iterations may have some. */
  readonly onFetch: () => void;
  /** Called after failures were returned to the courier. */
  readonly onFailed: (tasks: readonly CourierTask[]) => Promise<void>;
  readonly perform: (
    tasks: readonly CourierTask[],
    contextOf: (task: CourierTask) => CourierTaskContext,
  ) => Promise<readonly unknown[]>;
}

export class FetchLoop extends BaseWorker {
  readonly #perform: FetchLoopOptions['perform'];
  readonly #onFetch: FetchLoopOptions['onFetch'];
  readonly #onFailed: FetchLoopOptions['onFailed'];

  readonly #demand: SupervisorDemand | undefined;
  #prefetch: Prefetch | undefined;

  constructor({ perform, onFetch, onFailed, demand, ...options }: FetchLoopOptions) {
    super(options);
    this.#perform = perform;
    this.#onFetch = onFetch;
    this.#onFailed = onFailed;
    this.#demand = demand;
  }

  /** To be called when the run of the items that start with this one was submitted. */
  submitted(task: CourierTask): void {
    this.#prefetch?.submitted(task);
  }

  override waitForTasks(options: { readonly signal: AbortSignal }): Promise<readonly CourierTask[]> {
    this.#onFetch();
    if (this.#demand === undefined) return super.waitForTasks(options);
    const { courier, queueName, maxTasksPerIteration: perIteration } = this;
    const demands = [this.#demand];
    this.#prefetch ??= new Prefetch({
      courier,
      queueName,
      perIteration,
      isShared: true,
      demands,
      signal: options.signal,
    });
    return this.#prefetch.next();
  }

  override takeNext(results: readonly TaskAndResult[], ask: ReturnForNext): Promise<readonly CourierTask[]> {
    return this.#prefetch?.takeNext(ask) ?? super.takeNext(results, ask);
  }

  override onIterationEnd(tasks: readonly CourierTask[]): void {
    for (const task of tasks) this.submitted(task);
  }

  override async returnTaskResults(results: readonly TaskAndResult[]): Promise<void> {
    await super.returnTaskResults(results);
    const failed = results.filter(([, result]) => errorIn(result) !== undefined);
    if (failed.length > 0) await this.#onFailed(failed.map(([task]) => task));
  }

  override performTasks(tasks: readonly CourierTask[]): Promise<readonly unknown[]> {
    return this.#perform(tasks, (task) => this.contextOf(task));
  }
}
