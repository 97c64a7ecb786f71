/** The worker side of the courier: fetches tasks, each with a lease, and returns their results while the lease lasts. */
import type { Job } from 'bullmq';
import {
  type CourierTask,
  courierKit,
  type FetchOptions,
  type ReturnErrorOptions,
  type TaskCommand,
  type TaskUpdate,
  type WaitOptions,
  type WorkerTaskCourier,
} from '../../../index.ts';
import { isUnreachable } from '../client/client-side.ts';
import { maxEvents } from '../client/event-reader.ts';
import { updateEvent } from '../client/result-waits.ts';
import type { TaskCommands } from '../client/task-commands.ts';
import { failureOf, progressValue, taskOf } from '../job/job-format.ts';
import { isUnstorable, notCloneable, plainJson, toJson } from '../job/json.ts';
import type { Asked, Link } from '../server/link.ts';
import { pauseAfter } from '../server/pause.ts';
import { type Fetched, finalOf } from './bull-queue.ts';
import { Fetcher } from './fetcher.ts';
import { type Lease, Leases } from './leases.ts';

const { callSafely, courierUnreachable, leaseLost } = courierKit;

/** For a task that takes less than this, `'started'` is not sent. In milliseconds. */
const shortMs = 20;

export class WorkerSide implements WorkerTaskCourier {
  readonly leaseMs: number;
  readonly #link: Link;
  readonly #commands: TaskCommands;
  readonly #stalledIntervalMs: number;
  readonly #leases: Leases;
  readonly #fetchers = new Map<string, Fetcher>();
  readonly #outageListeners = new Set<(error: unknown) => void>();
  #timeAnswered: number | undefined;

  constructor(link: Link, commands: TaskCommands, stalledIntervalMs: number) {
    this.leaseMs = link.limits.leaseMs;
    this.#link = link;
    this.#commands = commands;
    this.#stalledIntervalMs = stalledIntervalMs;
    this.#leases = new Leases(this.leaseMs);
  }

  get timeAnswered(): number | undefined {
    return this.#timeAnswered;
  }

  readonly onOutage = (listener: (error: unknown) => void): (() => void) => {
    const own = (error: unknown) => listener(error); // a listener may be given more than once
    this.#outageListeners.add(own);
    return () => this.#outageListeners.delete(own);
  };

  #reportOutage(error: unknown): void {
    const onProblem = (problem: unknown) => console.error('BullMQTaskCourier: a listener failed:', problem);
    for (const listener of this.#outageListeners) callSafely(listener, error, onProblem);
  }

  async getTask(queue: string, options: FetchOptions): Promise<CourierTask | undefined> {
    const [task] = await this.bulkGetTasks(queue, 1, options);
    return task;
  }

