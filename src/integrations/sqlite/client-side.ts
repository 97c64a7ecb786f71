/** The client side of the courier: adds and cancels tasks, exchanges messages with their workers, and waits for results. */
import {
  type AddOptions,
  type BulkAddOptions,
  type ClientCommand,
  type ClientTaskCourier,
  type CourierQueueInfo,
  courierKit,
  type DeadLetter,
  type ListedTask,
  type ListOptions,
  type QueueEvent,
  type TaskUpdate,
  type WaitOptions,
} from '../../index.ts';
import { untilReachable } from './outages.ts';
import type { NewTask, NewTaskOptions } from './protocol.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { ThreadLink } from './thread-link.ts';
import { cancelText, failureOf, fromText, listedTask, readableOf, resultOf, toText } from './values.ts';

const { calledName, resultNotReady, resultTimeout } = courierKit;

export class ClientSide implements ClientTaskCourier {
  readonly #link: ThreadLink;
  readonly #subscriptions: Subscriptions;

  constructor(link: ThreadLink, subscriptions: Subscriptions) {
    this.#link = link;
    this.#subscriptions = subscriptions;
  }

  async addTaskToQueue(queue: string, data: unknown, options: AddOptions): Promise<string> {
    const [id] = await this.#add(queue, [newTask(data, options.id)], options);
    return id as string;
  }

  bulkAddTasksToQueue(queue: string, data: readonly unknown[], options: BulkAddOptions): Promise<string[]> {
    const tasks = data.map((each) => newTask(each));
    return this.#add(queue, tasks, options);
  }

  async #add(queue: string, tasks: readonly NewTask[], { signal, id, ...options }: AddOptions): Promise<string[]> {
    signal?.throwIfAborted();
    this.#link.refuseIfClosed();
    const wanted: NewTaskOptions = { ...options };
    const asked = { what: 'nothing was added', ...(id !== undefined && { taskId: id }) };
    const add = () =>
      this.#link.call('add', [queue, tasks, wanted], asked, { signal: options.wait ? signal : undefined });
    return options.wait === true ? untilReachable(this.#link, add, { signal }) : add();
  }

  async getTaskResult<R>(queue: string, id: string): Promise<R> {
    const end = await this.#endOf(queue, id);
    if (end === undefined) throw resultNotReady(queue, id);
    return resultOf(end, queue, id) as R;
  }

