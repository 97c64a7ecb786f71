/** The worker side of the courier: fetches tasks, each with a lease, and returns their results while the lease lasts. */
import type { Job } from 'bullmq';
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
} from '../../../index.ts';
import { plainJson } from '../../plain-copy.ts';
import { isUnreachable } from '../client/additions.ts';
import { updateEvent } from '../client/result-waits.ts';
import type { TaskCommands } from '../client/task-commands.ts';
import type { DeadlineWatch } from '../deadlines/deadline-watch.ts';
import { limitsOf, progressValue, taskOf } from '../job/job-format.ts';
import { isUnstorable, notCloneable, resultJson } from '../job/json.ts';
import type { Asked, Link } from '../server/link.ts';
import { OutageListeners } from '../server/outage-listeners.ts';
import { pauseAfter } from '../server/pause.ts';
import { maxEvents } from '../server/server.ts';
import type { Fetched } from './bull-queue.ts';
import { failAttempt } from './failed-attempt.ts';
import { Fetchers } from './fetchers.ts';
import { isLeaseLost, isNotOurs, type Lease, Leases, nextLease, tokenOf } from './leases.ts';

const { callSafely, leaseLost } = courierKit;

export class WorkerSide implements WorkerTaskCourier {
  readonly leaseMs: number;
  readonly #link: Link;
  readonly #commands: TaskCommands;
  readonly #leases: Leases;
  readonly #watch: DeadlineWatch;
  readonly #outages = new OutageListeners();
  readonly #fetchers: Fetchers;

  constructor(link: Link, commands: TaskCommands, stalledIntervalMs: number, watch: DeadlineWatch) {
    this.leaseMs = link.limits.leaseMs;
    this.#link = link;
    this.#commands = commands;
    this.#fetchers = new Fetchers(stalledIntervalMs, this.#outages, watch);
    this.#watch = watch;
    this.#leases = new Leases(this.leaseMs);
  }

  get timeAnswered(): number | undefined {
    return this.#fetchers.timeAnswered;
  }

  readonly onOutage = (listener: (error: unknown) => void): (() => void) => this.#outages.subscribe(listener);

  async getTask(queue: string, options: FetchOptions): Promise<CourierTask | undefined> {
    const [task] = await this.bulkGetTasks(queue, 1, options);
    return task;
  }

