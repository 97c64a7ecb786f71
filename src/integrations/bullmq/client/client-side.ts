/** The client side of the courier: adds and cancels tasks, exchanges messages with their workers, and waits for results. */
import type { Job } from 'bullmq';
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
} from '../../../index.ts';
import { plainJson } from '../../plain-copy.ts';
import type { DeadlineWatch } from '../deadlines/deadline-watch.ts';
import { endDeadline } from '../deadlines/job-deadline.ts';
import { canceledValue, errorOf, limitsOf, makeId, resultOf } from '../job/job-format.ts';
import { isTaskMalformed } from '../job/job-reader.ts';
import { toJson } from '../job/json.ts';
import type { Link } from '../server/link.ts';
import { checkId, checkKey, isReserved } from '../server/names.ts';
import { pauseAfter } from '../server/pause.ts';
import { endingMs } from '../worker/bull-queue.ts';
import { Additions, isExpired, isUnreachable } from './additions.ts';
import { DeadLetters, falseIfGone } from './dead-letters.ts';
import { type IsComing, type QueueEvents, queueEvents } from './queue-events.ts';
import type { QueueLimit } from './queue-limit.ts';
import type { TaskEnd } from './result-waits.ts';
import type { TaskCommands } from './task-commands.ts';
import { listTasks } from './task-list.ts';

const { resultNotReady, taskNotFound } = courierKit;

export class ClientSide implements ClientTaskCourier {
  readonly #link: Link;
  readonly #commands: TaskCommands;
  readonly #additions: Additions;
  readonly #resultTtlMs: number;
  readonly #dead: DeadLetters;
  readonly #watch: DeadlineWatch;
  readonly #eventSources = new Map<string, QueueEvents>();
  /** Queues whose reader is being started. */
  readonly #starting = new Set<string>();

