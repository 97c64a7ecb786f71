/**
 * The queues of a memory courier, in the program that made it. It copies what it is given, and again what it returns, so that
 * no caller sees the changes of another; errors are not copied. It expects checked arguments.
 */
import { randomUUID } from '../../platform/globals.ts';
import { KeepAlive } from '../../platform/keep-alive.ts';
import { newIdPrefix, taskId } from '../../task/record/task-id.ts';
import type {
  AddOptions,
  BulkAddOptions,
  ClientCommand,
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
} from '../courier.ts';
import * as courierError from '../courier-error.ts';
import type { ListedTask, ListOptions, QueueEvent } from '../queue-view.ts';
import { Copies } from './copies.ts';
import { MemoryQueue } from './memory-queue.ts';
import { emptyQueue, type MemoryQueueSettings } from './memory-queue-parts.ts';
import { MemoryTask } from './memory-task.ts';
import { listOf } from './task-list.ts';

interface MemoryStoreSettings extends MemoryQueueSettings {
  readonly copies: boolean;
}

export class MemoryStore implements ClientWorkerTaskCourier {
  readonly #settings: MemoryStoreSettings;
  readonly #copies: Copies;
  readonly #queues = new Map<string, MemoryQueue>();
  readonly #prefix = newIdPrefix();
  readonly #keepAlive = new KeepAlive();
  #leases = 0;
  #isClosed = false;

  constructor(settings: MemoryStoreSettings) {
    this.#settings = settings;
    this.#copies = new Copies(settings.copies);
  }

  get leaseMs(): number {
    return this.#settings.leaseMs;
  }

  /** The queue, if there is anything in it. @throws TaskwardenError `COURIER_CLOSED`. */
  #find(name: string): MemoryQueue | undefined {
    if (this.#isClosed) throw courierError.courierClosed();
    this.#queues.get(name)?.check(); // may remove the queue
    return this.#queues.get(name);
  }

  #queue(name: string): MemoryQueue {
    const found = this.#find(name);
    if (found !== undefined) return found;
    const queue: MemoryQueue = new MemoryQueue(name, {
      ...this.#settings,
      nextLease: () => {
        this.#leases += 1;
        return taskId(this.#prefix, this.#leases);
      },
      deliver: (task) => this.#deliver(name, task),
      onEmpty: () => {
        if (this.#queues.get(name) === queue) this.#queues.delete(name);
      },
      keepAlive: this.#keepAlive,
    });
    this.#queues.set(name, queue);
    return queue;
  }

  #task(name: string, id: string): { readonly task: MemoryTask; readonly queue: MemoryQueue } {
    const queue = this.#find(name);
    const task = queue?.tasks.get(id);
    if (queue === undefined || task === undefined || (task.hasEnded && !task.isKept)) {
      throw courierError.taskNotFound(name, id);
    }
    return { task, queue };
  }

