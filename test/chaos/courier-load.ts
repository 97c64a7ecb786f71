/** What is added to couriers in their chaos, and a worker that does it. */
import { BaseWorker, type ClientWorkerTaskCourier, type CourierTask } from 'taskwarden';
import { expect } from 'vitest';

export async function addAll(courier: ClientWorkerTaskCourier, count: number, more: object = {}): Promise<string[]> {
  return courier.bulkAddTasksToQueue(
    'work',
    Array.from({ length: count }, (_, n) => ({ n, ...more })),
  );
}

export function resultsOf(courier: ClientWorkerTaskCourier, ids: readonly string[]): Promise<unknown[]> {
  return Promise.all(ids.map((id) => courier.waitForTaskResult('work', id)));
}

export async function expectNothingLeft(courier: ClientWorkerTaskCourier): Promise<void> {
  expect(await courier.getQueueInfo('work')).toEqual({
    waiting: { critical: 0, high: 0, normal: 0, low: 0 },
    delayed: 0,
    leased: 0,
    deadLetters: 0,
    isPaused: false,
    limits: undefined,
  });
}

/** Gives each task's data back. */
export class Echo extends BaseWorker {
  /** It has performed a task, and has none in flight. */
  readonly isIdle: Promise<void>;
  readonly #begun: CourierTask[];
  #sayIdle!: () => void;

  constructor(courier: ClientWorkerTaskCourier, begun: CourierTask[] = []) {
    super({ courier, queueName: 'work', onError: () => {} });
    this.#begun = begun;
    this.isIdle = new Promise((resolve) => {
      this.#sayIdle = resolve;
    });
  }

  override waitForTasks(options: { readonly signal: AbortSignal }): Promise<readonly CourierTask[]> {
    if (this.#begun.length > 0) this.#sayIdle();
    return super.waitForTasks(options);
  }

  override performSingleTask(task: CourierTask): unknown {
    this.#begun.push(task);
    return task.data;
  }
}
