/**
 * MemoryTaskCourier: the courier within one program, without a server. What it holds is gone when the program ends.
 * Nothing in it keeps the process alive. In a thread or child it stands in for that of the program.
 */
import { arrayOf, checkOptions, is, oneOf, type Rule, rules } from '../options.ts';
import { priorities } from '../scheduling/priority-pool.ts';
import { callSite } from '../task/definition.ts';
import { isHost } from '../task/inert.ts';
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
    this.leaseMs = leaseMs;
    this.#name = { kind: 'MemoryTaskCourier', name: options.name, place: callSite(new.target) };
    if (isHost()) {
      this.#store = courierStandIn(this.#name, leaseMs);
    } else {
      const store = new MemoryStore({ leaseMs, resultTtlMs, maxQueued, maxStalls, copies });
      this.#store = store;
      this.#desk = new CourierDesk(store);
      exposeObject(this.#name, this.#desk);
    }
  }

  async addTaskToQueue(queue: string, data: unknown, options: AddOptions = {}): Promise<string> {
    checkQueue(queue);
    checkOptions(options, addRules, 'addTaskToQueue()');
    return this.#store.addTaskToQueue(queue, data, options);
  }

  async bulkAddTasksToQueue(queue: string, data: readonly unknown[], options: BulkAddOptions = {}): Promise<string[]> {
    checkQueue(queue);
    checkOptions(options, bulkAddRules, 'bulkAddTasksToQueue()');
    return this.#store.bulkAddTasksToQueue(queue, data, options);
  }

  async getTaskResult<R = unknown>(queue: string, id: string): Promise<R> {
    return this.#store.getTaskResult<R>(queue, id);
  }

  async waitForTaskResult<R = unknown>(queue: string, id: string, options: WaitOptions = {}): Promise<R> {
    checkOptions(options, waitRules, 'waitForTaskResult()');
    return this.#store.waitForTaskResult<R>(queue, id, options);
  }

  async checkForDone(queue: string, id: string): Promise<boolean> {
    return this.#store.checkForDone(queue, id);
  }

  async cancelTask(queue: string, id: string, reason?: unknown): Promise<boolean> {
    return this.#store.cancelTask(queue, id, reason);
  }

  async tellTask(queue: string, id: string, order: CourierOrder & { kind: 'stop' | 'message' }): Promise<void> {
    return this.#store.tellTask(queue, id, order);
  }

  async followTask(queue: string, id: string, hear: (news: CourierNews) => void): Promise<() => void> {
    checkQueue(queue);
    return this.#store.followTask(queue, id, hear);
  }

  async getDeadLetters(
    queue: string,
    options: { readonly offset?: number; readonly max?: number } = {},
  ): Promise<DeadLetter[]> {
    checkOptions(options, letterRules, 'getDeadLetters()');
    return this.#store.getDeadLetters(queue, options);
  }

  async redriveTasks(queue: string, ids?: readonly string[]): Promise<number> {
    if (ids !== undefined) isId(ids, 'the ids for redriveTasks()');
    return this.#store.redriveTasks(queue, ids);
  }

  async removeDeadLetters(queue: string, ids?: readonly string[]): Promise<number> {
    if (ids !== undefined) isId(ids, 'the ids for removeDeadLetters()');
    return this.#store.removeDeadLetters(queue, ids);
  }

  async getQueueInfo(queue: string): Promise<CourierQueueInfo> {
    return this.#store.getQueueInfo(queue);
  }

  async getTask(queue: string, options: FetchOptions = {}): Promise<CourierTask | undefined> {
    checkOptions(options, fetchRules, 'getTask()');
    return this.#store.getTask(queue, options);
  }

  async bulkGetTasks(queue: string, max: number, options: FetchOptions = {}): Promise<CourierTask[]> {
    checkMax(max, 'bulkGetTasks()');
    checkOptions(options, fetchRules, 'bulkGetTasks()');
    return this.#store.bulkGetTasks(queue, max, options);
  }

  async waitForTask(queue: string, options: WaitOptions & FetchOptions = {}): Promise<CourierTask | undefined> {
    checkQueue(queue);
    checkOptions(options, { ...waitRules, ...fetchRules }, 'waitForTask()');
    return this.#store.waitForTask(queue, options);
  }

  async bulkWaitForTasks(queue: string, max: number, options: WaitOptions & FetchOptions = {}): Promise<CourierTask[]> {
    checkQueue(queue);
    checkMax(max, 'bulkWaitForTasks()');
    checkOptions(options, { ...waitRules, ...fetchRules }, 'bulkWaitForTasks()');
    return this.#store.bulkWaitForTasks(queue, max, options);
  }

  async returnTaskResult(queue: string, task: CourierTask, result: unknown): Promise<void> {
    return this.#store.returnTaskResult(queue, task, result);
  }

  async returnTaskError(queue: string, task: CourierTask, error: unknown): Promise<void> {
    return this.#store.returnTaskError(queue, task, error);
  }

  async bulkReturnTaskResults(queue: string, results: readonly (readonly [CourierTask, unknown])[]): Promise<void> {
    return this.#store.bulkReturnTaskResults(queue, results);
  }

  async extendLease(queue: string, task: CourierTask): Promise<void> {
    return this.#store.extendLease(queue, task);
  }

  async bulkExtendLeases(queue: string, tasks: readonly CourierTask[]): Promise<CourierTask[]> {
    return this.#store.bulkExtendLeases(queue, tasks);
  }

  async releaseTask(queue: string, task: CourierTask): Promise<void> {
    return this.#store.releaseTask(queue, task);
  }

  async tellClient(queue: string, task: CourierTask, news: CourierNews): Promise<void> {
    return this.#store.tellClient(queue, task, news);
  }

  async heedTask(queue: string, task: CourierTask, hear: (order: CourierOrder) => void): Promise<() => void> {
    return this.#store.heedTask(queue, task, hear);
  }

  async close(): Promise<void> {
    if (this.#desk !== undefined) concealObject(this.#name, this.#desk);
    return this.#store.close();
  }
}

function checkQueue(queue: unknown): void {
  rules.string(queue, 'the name of the queue');
}

function checkMax(max: unknown, owner: string): void {
  rules.positiveCountOrInfinity(max, `the most tasks that ${owner} gives`);
}
