/**
 * MemoryTaskCourier: the courier within one program, without a server. What it holds is gone when the program ends.
 * Nothing in it keeps the process alive. In a thread or child it stands in for that of the program.
 */
import { arrayOf, checkOptions, is, oneOf, type Rule, rules } from '../options.ts';
import { priorities } from '../scheduling/priority-pool.ts';
import { callSite } from '../task/definition.ts';
import { inertPromise, isHost, isInert } from '../task/inert.ts';
import { concealObject, exposeObject, type ObjectName } from '../task/program-object.ts';
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
import { CourierDesk } from './courier-desk.ts';
import { courierStandIn } from './courier-stand-in.ts';
import { MemoryStore } from './memory-store.ts';

export interface MemoryCourierOptions {
  /** How long a worker has a task before it must extend its lease, in milliseconds. Default: 30,000. */
  readonly leaseMs?: number;
  /** How long a result, or a failure, is kept after the end of its task, in milliseconds. Default: 3,600,000, an hour. */
  readonly resultTtlMs?: number;
  /** How many tasks may wait in each queue, those that are held back too. Default: Infinity. */
  readonly maxQueued?: number;
  /** A task that has lost so many leases has failed, with `TASK_STALLED`. Default: 3. */
  readonly maxStalls?: number;
  /** How many dead letters are kept in each queue; then the oldest goes. Default: Infinity. */
  readonly maxDeadLetters?: number;
  /** Whether data, results and messages are copied; else they must not be changed any more. Default: true. */
  readonly copies?: boolean;
  /** By which threads and children know it; unique in the program. Default: the place in the code where it is made. */
  readonly name?: string;
}

const courierRules: Readonly<Record<keyof MemoryCourierOptions, Rule>> = {
  leaseMs: rules.positiveMs,
  resultTtlMs: rules.durationMsOrInfinity,
  maxQueued: rules.positiveCountOrInfinity,
  maxStalls: rules.positiveCountOrInfinity,
  maxDeadLetters: rules.countOrInfinity,
  copies: rules.boolean,
  name: rules.string,
};

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

/**
 * Carries tasks from clients to workers, and results back, within one program: its threads and children, too. A file that
 * both sides import makes it, with the same `name`; what tasks call there is done by the one of the program.
 */
export class MemoryTaskCourier implements ClientWorkerTaskCourier {
  readonly leaseMs: number;
  readonly #store: ClientWorkerTaskCourier;
  readonly #name: ObjectName;
  /** In the program: threads can call it while this courier is held. */
  readonly #desk: CourierDesk | undefined;

  /** @throws TypeError or RangeError for an option that is unknown or bad, or if another has the `name`. */
  constructor(options: MemoryCourierOptions = {}) {
    checkOptions(options, courierRules, 'MemoryTaskCourier');
    const { leaseMs = 30_000, resultTtlMs = 3_600_000, maxQueued = Infinity, maxStalls = 3, copies = true } = options;
    const { maxDeadLetters = Infinity } = options;
    this.leaseMs = leaseMs;
    this.#name = { kind: 'MemoryTaskCourier', name: options.name, place: callSite(new.target) };
    if (isHost()) {
      this.#store = courierStandIn(this.#name, leaseMs);
    } else {
      const store = new MemoryStore({ leaseMs, resultTtlMs, maxQueued, maxStalls, maxDeadLetters, copies });
      this.#store = store;
      this.#desk = new CourierDesk(store, () => this.close());
      exposeObject(this.#name, this.#desk);
    }
  }

  /** What the call throws, it rejects with. While a module loads in a thread, nothing is asked. */
  #ask<R>(call: (store: ClientWorkerTaskCourier) => Promise<R>): Promise<R> {
    if (isInert()) return inertPromise();
    try {
      return call(this.#store);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  addTaskToQueue(queue: string, data: unknown, options: AddOptions = {}): Promise<string> {
    return this.#ask((store) => {
      checkQueue(queue);
      checkOptions(options, addRules, 'addTaskToQueue()');
      return store.addTaskToQueue(queue, data, options);
    });
  }

