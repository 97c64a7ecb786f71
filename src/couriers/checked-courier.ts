/**
 * What all couriers have in front: it checks what is asked before anything is done, and asks nothing while a module loads
 * in a thread. What is behind it carries the tasks.
 */
import { arrayOf, checkOptions, is, oneOf, type Rule, rules } from '../options.ts';
import { priorities } from '../scheduling/priority-pool.ts';
import { inertPromise, isInert } from '../task/inert.ts';
import type {
  AddOptions,
  BulkAddOptions,
  ClientWorkerTaskCourier,
  CourierNews,
  CourierOrder,
  CourierQueueInfo,
  CourierTask,
  DeadLetter,
  FetchOptions,
  WaitOptions,
} from './courier.ts';

const bulkAddRules: Readonly<Record<keyof BulkAddOptions, Rule>> = {
  priority: oneOf(priorities),
  delayMs: rules.durationMs,
  retries: rules.countOrInfinity,
  retryDelayMs: rules.durationMs,
  wait: rules.boolean,
  signal: rules.signal,
};
const addRules: Readonly<Record<keyof AddOptions, Rule>> = {
  ...bulkAddRules,
  id: is('a string that is not empty, without ":"', (id) => typeof id === 'string' && id !== '' && !id.includes(':')),
};
const waitRules: Readonly<Record<keyof WaitOptions, Rule>> = {
  timeoutMs: rules.durationMsOrInfinity,
  signal: rules.signal,
};
const fetchRules: Readonly<Record<keyof FetchOptions, Rule>> = { minPriority: oneOf(priorities) };
const letterRules: Readonly<Record<string, Rule>> = { offset: rules.count, max: rules.positiveCountOrInfinity };
const isData = arrayOf('an array with the data of each task', () => true);
const isId = arrayOf('an array of ids', (id) => typeof id === 'string');

/** A courier that is checked in front; `carrier` does the work. */
export abstract class CheckedCourier implements ClientWorkerTaskCourier {
  readonly leaseMs: number;
  readonly #carrier: ClientWorkerTaskCourier;

  constructor(carrier: ClientWorkerTaskCourier) {
    this.leaseMs = carrier.leaseMs;
    this.#carrier = carrier;
  }

  get timeAnswered(): number | undefined {
    return this.#carrier.timeAnswered;
  }