  constructor(link: Link, commands: TaskCommands, limit: QueueLimit, resultTtlMs: number, watch: DeadlineWatch) {
    this.#link = link;
    this.#commands = commands;
    this.#additions = new Additions(link, limit, resultTtlMs, watch, (queue) => {
      const events = this.#eventSources.get(queue);
      return events?.reader.isListening ? events.waits : undefined;
    });
    this.#resultTtlMs = resultTtlMs;
    this.#dead = new DeadLetters(link, watch);
    this.#watch = watch;
  }

  async addTaskToQueue(queue: string, data: unknown, options: AddOptions): Promise<string> {
    const id = options.id ?? makeId();
    checkId(id);
    checkKey(options.key);
    const task = { id, data: toJson(data, 'ARGUMENT_NOT_CLONEABLE', 'the data of the task') };
    const [added] = await this.#additions.add(queue, [task], options);
    return added as string;
  }

  async bulkAddTasksToQueue(queue: string, data: readonly unknown[], options: BulkAddOptions): Promise<string[]> {
    checkKey(options.key);
    const tasks = data.map((each, n) => {
      return { id: makeId(), data: toJson(each, 'ARGUMENT_NOT_CLONEABLE', `the data of task ${n}`) };
    });
    return this.#additions.add(queue, tasks, options);
  }

  async getTaskResult<R>(queue: string, id: string): Promise<R> {
    const end = await this.#endOf(queue, id);
    if (end === undefined) throw resultNotReady(queue, id);
    return end.value() as R;
  }

  async waitForTaskResult<R>(queue: string, id: string, options: WaitOptions): Promise<R> {
    this.#link.refuseIfClosed();
    options.signal?.throwIfAborted();
    const events = this.#eventsOf(queue);
    // The wait also covers a server that can't be reached.
    const wait = events.waits.wait(id, options, events.reader.isListening);
    void this.#startReader(queue, events);
    return (await wait) as R;
  }

  async checkForDone(queue: string, id: string): Promise<boolean> {
    const end = await this.#endOf(queue, id);
    if (end?.isKnown === false) throw taskNotFound(queue, id);
    return end !== undefined;
  }

  #endOf(queue: string, id: string): Promise<(TaskEnd & { readonly isKnown: boolean }) | undefined> {
    return this.#link.ask(
      queue,
      `whether task '${id}' has ended is not known`,
      async (asked) => {
        const status = isReserved(id) ? -1 : await asked.queue.backend.isFinished(id);
        if (status === 0) return undefined;
        let job: Job | undefined;
        try {
          job = status === -1 ? undefined : await asked.queue.find(id);
        } catch (error) {
          if (!isTaskMalformed(error)) throw error;
          return { isKnown: true, value: () => raise(error) };
        }
        if (job === undefined || (status === 1 && isExpired(job, this.#resultTtlMs))) {
          return { isKnown: false, value: () => raise(taskNotFound(queue, id)) };
        }
        const value = status === 1 ? () => resultOf(job.returnvalue, queue, id) : () => raise(errorOf(job, queue));
        return { isKnown: true, value };
      },
      id,
    );
  }

  #eventsOf(queue: string): QueueEvents {
    let events = this.#eventSources.get(queue);
    if (events === undefined) {
      const find = (id: string) => this.#link.ask(queue, 'an event is not known', (asked) => asked.queue.find(id), id);
      const isComing: IsComing = (reader, isWanted) =>
        this.#link.ask(queue, 'its events are not known', ({ server }) => reader.isComing(server, isWanted));
      events = queueEvents(queue, (id) => this.#endOf(queue, id), find, isComing);
      this.#eventSources.set(queue, events);
    }
    return events;
  }

  /** Starts the reader, and retries until it listens; then looks up ends that came before. Done once for all waits. */
  async #startReader(queue: string, { reader, waits }: QueueEvents): Promise<void> {
    if (reader.isListening || this.#starting.has(queue)) return;
    this.#starting.add(queue);
    for (let failures = 1; !this.#link.signal.aborted && waits.isWaitedFor; failures += 1) {
      try {
        await this.#link.ask(queue, 'its events are not received', ({ server }) => reader.start(server));
        waits.onGap();
        break;
      } catch (error) {
        if (isUnreachable(error)) await pauseAfter(failures, this.#link.signal);
        else waits.fail(error);
      }
    }
    this.#starting.delete(queue);
  }

  cancelTask(queue: string, id: string, reason?: unknown): Promise<boolean> {
    return this.#link.ask(
      queue,
      `task '${id}' may not have been canceled`,
      async (asked) => {
        const { backend, claims } = asked.queue;
        const token = crypto.randomUUID();
        const from = await claims.seize(id, token, endingMs);
        const job = from && (await asked.queue.findHeld(id));
        if (job === undefined) return false;
        const { removeOnComplete = false } = job.opts;
        await backend.moveToCompleted(job, canceledValue(reason), removeOnComplete, token, false);
        endDeadline(asked.queue.deadlines, job);
        if (from === 'active') await asked.queue.leave(job);
        if (from === 'active') await this.#commands.sendCancel(asked.server, queue, id, reason);
        return true;
      },
      id,
    );
  }

  async sendToTask(queue: string, id: string, command: ClientCommand): Promise<void> {
    const plain =
      command.kind === 'message'
        ? { ...command, data: plainJson(command.data, 'MESSAGE_NOT_CLONEABLE', 'the message') }
        : command;
    await this.#link.ask(
      queue,
      `the command to task '${id}' may not have been sent`,
      async ({ server, queue: bull }) => {
        const status = isReserved(id) ? -1 : await bull.backend.isFinished(id);
        if (status === -1) throw taskNotFound(queue, id);
        if (status === 0) await this.#commands.send(server, bull, id, plain).catch(falseIfGone);
      },
      id,
    );
  }

  async subscribeToTask(queue: string, id: string, listener: (update: TaskUpdate) => void): Promise<() => void> {
    const { waits, reader } = this.#eventsOf(queue);
    const unsubscribe = waits.subscribe(id, listener);
    try {
      await this.#link.ask(queue, `task '${id}' can't be followed`, ({ server }) => reader.start(server), id);
      return unsubscribe;
    } catch (error) {
      unsubscribe();
      throw error;
    }
  }

  async subscribe(queue: string, listener: (event: QueueEvent) => void): Promise<() => void> {
    const { feed, reader } = this.#eventsOf(queue);
    await this.#link.ask(queue, 'its events are not received', ({ server }) => reader.start(server));
    return feed.subscribe(listener);
  }

  getDeadLetters(queue: string, options: { readonly offset?: number; readonly max?: number }): Promise<DeadLetter[]> {
    return this.#dead.list(queue, options);
  }

  redriveTasks(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#dead.redrive(queue, ids);
  }

  removeDeadLetters(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#dead.remove(queue, ids);
  }

  listTasks(queue: string, options: ListOptions): Promise<ListedTask[]> {
    return listTasks(this.#link, queue, options, Date.now() - this.#resultTtlMs);
  }

  getQueueInfo(queue: string): Promise<CourierQueueInfo> {
    return this.#link.ask(queue, 'its state is not known', async ({ queue: { backend, claims } }) => {
      const [byPriority, states, { held, isPaused, limits }] = await Promise.all([
        backend.getCountsPerPriority([0, 1, 2, 3]),
        backend.getCounts(['prioritized', 'delayed', 'active', 'failed']),
        claims.state(),
      ]);
      const [none = 0, critical = 0, high = 0, normal = 0] = byPriority;
      const [prioritized = 0, delayed = 0, leased = 0, deadLetters = 0] = states;
      const low = Math.max(prioritized - critical - high - normal, 0); // the counts are from different moments
      const [heldCritical = 0, heldHigh = 0, heldNormal = 0, heldLow = 0] = held;
      return {
        waiting: {
          critical: critical + heldCritical,
          high: high + heldHigh,
          normal: normal + none + heldNormal,
          low: low + heldLow,
        },
        delayed: Math.max(delayed - heldCritical - heldHigh - heldNormal - heldLow, 0),
        leased,
        deadLetters,
        isPaused,
        limits: limitsOf(limits),
      };
    });
  }

  getQueueNames(): Promise<string[]> {
    return this.#link.askServer('its queues are not known', async (server) => (await server.queueNames()).sort());
  }

  async pauseQueue(queue: string): Promise<void> {
    await this.#link.ask(queue, 'it may not be paused', ({ queue: { backend } }) => backend.pause(true));
  }

  async resumeQueue(queue: string): Promise<void> {
    await this.#link.ask(queue, 'it may still be paused', ({ queue: { backend } }) => backend.pause(false));
  }

  async close(): Promise<void> {
    const all = [...this.#eventSources.values()];
    this.#eventSources.clear();
    for (const { waits, feed, reader } of all) {
      waits.close();
      feed.close();
      reader.close();
    }
    this.#watch.close();
    this.#commands.close();
    await this.#link.close();
  }
}

function raise(error: unknown): never {
  throw error;
}
