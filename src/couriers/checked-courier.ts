/**
 * The front of all couriers: it checks the arguments of each call before it passes the call on, and calls nothing while a
 * module loads in a thread. The couriers behind it carry the tasks.
 */
import { checkUnique } from '../base/key-options.ts';
import { checkDeadline, checkOptions, rules } from '../base/options.ts';
import { Promise } from '../platform/globals.ts';
import { foreverPendingPromise, isLoadingModule } from '../task/definition/load-phase.ts';
import type {
  AddOptions,
  BulkAddOptions,
  ClientCommand,
  ClientTaskCourier,
  ClientWorkerTaskCourier,
  CourierQueueInfo,
  CourierTask,
  DeadLetter,
  FetchOptions,
  QueueLimits,
  ReturnErrorOptions,
  ReturnOptions,
  TaskCommand,
  TaskUpdate,
  WaitOptions,
  WorkerTaskCourier,
} from './courier.ts';
import {
  addRules,
  bulkAddRules,
  fetchRules,
  isBytes,
  isData,
  isId,
  letterRules,
  limitRules,
  returnErrorRules,
  returnRules,
  waitRules,
} from './courier-rules.ts';
import {
  type ListedTask,
  type ListOptions,
  listRules,
  type QueueEvent,
  type QueueSubscription,
  subscription,
} from './queue-view.ts';

/** Checks the arguments of each call, and passes it to the courier behind: one for both sides, or one for each. */
export abstract class CheckedCourier implements ClientWorkerTaskCourier {
  readonly #client: ClientTaskCourier;
  readonly #worker: WorkerTaskCourier;

  constructor(client: ClientTaskCourier, worker: WorkerTaskCourier) {
    this.#client = client;
    this.#worker = worker;
  }

  get leaseMs(): number {
    return this.#worker.leaseMs;
  }

  get timeAnswered(): number | undefined {
    return this.#worker.timeAnswered;
  }

  get onOutage(): WorkerTaskCourier['onOutage'] {
    return this.#worker.onOutage;
  }

  #asClient<R>(call: (client: ClientTaskCourier) => Promise<R>): Promise<R> {
    return ask(this.#client, call);
  }

  #asWorker<R>(call: (worker: WorkerTaskCourier) => Promise<R>): Promise<R> {
    return ask(this.#worker, call);
  }