  async bulkGetTasks(queue: string, max: number, { minPriority = 'low' }: FetchOptions): Promise<CourierTask[]> {
    const found = await this.#link.ask(queue, 'no task was fetched', async (asked) => {
      return this.#fetchers.of(asked).fetch(max, minPriority);
    });
    return found.map((each) => this.#lease(each, each.token));
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
        const fetcher =
          this.#fetchers.find(queue) ??
          (await this.#link.ask(queue, 'no task was fetched', async (asked) => this.#fetchers.of(asked)));
        const found = await fetcher.wait(max, minPriority, { ...options, timeoutMs });
        return found.map((each) => this.#lease(each, each.token));
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        this.#outages.report(error);
        const { signal } = options;
        await pauseAfter(failures, this.#link.endOr(signal));
      }
    }
  }

  #lease({ queue, job, leftMs, kept }: Fetched, lease: string): CourierTask {
    this.#leases.take(queue, job, lease).hasWork = kept !== undefined;
    if (leftMs !== undefined) this.#watch.lookIn(queue.name, leftMs);
    return { ...taskOf(job, queue.name, lease, leftMs), kept };
  }

  async returnTaskResult(queue: string, task: CourierTask, result: unknown): Promise<void> {
    this.#link.refuseIfClosed();
    await this.#returnJson(queue, task, resultJson(result), false);
  }

  /** Resolves with the next job, if that is to be fetched. */
  #returnJson(queue: string, task: CourierTask, value: unknown, fetchesNext: boolean): Promise<Fetched | undefined> {
    return this.#settle(queue, task, (asked, job, token) => asked.complete(job, value, token, fetchesNext));
  }

  async returnTaskError(queue: string, task: CourierTask, error: unknown, options: ReturnErrorOptions): Promise<void> {
    this.#link.refuseIfClosed();
    await this.#settle(queue, task, (asked, job, token) => failAttempt(asked, job, token, error, options));
  }

  async bulkReturnTaskResults(
    queue: string,
    results: readonly (readonly [CourierTask, unknown])[],
    { next = 0 }: ReturnOptions,
  ): Promise<CourierTask[]> {
    this.#link.refuseIfClosed();
    const values = results.map(([task, result]) => [task, resultJson(result)] as const);
    const onDrained = next > 0 ? this.#fetchers.find(queue)?.beforeFetch() : undefined;
    const tasks: CourierTask[] = []; // in the order in which the server has answered
    const settled = await Promise.allSettled(
      values.map(async ([task, value], n) => {
        const fetched = await this.#returnJson(queue, task, value, n < next);
        if (fetched === undefined) return;
        tasks.push(this.#lease(fetched, nextLease(fetched.token, task.lease)));
      }),
    );
    const problems = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    if (problems.length > 0) await Promise.allSettled(tasks.map((task) => this.releaseTask(queue, task)));
    const other = problems.find((problem) => !isLeaseLost(problem));
    if (other !== undefined) throw other;
    const lost = results.filter((_, n) => settled[n]?.status === 'rejected').map(([{ id }]) => id);
    if (lost.length > 0) throw leaseLost(queue, lost);
    const left = next - tasks.length;
    // What fails from here on is tried again by the next fetch.
    if (left > 0 && (tasks.length === results.length || this.#fetchers.find(queue)?.isLimited))
      tasks.push(...(await this.bulkGetTasks(queue, left, {}).catch(() => [])));
    if (tasks.length < next) onDrained?.();
    if (tasks.length < 2) return tasks;
    const inOrder = ({ queue: bull }: Asked) => bull.inOrder(tasks, ({ id }) => id);
    return this.#link.ask(queue, 'their order is not known', inOrder).then(
      (all) => [...all],
      () => tasks,
    );
  }

  /** Ends the job while its lease lasts; retries for as long while the server can't be reached. */
  async #settle<R>(
    queue: string,
    { id, lease: leaseId }: CourierTask,
    end: (queue: Asked['queue'], job: Job, token: string) => Promise<R>,
  ): Promise<R> {
    const lease = this.#leases.find(leaseId);
    if (this.#leases.isReplaced(leaseId)) throw leaseLost(queue, [id]);
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
              const ended = await end(asked.queue, job, tokenOf(leaseId));
              if (asked.queue.isLimited) await asked.queue.leave(job);
              if (lease?.hasWork) await asked.queue.work.drop(id).catch(() => {}); // it goes with the job
              return ended;
            },
            id,
          );
        const answer = await (lease === undefined ? ask() : lease.sendLast(ask));
        if (lease !== undefined) this.#leases.end(lease);
        return answer;
      } catch (error) {
        if (isNotOurs(error)) {
          lease?.lose();
          throw leaseLost(queue, [id]);
        }
        if (lease === undefined || !isUnreachable(error)) throw error;
        this.#outages.report(error);
        await pauseAfter(failures, this.#link.signal);
      }
    }
  }

  setLimits(queue: string, limits: QueueLimits): Promise<QueueLimits | undefined> {
    const set = ({ queue: { claims } }: Asked) => claims.setLimits(JSON.stringify(limits)).then(limitsOf);
    return this.#link.ask(queue, 'its limits may not have been set', set);
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
        const [ids, tokens] = [held.map(({ id }) => id), held.map(({ lease }) => tokenOf(lease))];
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
      ({ queue: asked }) => asked.giveBack(lease.job, tokenOf(task.lease)),
      task.id,
    );
    if (isReleased) this.#leases.end(lease);
    else lease.lose();
    if (!isReleased) throw leaseLost(queue, [task.id]);
  }

  #held(queue: string, { id, lease: leaseId }: CourierTask): Lease {
    this.#link.refuseIfClosed();
    const lease = this.#leases.find(leaseId);
    if (lease === undefined || !lease.isHeld) throw leaseLost(queue, [id]);
    return lease;
  }

  async keepWork(queue: string, task: CourierTask, name: string, work: Uint8Array): Promise<void> {
    const { id } = task;
    const lease = this.#held(queue, task);
    const what = `the work '${name}' of task '${id}' may not have been kept`;
    lease.hasWork = true;
    const keep = (asked: Asked) => asked.queue.work.keep(id, tokenOf(task.lease), name, work);
    if (await lease.send(() => this.#link.ask(queue, what, keep, id))) return;
    lease.lose();
    throw leaseLost(queue, [id]);
  }

  async sendToClient(queue: string, task: CourierTask, update: TaskUpdate): Promise<void> {
    const { id } = task;
    const lease = this.#held(queue, task);
    const isStart = update.kind === 'started';
    const plain = isStart ? update : (plainJson(update, 'MESSAGE_NOT_CLONEABLE', 'the update') as TaskUpdate);
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
      if (isStart) lease.sendLater(send);
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
    if (!this.#commands.isListening) {
      const what = `commands to task '${task.id}' are not received`;
      await this.#link.ask(queue, what, ({ server }) => this.#commands.listen(server), task.id);
    }
    const unsubscribe = this.#commands.subscribe(lease.queue, task.id, listener);
    lease.onOver(unsubscribe);
    return () => {
      unlisten();
      unsubscribe();
    };
  }

  async close(): Promise<void> {
    this.#fetchers.close();
    this.#leases.close();
    await this.#link.close();
  }
}