  async bulkGetTasks(queue: string, max: number, { minPriority = 'low' }: FetchOptions): Promise<CourierTask[]> {
    const found = await this.#link.ask(queue, 'no task was fetched', async (asked) => {
      return this.#fetcherOf(asked).fetch(max, minPriority);
    });
    return this.#lease(queue, found);
  }

  async waitForTask(queue: string, options: WaitOptions & FetchOptions): Promise<CourierTask | undefined> {
    const [task] = await this.bulkWaitForTasks(queue, 1, options);
    return task;
  }

  async bulkWaitForTasks(
    queue: string,
    max: number,
    { minPriority = 'low', ...options }: WaitOptions & FetchOptions,
  ): Promise<CourierTask[]> {
    if (options.timeoutMs === 0) return this.bulkGetTasks(queue, max, { minPriority });
    const until = performance.now() + (options.timeoutMs ?? Infinity);
    for (let failures = 1; ; failures += 1) {
      options.signal?.throwIfAborted();
      const timeoutMs = Math.max(until - performance.now(), 0);
      if (timeoutMs === 0) return [];
      try {
        const fetcher = await this.#link.ask(queue, 'no task was fetched', async (asked) => this.#fetcherOf(asked));
        return this.#lease(queue, await fetcher.wait(max, minPriority, { ...options, timeoutMs }));
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        this.#reportOutage(error);
        const { signal } = options;
        await pauseAfter(failures, this.#link.endOr(signal));
      }
    }
  }

  #fetcherOf({ server, queue }: Asked): Fetcher {
    let fetcher = this.#fetchers.get(queue.name);
    if (fetcher === undefined) {
      fetcher = new Fetcher(queue, server, this.#stalledIntervalMs, {
        answered: () => {
          this.#timeAnswered = Date.now();
        },
        failed: (error) => this.#reportOutage(courierUnreachable('no task was fetched', error)),
      });
      this.#fetchers.set(queue.name, fetcher);
    }
    return fetcher;
  }

  #lease(queue: string, found: readonly Fetched[]): CourierTask[] {
    return found.map(({ job, token }) => {
      this.#leases.take(job, token);
      return taskOf(job, queue, token);
    });
  }

  async returnTaskResult(queue: string, task: CourierTask, result: unknown): Promise<void> {
    this.#link.refuseIfClosed();
    await this.#returnJson(queue, task, jsonOf(result));
  }

  async #returnJson(queue: string, task: CourierTask, value: unknown): Promise<void> {
    try {
      await this.#settle(queue, task, ({ backend }, job) =>
        backend.moveToCompleted(job, value, job.opts.removeOnComplete ?? false, task.lease, false),
      );
    } catch (error) {
      throw isUnstorable(error) ? notCloneable('RESULT_NOT_CLONEABLE', 'the result', error) : error;
    }
  }

  async returnTaskError(
    queue: string,
    task: CourierTask,
    error: unknown,
    { isFinal = false }: ReturnErrorOptions,
  ): Promise<void> {
    this.#link.refuseIfClosed();
    const failure = isFinal ? finalOf(failureOf(error)) : failureOf(error);
    await this.#settle(queue, task, (_, job) => job.moveToFailed(failure, task.lease, false));
  }

  async bulkReturnTaskResults(queue: string, results: readonly (readonly [CourierTask, unknown])[]): Promise<void> {
    this.#link.refuseIfClosed();
    const values = results.map(([task, result]) => [task, jsonOf(result)] as const);
    const settled = await Promise.allSettled(values.map(([task, value]) => this.#returnJson(queue, task, value)));
    const problems = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    const other = problems.find((problem) => !isLeaseLost(problem));
    if (other !== undefined) throw other;
    const lost = results.filter((_, n) => settled[n]?.status === 'rejected').map(([{ id }]) => id);
    if (lost.length > 0) throw leaseLost(queue, lost);
  }

  /** Ends the job while its lease lasts; retries for as long while the server can't be reached. */
  async #settle(
    queue: string,
    { id, lease: token }: CourierTask,
    end: (queue: Asked['queue'], job: Job) => Promise<unknown>,
  ): Promise<void> {
    const lease = this.#leases.find(token);
    for (let failures = 1; ; failures += 1) {
      if (lease !== undefined && !lease.isHeld) throw leaseLost(queue, [id]);
      try {
        const ask = () =>
          this.#link.ask(
            queue,
            `the result of task '${id}' may not have been taken`,
            async (asked) => {
              const job = lease?.job ?? (await asked.queue.find(id));
              if (job === undefined) throw leaseLost(queue, [id]);
              await end(asked.queue, job);
            },
            id,
          );
        await (lease === undefined ? ask() : lease.sendLast(ask));
        if (lease !== undefined) this.#leases.end(lease);
        return;
      } catch (error) {
        if (isNotOurs(error)) {
          lease?.lose();
          throw leaseLost(queue, [id]);
        }
        if (lease === undefined || !isUnreachable(error)) throw error;
        this.#reportOutage(error);
        await pauseAfter(failures, this.#link.signal);
      }
    }
  }

  async extendLease(queue: string, task: CourierTask): Promise<void> {
    const lost = await this.bulkExtendLeases(queue, [task]);
    if (lost.length > 0) throw leaseLost(queue, [task.id]);
  }

  async bulkExtendLeases(queue: string, tasks: readonly CourierTask[]): Promise<CourierTask[]> {
    this.#link.refuseIfClosed();
    const leases = new Map(tasks.map((task) => [task, this.#leases.find(task.lease)]));
    const held = tasks.filter((task) => leases.get(task)?.isHeld);
    if (held.length > 0) {
      const asked = this.#link.ask(queue, 'leases may not have been extended', async ({ queue: { backend } }) => {
        const [ids, tokens] = [held.map(({ id }) => id), held.map(({ lease }) => lease)];
        return new Set(await backend.extendLocks(ids, tokens, this.leaseMs));
      });
      await Promise.all(held.map((task) => leases.get(task)?.extend(async () => !(await asked).has(task.id))));
    }
    return tasks.filter((task) => !leases.get(task)?.isHeld);
  }

  async releaseTask(queue: string, task: CourierTask): Promise<void> {
    const lease = this.#held(queue, task);
    const isReleased = await this.#link.ask(
      queue,
      `task '${task.id}' may not have been given back`,
      ({ queue: { claims } }) => claims.giveBack(task.id, task.lease),
      task.id,
    );
    if (isReleased) this.#leases.end(lease);
    else lease.lose();
    if (!isReleased) throw leaseLost(queue, [task.id]);
  }

  #held(queue: string, { id, lease: token }: CourierTask): Lease {
    this.#link.refuseIfClosed();
    const lease = this.#leases.find(token);
    if (lease === undefined || !lease.isHeld) throw leaseLost(queue, [id]);
    return lease;
  }

  async sendToClient(queue: string, task: CourierTask, update: TaskUpdate): Promise<void> {
    const { id } = task;
    const lease = this.#held(queue, task);
    const plain = plainJson(update, 'MESSAGE_NOT_CLONEABLE', 'the update') as TaskUpdate;
    const send = () =>
      this.#link.ask(
        queue,
        `the update of task '${id}' may not have been sent`,
        async ({ queue: { backend } }) => {
          if (plain.kind === 'progress') await backend.updateProgress(id, progressValue(plain.progress));
          else await backend.publishEvent({ event: updateEvent, jobId: id, update: JSON.stringify(plain) }, maxEvents);
        },
        id,
      );
    try {
      if (update.kind === 'started') lease.sendLater(send, shortMs);
      else await lease.send(send);
    } catch (error) {
      if (isUnstorable(error)) throw notCloneable('MESSAGE_NOT_CLONEABLE', 'the progress', error);
      if (!isNotOurs(error)) throw error;
      lease.lose();
      throw leaseLost(queue, [id]);
    }
  }

  async subscribeToClient(
    queue: string,
    task: CourierTask,
    listener: (command: TaskCommand) => void,
  ): Promise<() => void> {
    this.#link.refuseIfClosed();
    const deliver = (command: TaskCommand) =>
      callSafely(listener, command, (problem) => console.error('BullMQTaskCourier: a listener failed:', problem));
    const lease = this.#leases.find(task.lease);
    if (lease === undefined) {
      queueMicrotask(() => deliver({ kind: 'lost' }));
      return () => {};
    }
    const unlisten = lease.onLost(() => deliver({ kind: 'lost' }));
    if (!lease.isHeld) return unlisten;
    const what = `commands to task '${task.id}' are not received`;
    const unsubscribe = await this.#link.ask(
      queue,
      what,
      ({ server, queue: bull }) => this.#commands.subscribe(server, bull, task.id, listener),
      task.id,
    );
    lease.onOver(unsubscribe);
    return () => {
      unlisten();
      unsubscribe();
    };
  }

  async close(): Promise<void> {
    for (const fetcher of this.#fetchers.values()) fetcher.close();
    this.#fetchers.clear();
    this.#leases.close();
    await this.#link.close();
  }
}

function jsonOf(result: unknown): unknown {
  return result === undefined || result === null ? null : toJson(result, 'RESULT_NOT_CLONEABLE', 'the result');
}

function isLeaseLost(error: unknown): boolean {
  return (error as { readonly code?: unknown } | undefined)?.code === 'LEASE_LOST';
}

/** BullMQ's numbers for: no such job, no lock, not active, the lock of another; or our own error. */
function isNotOurs(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === -1 || code === -2 || code === -3 || code === -6 || isLeaseLost(error);
}