  addTaskToQueue(queue: string, data: unknown, options: AddOptions = {}): Promise<string> {
    return this.#asClient((client) => {
      checkQueue(queue);
      checkOptions(options, addRules, 'addTaskToQueue()');
      checkUnique(options, 'addTaskToQueue()');
      checkDeadline(options, 'addTaskToQueue()');
      return client.addTaskToQueue(queue, data, options);
    });
  }

  bulkAddTasksToQueue(queue: string, data: readonly unknown[], options: BulkAddOptions = {}): Promise<string[]> {
    return this.#asClient((client) => {
      checkQueue(queue);
      isData(data, 'the data for bulkAddTasksToQueue()');
      checkOptions(options, bulkAddRules, 'bulkAddTasksToQueue()');
      checkDeadline(options, 'bulkAddTasksToQueue()');
      return client.bulkAddTasksToQueue(queue, data, options);
    });
  }

  getTaskResult<R = unknown>(queue: string, id: string): Promise<R> {
    return this.#asClient((client) => client.getTaskResult<R>(queue, id));
  }

  waitForTaskResult<R = unknown>(queue: string, id: string, options: WaitOptions = {}): Promise<R> {
    return this.#asClient((client) => {
      checkOptions(options, waitRules, 'waitForTaskResult()');
      return client.waitForTaskResult<R>(queue, id, options);
    });
  }

  checkForDone(queue: string, id: string): Promise<boolean> {
    return this.#asClient((client) => client.checkForDone(queue, id));
  }

  cancelTask(queue: string, id: string, reason?: unknown): Promise<boolean> {
    return this.#asClient((client) => client.cancelTask(queue, id, reason));
  }

  sendToTask(queue: string, id: string, command: ClientCommand): Promise<void> {
    return this.#asClient((client) => client.sendToTask(queue, id, command));
  }

  subscribeToTask(queue: string, id: string, listener: (update: TaskUpdate) => void): Promise<() => void> {
    return this.#asClient((client) => {
      checkQueue(queue);
      return client.subscribeToTask(queue, id, listener);
    });
  }

  async subscribe(
    queue: string,
    listener: (event: QueueEvent) => void,
    options: Pick<WaitOptions, 'signal'> = {},
  ): Promise<QueueSubscription> {
    const stop = await this.#asClient((client) => {
      checkQueue(queue);
      rules.function(listener, 'the listener of subscribe()');
      checkOptions(options, { signal: rules.signal }, 'subscribe()');
      options.signal?.throwIfAborted();
      return client.subscribe(queue, listener);
    });
    return subscription(stop, options.signal);
  }

  getDeadLetters(queue: string, options: Partial<ListOptions> = {}): Promise<DeadLetter[]> {
    return this.#asClient((client) => {
      checkOptions(options, letterRules, 'getDeadLetters()');
      return client.getDeadLetters(queue, options);
    });
  }

  redriveTasks(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#asClient((client) => {
      if (ids !== undefined) isId(ids, 'the ids for redriveTasks()');
      return client.redriveTasks(queue, ids);
    });
  }

  removeDeadLetters(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#asClient((client) => {
      if (ids !== undefined) isId(ids, 'the ids for removeDeadLetters()');
      return client.removeDeadLetters(queue, ids);
    });
  }

  listTasks(queue: string, options: ListOptions): Promise<ListedTask[]> {
    return this.#asClient((client) => {
      checkOptions(options, listRules, 'listTasks()');
      listRules.state(options.state, 'option "state" of listTasks()');
      return client.listTasks(queue, options);
    });
  }

  getQueueInfo(queue: string): Promise<CourierQueueInfo> {
    return this.#asClient((client) => client.getQueueInfo(queue));
  }

  getQueueNames(): Promise<string[]> {
    return this.#asClient((client) => client.getQueueNames());
  }

  pauseQueue(queue: string): Promise<void> {
    return this.#asClient((client) => {
      checkQueue(queue);
      return client.pauseQueue(queue);
    });
  }

  resumeQueue(queue: string): Promise<void> {
    return this.#asClient((client) => {
      checkQueue(queue);
      return client.resumeQueue(queue);
    });
  }

  setLimits(queue: string, limits: QueueLimits): Promise<QueueLimits | undefined> {
    return this.#asWorker((worker) => {
      checkQueue(queue);
      checkOptions(limits, limitRules, 'setLimits()');
      const { maxPerKey = Infinity, rate } = limits;
      return worker.setLimits(queue, {
        ...(maxPerKey < Infinity && { maxPerKey }),
        ...(rate !== undefined && { rate: { ...rate } }),
      });
    });
  }

  getTask(queue: string, options: FetchOptions = {}): Promise<CourierTask | undefined> {
    return this.#asWorker((worker) => {
      checkOptions(options, fetchRules, 'getTask()');
      return worker.getTask(queue, options);
    });
  }

  bulkGetTasks(queue: string, max: number, options: FetchOptions = {}): Promise<CourierTask[]> {
    return this.#asWorker((worker) => {
      checkMax(max, 'bulkGetTasks()');
      checkOptions(options, fetchRules, 'bulkGetTasks()');
      return worker.bulkGetTasks(queue, max, options);
    });
  }

  waitForTask(queue: string, options: WaitOptions & FetchOptions = {}): Promise<CourierTask | undefined> {
    return this.#asWorker((worker) => {
      checkQueue(queue);
      checkOptions(options, { ...waitRules, ...fetchRules }, 'waitForTask()');
      return worker.waitForTask(queue, options);
    });
  }

  bulkWaitForTasks(queue: string, max: number, options: WaitOptions & FetchOptions = {}): Promise<CourierTask[]> {
    return this.#asWorker((worker) => {
      checkQueue(queue);
      checkMax(max, 'bulkWaitForTasks()');
      checkOptions(options, { ...waitRules, ...fetchRules }, 'bulkWaitForTasks()');
      return worker.bulkWaitForTasks(queue, max, options);
    });
  }

  returnTaskResult(queue: string, task: CourierTask, result: unknown): Promise<void> {
    return this.#asWorker((worker) => worker.returnTaskResult(queue, task, result));
  }

  returnTaskError(queue: string, task: CourierTask, error: unknown, options: ReturnErrorOptions = {}): Promise<void> {
    return this.#asWorker((worker) => {
      checkOptions(options, returnErrorRules, 'returnTaskError()');
      return worker.returnTaskError(queue, task, error, options);
    });
  }

  bulkReturnTaskResults(
    queue: string,
    results: readonly (readonly [CourierTask, unknown])[],
    options: ReturnOptions = {},
  ): Promise<CourierTask[]> {
    return this.#asWorker((worker) => {
      checkOptions(options, returnRules, 'bulkReturnTaskResults()');
      return worker.bulkReturnTaskResults(queue, results, options);
    });
  }

  extendLease(queue: string, task: CourierTask): Promise<void> {
    return this.#asWorker((worker) => worker.extendLease(queue, task));
  }

  bulkExtendLeases(queue: string, tasks: readonly CourierTask[]): Promise<CourierTask[]> {
    return this.#asWorker((worker) => worker.bulkExtendLeases(queue, tasks));
  }

  releaseTask(queue: string, task: CourierTask): Promise<void> {
    return this.#asWorker((worker) => worker.releaseTask(queue, task));
  }

  keepWork(queue: string, task: CourierTask, name: string, work: Uint8Array): Promise<void> {
    return this.#asWorker((worker) => {
      rules.string(name, 'the name of kept work');
      isBytes(work, 'the work for keepWork()');
      return worker.keepWork(queue, task, name, work);
    });
  }

  sendToClient(queue: string, task: CourierTask, update: TaskUpdate): Promise<void> {
    return this.#asWorker((worker) => worker.sendToClient(queue, task, update));
  }

  subscribeToClient(queue: string, task: CourierTask, listener: (command: TaskCommand) => void): Promise<() => void> {
    return this.#asWorker((worker) => worker.subscribeToClient(queue, task, listener));
  }

  async close(): Promise<void> {
    const sides = new Set([this.#client, this.#worker]);
    await Promise.all([...sides].map((side) => ask(side, (each: { close(): Promise<void> }) => each.close())));
  }
}

/** Rejects with what the call throws. While a module loads in a thread, the call is not made. */
function ask<C, R>(carrier: C, call: (carrier: C) => Promise<R>): Promise<R> {
  if (isLoadingModule()) return foreverPendingPromise();
  try {
    return call(carrier);
  } catch (error) {
    return Promise.reject(error);
  }
}

function checkQueue(queue: unknown): void {
  rules.string(queue, 'the name of the queue');
}

function checkMax(max: unknown, owner: string): void {
  rules.positiveCountOrInfinity(max, `the most tasks that ${owner} gives`);
}
