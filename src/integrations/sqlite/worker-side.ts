/** The worker side of the courier: fetches tasks, each with a lease, and returns their results while the lease lasts. */
import {
  type CourierTask,
  courierKit,
  type FetchOptions,
  type QueueLimits,
  type ReturnErrorOptions,
  type ReturnOptions,
  type TaskCommand,
  type TaskUpdate,
  type WaitOptions,
  type WorkerTaskCourier,
} from '../../index.ts';
import { untilReachable } from './outages.ts';
import type { DeliveredTask, HeldTask } from './protocol.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { ThreadLink } from './thread-link.ts';
import { courierTask, failureText, toText } from './values.ts';

const { callSafely, leaseLost, messageOf } = courierKit;

export class WorkerSide implements WorkerTaskCourier {
  readonly leaseMs: number;
  readonly #link: ThreadLink;
  readonly #subscriptions: Subscriptions;
  readonly #answered: Float64Array;
  readonly #outages = new Set<(error: unknown) => void>();

  constructor(link: ThreadLink, subscriptions: Subscriptions) {
    this.leaseMs = link.settings.leaseMs;
    this.#link = link;
    this.#subscriptions = subscriptions;
    this.#answered = new Float64Array(link.settings.answered);
  }

  get timeAnswered(): number | undefined {
    return this.#answered[0] || undefined;
  }

  readonly onOutage = (listener: (error: unknown) => void): (() => void) => {
    const own = (error: unknown) => listener(error); // a listener may be given more than once
    this.#outages.add(own);
    return () => this.#outages.delete(own);
  };

  /** A call of a worker has failed because of the database. */
  reportOutage(error: unknown): void {
    const onProblem = (problem: unknown) => console.error('SqliteTaskCourier: a listener failed:', problem);
    for (const listener of this.#outages) callSafely(listener, error, onProblem);
  }

  async getTask(queue: string, options: FetchOptions): Promise<CourierTask | undefined> {
    const [task] = await this.bulkGetTasks(queue, 1, options);
    return task;
  }

  async bulkGetTasks(queue: string, max: number, { minPriority = 'low' }: FetchOptions): Promise<CourierTask[]> {
    return this.#read(queue, await this.#link.call('claim', [queue, max, minPriority], fetching));
  }

  async waitForTask(queue: string, options: WaitOptions & FetchOptions): Promise<CourierTask | undefined> {
    const [task] = await this.bulkWaitForTasks(queue, 1, options);
    return task;
  }

  async bulkWaitForTasks(
    queue: string,
    max: number,
    { minPriority = 'low', timeoutMs = Infinity, signal }: WaitOptions & FetchOptions,
  ): Promise<CourierTask[]> {
    signal?.throwIfAborted();
    if (timeoutMs === 0) return this.bulkGetTasks(queue, max, { minPriority });
    const onTimeout = (): DeliveredTask[] => [];
    const wait = (leftMs: number) =>
      this.#link.call('waitForTasks', [queue, max, minPriority], fetching, {
        signal,
        timeoutMs: leftMs,
        onTimeout,
        onLate: (late) => this.#giveBack(queue, late),
      });
    const onOutage = (error: unknown) => this.reportOutage(error);
    const until = performance.now() + timeoutMs;
    for (;;) {
      const leftMs = Math.max(until - performance.now(), 0);
      const found = await untilReachable(this.#link, wait, { signal, timeoutMs: leftMs, onTimeout, onOutage });
      const tasks = await this.#read(queue, found);
      if (tasks.length > 0 || found.length === 0) return tasks;
    }
  }