  #endOf(queue: string, id: string) {
    return this.#link.call('endOf', [queue, id], { what: `whether task '${id}' has ended is not known`, taskId: id });
  }

  async waitForTaskResult<R>(queue: string, id: string, { timeoutMs = Infinity, signal }: WaitOptions): Promise<R> {
    signal?.throwIfAborted();
    const asked = { what: `whether task '${id}' has ended is not known`, taskId: id };
    const onTimeout = () => {
      throw resultTimeout(queue, id, timeoutMs);
    };
    const wait = (leftMs: number) =>
      this.#link.call('waitForEnd', [queue, id], asked, { signal, timeoutMs: leftMs, onTimeout });
    return resultOf(await untilReachable(this.#link, wait, { signal, timeoutMs, onTimeout }), queue, id) as R;
  }

  async checkForDone(queue: string, id: string): Promise<boolean> {
    return (await this.#endOf(queue, id)) !== undefined;
  }

  async cancelTask(queue: string, id: string, reason?: unknown): Promise<boolean> {
    const asked = { what: `task '${id}' was not canceled`, taskId: id };
    return this.#link.call('cancel', [queue, id, cancelText(reason)], asked);
  }

  async sendToTask(queue: string, id: string, command: ClientCommand): Promise<void> {
    const text = toText(command, 'MESSAGE_NOT_CLONEABLE', `the command to task '${id}'`) as string;
    await this.#link.call('sendToTask', [queue, id, text], { what: 'the command was not sent', taskId: id });
  }

  async subscribeToTask(queue: string, id: string, listener: (update: TaskUpdate) => void): Promise<() => void> {
    this.#link.refuseIfClosed();
    const remove = this.#subscriptions.addToTask(queue, id, listener);
    try {
      const asked = { what: `task '${id}' is not followed`, taskId: id };
      if (!(await this.#link.call('subscribeToTask', [queue, id], asked))) remove();
    } catch (error) {
      remove();
      throw error;
    }
    return () => {
      if (remove()) this.#leave('unsubscribeFromTask', [queue, id]);
    };
  }

  async subscribe(queue: string, listener: (event: QueueEvent) => void): Promise<() => void> {
    this.#link.refuseIfClosed();
    const remove = this.#subscriptions.addToQueue(queue, listener);
    try {
      await this.#link.call('subscribe', [queue], { what: 'its events are not received' });
    } catch (error) {
      remove();
      throw error;
    }
    this.#link.hold(); // others may bring events
    return () => {
      if (!remove()) return;
      this.#link.release();
      this.#leave('unsubscribe', [queue]);
    };
  }

  /** If it fails, events come that nobody gets. */
  #leave(...[name, args]: ['unsubscribeFromTask', [string, string]] | ['unsubscribe', [string]]): void {
    if (this.#link.isClosed) return;
    const asked = { what: 'it was not ended' };
    const left = name === 'unsubscribe' ? this.#link.call(name, args, asked) : this.#link.call(name, args, asked);
    left.catch(() => {});
  }

  /** Another thread was started, which knows of no listeners. */
  async listenAgain(): Promise<void> {
    const asked = { what: 'its events are not received' };
    for (const [queue, listeners] of this.#subscriptions.queues) {
      for (const _ of listeners) await this.#link.call('subscribe', [queue], asked);
      this.#subscriptions.onNotice({ kind: 'missed', queue });
    }
    for (const { queue, id, count } of this.#subscriptions.tasks) {
      for (let n = 0; n < count; n += 1) await this.#link.call('subscribeToTask', [queue, id], asked);
    }
  }

  async getDeadLetters(queue: string, { offset = 0, max = 100 }: Partial<ListOptions>): Promise<DeadLetter[]> {
    const letters = await this.#link.call('deadLetters', [queue, offset, max], {
      what: 'its dead letters are not known',
    });
    return letters.map(({ data, outcome, ...letter }) => {
      return { ...letter, data: readableOf(data), error: failureOf(outcome, queue, letter.id) };
    });
  }

  async redriveTasks(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#link.call('redrive', [queue, ids && [...ids]], { what: 'nothing was redriven' });
  }

  async removeDeadLetters(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#link.call('removeDead', [queue, ids && [...ids]], { what: 'nothing was removed' });
  }

  async listTasks(queue: string, { state, offset = 0, max = 100 }: ListOptions): Promise<ListedTask[]> {
    const tasks = await this.#link.call('list', [queue, state, offset, max], { what: 'its tasks are not known' });
    return tasks.map((task) => listedTask(queue, task));
  }

  async getQueueInfo(queue: string): Promise<CourierQueueInfo> {
    return this.#link.call('info', [queue], { what: 'its state is not known' });
  }

  async getQueueNames(): Promise<string[]> {
    return this.#link.call('queueNames', [''], { what: 'its queues are not known' });
  }

  async pauseQueue(queue: string): Promise<void> {
    await this.#link.call('pause', [queue, true], { what: 'it was not paused' });
  }

  async resumeQueue(queue: string): Promise<void> {
    await this.#link.call('pause', [queue, false], { what: 'it was not resumed' });
  }

  async close(): Promise<void> {
    this.#subscriptions.close();
    await this.#link.close();
  }
}

function newTask(data: unknown, id?: string): NewTask {
  const text = toText(data, 'ARGUMENT_NOT_CLONEABLE', 'the data of a task');
  return { id: id ?? crypto.randomUUID(), name: calledName(fromText(text)), data: text };
}