  /** Calls `use` with a task that a worker holds. @throws TaskwardenError `LEASE_LOST`. */
  #held<R>(queue: string, { id, lease }: CourierTask, use: (task: MemoryTask, queue: MemoryQueue) => R): R {
    const found = this.#find(queue);
    const task = found?.findLeased(id, lease);
    if (found === undefined || task === undefined) throw courierError.leaseLost(queue, [id]);
    return use(task, found);
  }

  /** Gives each listener its own copy of a message. */
  #copied<T extends TaskUpdate | TaskCommand>(listener: (what: T) => void): (what: T) => void {
    return (what) => listener(what.kind === 'message' ? { ...what, data: this.#copies.again(what.data) } : what);
  }

  #newTask(queue: string, data: unknown, options: AddOptions): MemoryTask {
    const copy = this.#copies.first(data, 'ARGUMENT_NOT_CLONEABLE', `the data of a task for queue "${queue}"`);
    return new MemoryTask(options.id ?? randomUUID(), copy, options);
  }

  #deliver(queue: string, task: MemoryTask): CourierTask {
    return task.delivered(queue, this.#copies.again(task.data));
  }

  async addTaskToQueue(queue: string, data: unknown, options: AddOptions = {}): Promise<string> {
    const task = this.#newTask(queue, data, options);
    options.signal?.throwIfAborted();
    const [id] = await this.#queue(queue).add([task], options);
    return id as string;
  }

  async bulkAddTasksToQueue(queue: string, data: readonly unknown[], options: BulkAddOptions = {}): Promise<string[]> {
    const tasks = data.map((each) => this.#newTask(queue, each, options));
    options.signal?.throwIfAborted();
    return this.#queue(queue).add(tasks, options);
  }

  async getTaskResult<R = unknown>(queue: string, id: string): Promise<R> {
    const { task } = this.#task(queue, id);
    if (!task.hasEnded) throw courierError.resultNotReady(queue, id);
    return this.#outcome(task) as R;
  }

  #outcome(task: MemoryTask): unknown {
    if (task.state !== 'completed') throw task.outcome;
    return this.#copies.again(task.outcome);
  }

  async waitForTaskResult<R = unknown>(queue: string, id: string, options: WaitOptions = {}): Promise<R> {
    options.signal?.throwIfAborted();
    const { task, queue: found } = this.#task(queue, id);
    if (task.hasEnded) return this.#outcome(task) as R;
    return this.#copies.again(await found.waitForResult(task, options)) as R;
  }

  async checkForDone(queue: string, id: string): Promise<boolean> {
    return this.#task(queue, id).task.hasEnded;
  }

  async cancelTask(queue: string, id: string, reason?: unknown): Promise<boolean> {
    const found = this.#find(queue);
    const task = found?.tasks.get(id);
    return found !== undefined && task !== undefined && found.cancel(task, reason);
  }

  async sendToTask(queue: string, id: string, command: ClientCommand): Promise<void> {
    const { task, queue: found } = this.#task(queue, id);
    found.messages.sendToTask(
      task,
      this.#copies.first(command, 'MESSAGE_NOT_CLONEABLE', `the command to task '${id}'`),
    );
  }

  /** @param end Called after the last update. */
  async subscribeToTask(
    queue: string,
    id: string,
    listener: (update: TaskUpdate) => void,
    end?: () => void,
  ): Promise<() => void> {
    return this.#queue(queue).subscribeToTask(id, { receive: this.#copied(listener), end });
  }

  async subscribe(queue: string, listener: (event: QueueEvent) => void): Promise<() => void> {
    return this.#queue(queue).messages.subscribe({ receive: listener });
  }

  async getDeadLetters(queue: string, { offset = 0, max = 100 }: Partial<ListOptions> = {}): Promise<DeadLetter[]> {
    const letters = this.#find(queue)?.dead.list(offset, max) ?? [];
    return letters.map((letter) => ({ ...letter, data: this.#copies.again(letter.data) }));
  }

  async listTasks(queue: string, options: ListOptions): Promise<ListedTask[]> {
    return listOf(this.#find(queue)?.tasks.values() ?? [], options);
  }

  async redriveTasks(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#find(queue)?.redrive(ids) ?? 0;
  }

  async removeDeadLetters(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#find(queue)?.removeDead(ids) ?? 0;
  }

  async getQueueInfo(queue: string): Promise<CourierQueueInfo> {
    return this.#find(queue)?.info ?? emptyQueue;
  }

  async getQueueNames(): Promise<string[]> {
    if (this.#isClosed) throw courierError.courierClosed();
    return [...this.#queues.keys()].sort();
  }

  async pauseQueue(queue: string): Promise<void> {
    this.#queue(queue).pause(true);
  }

  async resumeQueue(queue: string): Promise<void> {
    this.#find(queue)?.pause(false);
  }

  async setLimits(queue: string, limits: QueueLimits): Promise<QueueLimits | undefined> {
    return this.#queue(queue).setLimits(limits);
  }

  async getTask(queue: string, options: FetchOptions = {}): Promise<CourierTask | undefined> {
    return (await this.bulkGetTasks(queue, 1, options))[0];
  }

  async bulkGetTasks(queue: string, max: number, { minPriority = 'low' }: FetchOptions = {}): Promise<CourierTask[]> {
    return this.#find(queue)?.take(max, minPriority) ?? [];
  }

  async waitForTask(queue: string, options: WaitOptions & FetchOptions = {}): Promise<CourierTask | undefined> {
    return (await this.bulkWaitForTasks(queue, 1, options))[0];
  }

  async bulkWaitForTasks(
    queue: string,
    max: number,
    { minPriority = 'low', ...options }: WaitOptions & FetchOptions = {},
  ): Promise<CourierTask[]> {
    options.signal?.throwIfAborted();
    const found = this.#queue(queue);
    const tasks = found.take(max, minPriority);
    return tasks.length > 0 ? tasks : found.waitForTasks(max, minPriority, options);
  }

  async returnTaskResult(queue: string, task: CourierTask, result: unknown): Promise<void> {
    this.#held(queue, task, (held, found) => found.complete(held, this.#result(task, result)));
  }

  #result({ id, queue }: CourierTask, result: unknown): unknown {
    return this.#copies.first(result, 'RESULT_NOT_CLONEABLE', `the result of task '${id}' of queue "${queue}"`);
  }

  async returnTaskError(
    queue: string,
    task: CourierTask,
    error: unknown,
    options: ReturnErrorOptions = {},
  ): Promise<void> {
    this.#held(queue, task, (held, found) => found.fail(held, error, options));
  }

  async bulkReturnTaskResults(
    queue: string,
    results: readonly (readonly [CourierTask, unknown])[],
    { next = 0 }: ReturnOptions = {},
  ): Promise<CourierTask[]> {
    const found = this.#find(queue);
    const copies = results.map(([task, result]) => [task, this.#result(task, result)] as const);
    const lost: string[] = [];
    for (const [{ id, lease }, result] of copies) {
      const held = found?.findLeased(id, lease);
      if (held === undefined) lost.push(id);
      else found?.complete(held, result);
    }
    if (lost.length > 0) throw courierError.leaseLost(queue, lost);
    return this.bulkGetTasks(queue, next);
  }

  async extendLease(queue: string, task: CourierTask): Promise<void> {
    this.#held(queue, task, (held, found) => found.extend(held));
  }

  async bulkExtendLeases(queue: string, tasks: readonly CourierTask[]): Promise<CourierTask[]> {
    const found = this.#find(queue);
    return tasks.filter(({ id, lease }) => {
      const held = found?.findLeased(id, lease);
      if (held !== undefined) found?.extend(held);
      return held === undefined;
    });
  }

  async releaseTask(queue: string, task: CourierTask): Promise<void> {
    this.#held(queue, task, (held, found) => found.release(held));
  }

  async keepWork(queue: string, task: CourierTask, name: string, work: Uint8Array): Promise<void> {
    this.#held(queue, task, (held) => {
      held.kept ??= new Map();
      held.kept.set(name, Uint8Array.from(work));
    });
  }

  async sendToClient(queue: string, task: CourierTask, update: TaskUpdate): Promise<void> {
    this.#held(queue, task, (held, found) => {
      found.messages.sendToClient(
        held,
        this.#copies.first(update, 'MESSAGE_NOT_CLONEABLE', `the update of task '${task.id}'`),
      );
    });
  }

  /** @param end Called after the last command. */
  async subscribeToClient(
    queue: string,
    task: CourierTask,
    listener: (command: TaskCommand) => void,
    end?: () => void,
  ): Promise<() => void> {
    return this.#queue(queue).subscribeToClient(task.id, task.lease, { receive: this.#copied(listener), end });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const queue of [...this.#queues.values()]) queue.close(courierError.courierClosed());
    this.#queues.clear();
    this.#keepAlive.close();
  }
}