  /** One that can't be read has failed: it harms no other. */
  async #read(queue: string, delivered: readonly DeliveredTask[]): Promise<CourierTask[]> {
    const tasks: CourierTask[] = [];
    for (const task of delivered) {
      try {
        tasks.push(courierTask(queue, task));
      } catch (error) {
        const failure = { outcome: failureText(error), message: messageOf(error), isFinal: true, retries: 0 };
        await this.#link.call('fail', [queue, task, { ...failure, retryDelayMs: undefined }], fetching).catch(() => {});
      }
    }
    return tasks;
  }

  /** Tasks that came when nobody waited for them any more. If that fails, their leases run out. */
  #giveBack(queue: string, tasks: readonly DeliveredTask[]): void {
    if (this.#link.isClosed) return;
    for (const { id, lease } of tasks) {
      this.#link.call('release', [queue, { id, lease }], fetching).catch(() => {});
    }
  }

  async returnTaskResult(queue: string, task: CourierTask, result: unknown): Promise<void> {
    await this.bulkReturnTaskResults(queue, [[task, result]], {});
  }

  async returnTaskError(
    queue: string,
    task: CourierTask,
    error: unknown,
    { isFinal = false, retries = 0, retryDelayMs }: ReturnErrorOptions,
  ): Promise<void> {
    const failure = {
      outcome: failureText(error),
      message: messageOf(error),
      isFinal,
      retries,
      retryDelayMs: retryDelayMs === undefined ? undefined : JSON.stringify(retryDelayMs),
    };
    const what = { what: 'the error was not returned', taskId: task.id };
    this.#held(queue, task, await this.#link.call('fail', [queue, heldTask(task), failure], what));
  }

  /** It has left its worker. */
  #held(queue: string, { id, lease }: CourierTask, isHeld: boolean): void {
    if (!isHeld) throw leaseLost(queue, [id]);
    this.#subscriptions.release(lease);
  }

  async bulkReturnTaskResults(
    queue: string,
    results: readonly (readonly [CourierTask, unknown])[],
    { next = 0 }: ReturnOptions,
  ): Promise<CourierTask[]> {
    this.#link.refuseIfClosed();
    const returned = results.map(([task, result]) => {
      const what = `the result of task '${task.id}' of queue "${queue}"`;
      return { ...heldTask(task), outcome: toText(result, 'RESULT_NOT_CLONEABLE', what) };
    });
    const given = await this.#link.call('complete', [queue, returned, next], { what: 'no result was returned' });
    for (const { id, lease } of returned) if (!given.lost.includes(id)) this.#subscriptions.release(lease);
    if (given.lost.length > 0) throw leaseLost(queue, given.lost);
    return this.#read(queue, given.next);
  }

  async extendLease(queue: string, task: CourierTask): Promise<void> {
    if ((await this.bulkExtendLeases(queue, [task])).length > 0) throw leaseLost(queue, [task.id]);
  }

  async bulkExtendLeases(queue: string, tasks: readonly CourierTask[]): Promise<CourierTask[]> {
    const lost = await this.#link.call('extend', [queue, tasks.map(heldTask)], { what: 'no lease was extended' });
    return tasks.filter(({ lease }) => lost.includes(lease));
  }

  async releaseTask(queue: string, task: CourierTask): Promise<void> {
    const what = { what: 'it was not released', taskId: task.id };
    this.#held(queue, task, await this.#link.call('release', [queue, heldTask(task)], what));
  }

  async setLimits(queue: string, limits: QueueLimits): Promise<QueueLimits | undefined> {
    return this.#link.call('setLimits', [queue, limits], { what: 'the limits were not set' });
  }

  async keepWork(queue: string, task: CourierTask, name: string, work: Uint8Array): Promise<void> {
    const what = { what: 'the work was not kept', taskId: task.id };
    const isHeld = this.#link.call('keepWork', [queue, heldTask(task), name, Uint8Array.from(work)], what);
    if (!(await isHeld)) throw leaseLost(queue, [task.id]);
  }

  async sendToClient(queue: string, task: CourierTask, update: TaskUpdate): Promise<void> {
    this.#link.refuseIfClosed();
    const text = toText(update, 'MESSAGE_NOT_CLONEABLE', `the update of task '${task.id}'`) as string;
    const what = { what: 'the update was not sent', taskId: task.id };
    if (await this.#link.call('sendToClient', [queue, heldTask(task), update.kind, text], what)) return;
    throw leaseLost(queue, [task.id]);
  }

  async subscribeToClient(
    queue: string,
    task: CourierTask,
    listener: (command: TaskCommand) => void,
  ): Promise<() => void> {
    const what = { what: `commands to task '${task.id}' are not received`, taskId: task.id };
    this.#link.refuseIfClosed();
    const expected = this.#subscriptions.expect(queue, task);
    let remove: () => boolean;
    try {
      remove = expected.add(await this.#link.call('watch', [queue, heldTask(task)], what), listener);
    } catch (error) {
      expected.drop();
      throw error;
    }
    return () => {
      if (!remove() || this.#link.isClosed) return;
      this.#link.call('unwatch', [queue, heldTask(task)], what).catch(() => {});
    };
  }

  async close(): Promise<void> {
    await this.#link.close();
  }
}

const fetching = { what: 'no task was fetched' };

function heldTask({ id, lease }: CourierTask): HeldTask {
  return { id, lease };
}