  bulkAddTasksToQueue(queue: string, data: readonly unknown[], options: BulkAddOptions = {}): Promise<string[]> {
    return this.#ask((store) => {
      checkQueue(queue);
      isData(data, 'the data for bulkAddTasksToQueue()');
      checkOptions(options, bulkAddRules, 'bulkAddTasksToQueue()');
      return store.bulkAddTasksToQueue(queue, data, options);
    });
  }

  getTaskResult<R = unknown>(queue: string, id: string): Promise<R> {
    return this.#ask((store) => store.getTaskResult<R>(queue, id));
  }

  waitForTaskResult<R = unknown>(queue: string, id: string, options: WaitOptions = {}): Promise<R> {
    return this.#ask((store) => {
      checkOptions(options, waitRules, 'waitForTaskResult()');
      return store.waitForTaskResult<R>(queue, id, options);
    });
  }

  checkForDone(queue: string, id: string): Promise<boolean> {
    return this.#ask((store) => store.checkForDone(queue, id));
  }

  cancelTask(queue: string, id: string, reason?: unknown): Promise<boolean> {
    return this.#ask((store) => store.cancelTask(queue, id, reason));
  }

  tellTask(queue: string, id: string, order: CourierOrder & { kind: 'stop' | 'message' }): Promise<void> {
    return this.#ask((store) => store.tellTask(queue, id, order));
  }

  followTask(queue: string, id: string, hear: (news: CourierNews) => void): Promise<() => void> {
    return this.#ask((store) => {
      checkQueue(queue);
      return store.followTask(queue, id, hear);
    });
  }

  getDeadLetters(
    queue: string,
    options: { readonly offset?: number; readonly max?: number } = {},
  ): Promise<DeadLetter[]> {
    return this.#ask((store) => {
      checkOptions(options, letterRules, 'getDeadLetters()');
      return store.getDeadLetters(queue, options);
    });
  }

  redriveTasks(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#ask((store) => {
      if (ids !== undefined) isId(ids, 'the ids for redriveTasks()');
      return store.redriveTasks(queue, ids);
    });
  }

  removeDeadLetters(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#ask((store) => {
      if (ids !== undefined) isId(ids, 'the ids for removeDeadLetters()');
      return store.removeDeadLetters(queue, ids);
    });
  }

  getQueueInfo(queue: string): Promise<CourierQueueInfo> {
    return this.#ask((store) => store.getQueueInfo(queue));
  }

  getTask(queue: string, options: FetchOptions = {}): Promise<CourierTask | undefined> {
    return this.#ask((store) => {
      checkOptions(options, fetchRules, 'getTask()');
      return store.getTask(queue, options);
    });
  }

  bulkGetTasks(queue: string, max: number, options: FetchOptions = {}): Promise<CourierTask[]> {
    return this.#ask((store) => {
      checkMax(max, 'bulkGetTasks()');
      checkOptions(options, fetchRules, 'bulkGetTasks()');
      return store.bulkGetTasks(queue, max, options);
    });
  }

  waitForTask(queue: string, options: WaitOptions & FetchOptions = {}): Promise<CourierTask | undefined> {
    return this.#ask((store) => {
      checkQueue(queue);
      checkOptions(options, { ...waitRules, ...fetchRules }, 'waitForTask()');
      return store.waitForTask(queue, options);
    });
  }

  bulkWaitForTasks(queue: string, max: number, options: WaitOptions & FetchOptions = {}): Promise<CourierTask[]> {
    return this.#ask((store) => {
      checkQueue(queue);
      checkMax(max, 'bulkWaitForTasks()');
      checkOptions(options, { ...waitRules, ...fetchRules }, 'bulkWaitForTasks()');
      return store.bulkWaitForTasks(queue, max, options);
    });
  }

  returnTaskResult(queue: string, task: CourierTask, result: unknown): Promise<void> {
    return this.#ask((store) => store.returnTaskResult(queue, task, result));
  }

  returnTaskError(queue: string, task: CourierTask, error: unknown): Promise<void> {
    return this.#ask((store) => store.returnTaskError(queue, task, error));
  }

  bulkReturnTaskResults(queue: string, results: readonly (readonly [CourierTask, unknown])[]): Promise<void> {
    return this.#ask((store) => store.bulkReturnTaskResults(queue, results));
  }

  extendLease(queue: string, task: CourierTask): Promise<void> {
    return this.#ask((store) => store.extendLease(queue, task));
  }

  bulkExtendLeases(queue: string, tasks: readonly CourierTask[]): Promise<CourierTask[]> {
    return this.#ask((store) => store.bulkExtendLeases(queue, tasks));
  }

  releaseTask(queue: string, task: CourierTask): Promise<void> {
    return this.#ask((store) => store.releaseTask(queue, task));
  }

  tellClient(queue: string, task: CourierTask, news: CourierNews): Promise<void> {
    return this.#ask((store) => store.tellClient(queue, task, news));
  }

  heedTask(queue: string, task: CourierTask, hear: (order: CourierOrder) => void): Promise<() => void> {
    return this.#ask((store) => store.heedTask(queue, task, hear));
  }

  close(): Promise<void> {
    return this.#ask((store) => {
      if (this.#desk !== undefined) concealObject(this.#name, this.#desk);
      return store.close();
    });
  }
}

function checkQueue(queue: unknown): void {
  rules.string(queue, 'the name of the queue');
}

function checkMax(max: unknown, owner: string): void {
  rules.positiveCountOrInfinity(max, `the most tasks that ${owner} gives`);
}