  /** What the call throws, it rejects with. While a module loads in a thread, nothing is asked. */
  #ask<R>(call: (carrier: ClientWorkerTaskCourier) => Promise<R>): Promise<R> {
    if (isInert()) return inertPromise();
    try {
      return call(this.#carrier);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  addTaskToQueue(queue: string, data: unknown, options: AddOptions = {}): Promise<string> {
    return this.#ask((carrier) => {
      checkQueue(queue);
      checkOptions(options, addRules, 'addTaskToQueue()');
      return carrier.addTaskToQueue(queue, data, options);
    });
  }

  bulkAddTasksToQueue(queue: string, data: readonly unknown[], options: BulkAddOptions = {}): Promise<string[]> {
    return this.#ask((carrier) => {
      checkQueue(queue);
      isData(data, 'the data for bulkAddTasksToQueue()');
      checkOptions(options, bulkAddRules, 'bulkAddTasksToQueue()');
      return carrier.bulkAddTasksToQueue(queue, data, options);
    });
  }

  getTaskResult<R = unknown>(queue: string, id: string): Promise<R> {
    return this.#ask((carrier) => carrier.getTaskResult<R>(queue, id));
  }

  waitForTaskResult<R = unknown>(queue: string, id: string, options: WaitOptions = {}): Promise<R> {
    return this.#ask((carrier) => {
      checkOptions(options, waitRules, 'waitForTaskResult()');
      return carrier.waitForTaskResult<R>(queue, id, options);
    });
  }

  checkForDone(queue: string, id: string): Promise<boolean> {
    return this.#ask((carrier) => carrier.checkForDone(queue, id));
  }

  cancelTask(queue: string, id: string, reason?: unknown): Promise<boolean> {
    return this.#ask((carrier) => carrier.cancelTask(queue, id, reason));
  }

  tellTask(queue: string, id: string, order: CourierOrder & { kind: 'stop' | 'message' }): Promise<void> {
    return this.#ask((carrier) => carrier.tellTask(queue, id, order));
  }

  followTask(queue: string, id: string, hear: (news: CourierNews) => void): Promise<() => void> {
    return this.#ask((carrier) => {
      checkQueue(queue);
      return carrier.followTask(queue, id, hear);
    });
  }

  getDeadLetters(
    queue: string,
    options: { readonly offset?: number; readonly max?: number } = {},
  ): Promise<DeadLetter[]> {
    return this.#ask((carrier) => {
      checkOptions(options, letterRules, 'getDeadLetters()');
      return carrier.getDeadLetters(queue, options);
    });
  }

  redriveTasks(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#ask((carrier) => {
      if (ids !== undefined) isId(ids, 'the ids for redriveTasks()');
      return carrier.redriveTasks(queue, ids);
    });
  }

  removeDeadLetters(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#ask((carrier) => {
      if (ids !== undefined) isId(ids, 'the ids for removeDeadLetters()');
      return carrier.removeDeadLetters(queue, ids);
    });
  }

  getQueueInfo(queue: string): Promise<CourierQueueInfo> {
    return this.#ask((carrier) => carrier.getQueueInfo(queue));
  }

  getTask(queue: string, options: FetchOptions = {}): Promise<CourierTask | undefined> {
    return this.#ask((carrier) => {
      checkOptions(options, fetchRules, 'getTask()');
      return carrier.getTask(queue, options);
    });
  }

  bulkGetTasks(queue: string, max: number, options: FetchOptions = {}): Promise<CourierTask[]> {
    return this.#ask((carrier) => {
      checkMax(max, 'bulkGetTasks()');
      checkOptions(options, fetchRules, 'bulkGetTasks()');
      return carrier.bulkGetTasks(queue, max, options);
    });
  }

  waitForTask(queue: string, options: WaitOptions & FetchOptions = {}): Promise<CourierTask | undefined> {
    return this.#ask((carrier) => {
      checkQueue(queue);
      checkOptions(options, { ...waitRules, ...fetchRules }, 'waitForTask()');
      return carrier.waitForTask(queue, options);
    });
  }

  bulkWaitForTasks(queue: string, max: number, options: WaitOptions & FetchOptions = {}): Promise<CourierTask[]> {
    return this.#ask((carrier) => {
      checkQueue(queue);
      checkMax(max, 'bulkWaitForTasks()');
      checkOptions(options, { ...waitRules, ...fetchRules }, 'bulkWaitForTasks()');
      return carrier.bulkWaitForTasks(queue, max, options);
    });
  }

  returnTaskResult(queue: string, task: CourierTask, result: unknown): Promise<void> {
    return this.#ask((carrier) => carrier.returnTaskResult(queue, task, result));
  }

  returnTaskError(queue: string, task: CourierTask, error: unknown): Promise<void> {
    return this.#ask((carrier) => carrier.returnTaskError(queue, task, error));
  }

  bulkReturnTaskResults(queue: string, results: readonly (readonly [CourierTask, unknown])[]): Promise<void> {
    return this.#ask((carrier) => carrier.bulkReturnTaskResults(queue, results));
  }

  extendLease(queue: string, task: CourierTask): Promise<void> {
    return this.#ask((carrier) => carrier.extendLease(queue, task));
  }

  bulkExtendLeases(queue: string, tasks: readonly CourierTask[]): Promise<CourierTask[]> {
    return this.#ask((carrier) => carrier.bulkExtendLeases(queue, tasks));
  }

  releaseTask(queue: string, task: CourierTask): Promise<void> {
    return this.#ask((carrier) => carrier.releaseTask(queue, task));
  }

  tellClient(queue: string, task: CourierTask, news: CourierNews): Promise<void> {
    return this.#ask((carrier) => carrier.tellClient(queue, task, news));
  }

  heedTask(queue: string, task: CourierTask, hear: (order: CourierOrder) => void): Promise<() => void> {
    return this.#ask((carrier) => carrier.heedTask(queue, task, hear));
  }

  close(): Promise<void> {
    return this.#ask((carrier) => carrier.close());
  }
}

function checkQueue(queue: unknown): void {
  rules.string(queue, 'the name of the queue');
}

function checkMax(max: unknown, owner: string): void {
  rules.positiveCountOrInfinity(max, `the most tasks that ${owner} gives`);
}
