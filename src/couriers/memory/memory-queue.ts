/**
 * One queue of a memory courier: its tasks that wait, are delayed, are leased, and have ended. All methods are synchronous,
 * and O(1) but for bulks. Each change ends in `#dispatch`, which admits tasks that wait for room and serves waiting workers.
 */
import { timeOfDay } from '../../platform/globals.ts';
import { Fifo } from '../../queue/order/fifo.ts';
import { type Priority, priorities } from '../../queue/priority.ts';
import type {
  CourierQueueInfo,
  CourierTask,
  DeadLetter,
  ReturnErrorOptions,
  TaskCommand,
  TaskUpdate,
  WaitOptions,
} from '../courier.ts';
import * as courierError from '../courier-error.ts';
import type { Listener } from '../listeners.ts';
import { AddWait, rejectAll, Wait, WorkerWait, WorkerWaits } from '../wait.ts';
import { DeadLetters } from './dead-letters.ts';
import { ExpiryQueue } from './expiry-queue.ts';
import type { MemoryQueueParts } from './memory-queue-parts.ts';
import type { MemoryTask, MemoryTaskEnd } from './memory-task.ts';
import { QueuedTasks } from './queued-tasks.ts';
import { TaskMessages } from './task-messages.ts';
import { WaitKeepAlive } from './wait-keep-alive.ts';

export class MemoryQueue {
  readonly name: string;
  readonly #parts: MemoryQueueParts;
  /** By id; changed only here. */
  readonly tasks: Map<string, MemoryTask> = new Map();
  readonly #queued: QueuedTasks;
  readonly #leased: ExpiryQueue<MemoryTask>;
  readonly #ended: ExpiryQueue<MemoryTask>;
  readonly #dead: DeadLetters;
  readonly #workerWaits = new WorkerWaits<CourierTask>();
  readonly #addWaits = new Fifo<Wait<void>>();
  /** For sending; subscribe by the methods of this class. */
  readonly messages: TaskMessages = new TaskMessages(() => this.#removeIfEmpty());
  readonly #keepAlive: WaitKeepAlive;

  constructor(name: string, parts: MemoryQueueParts) {
    this.name = name;
    this.#parts = parts;
    this.#queued = new QueuedTasks(parts.maxQueued, () => this.#dispatch());
    this.#dead = new DeadLetters(parts.maxDeadLetters);
    this.#keepAlive = new WaitKeepAlive(parts.keepAlive, () => this.#queued.delayed + this.#leased.size);
    this.#leased = new ExpiryQueue(
      parts.leaseMs,
      (task) => this.#handleLostLease(task),
      () => this.#dispatch(),
    );
    this.#ended = new ExpiryQueue(
      parts.resultTtlMs,
      (task) => this.#expire(task),
      () => this.#removeIfEmpty(),
    );
  }

  /**
   * Forgets results that are too old by the clock, even if a busy event loop has not fired the timer yet. Leases end only
   * by their timer: while the event loop was busy, no worker could extend them.
   */
  check(): void {
    this.#ended.check();
  }

  get info(): CourierQueueInfo {
    return {
      waiting: this.#queued.waiting,
      delayed: this.#queued.delayed,
      leased: this.#leased.size,
      deadLetters: this.#dead.size,
    };
  }

  /** False also while earlier tasks wait for room. */
  hasRoomFor(tasks: number): boolean {
    return this.#queued.room >= tasks && this.#addWaits.size === 0;
  }

  /** Adds all, or throws and adds none. */
  add(tasks: readonly MemoryTask[]): void {
    for (const { id } of tasks) if (this.tasks.has(id)) throw courierError.duplicateId(this.name, id);
    if (tasks.length > this.#queued.room) {
      this.#removeIfEmpty();
      throw courierError.queueFull(this.name, this.#parts.maxQueued);
    }
    for (const task of tasks) this.#insert(task);
    this.#dispatch();
  }

  /** Adds the task when there is room, in the order of these calls. */
  addWhenRoom(task: MemoryTask, options: WaitOptions): Promise<void> {
    if (this.tasks.has(task.id)) throw courierError.duplicateId(this.name, task.id);
    const { promise } = new AddWait(this.#addWaits, task, options, () => this.#removeIfEmpty());
    this.#dispatch();
    return promise;
  }

  #insert(task: MemoryTask): void {
    this.tasks.set(task.id, task);
    this.#queued.add(task);
  }

  take(max: number, minPriority: Priority): CourierTask[] {
    const taken = this.#take(max, minPriority);
    if (taken.length > 0) this.#dispatch();
    return taken;
  }

  #take(max: number, minPriority: Priority): CourierTask[] {
    const taken: CourierTask[] = [];
    while (taken.length < max) {
      const task = this.#queued.shift(minPriority);
      if (task === undefined) break;
      task.lend(this.#parts.nextLease());
      this.#leased.push(task);
      taken.push(this.#parts.deliver(task));
    }
    return taken;
  }

  waitForTasks(max: number, minPriority: Priority, options: WaitOptions): Promise<CourierTask[]> {
    const parts = { onGiveUp: () => this.#removeIfEmpty(), onEnd: this.#keepAlive.add(options) };
    const { promise } = new WorkerWait(this.#workerWaits, max, minPriority, options, parts);
    this.#dispatch();
    return promise;
  }

  #dispatch(): void {
    do this.#admit();
    while (this.#serveWorkers());
    this.#removeIfEmpty();
  }

  #admit(): void {
    for (let wait = this.#addWaits.first; wait !== undefined && this.#queued.room > 0; wait = this.#addWaits.first) {
      const { task } = wait as AddWait<MemoryTask>;
      if (this.tasks.has(task.id)) {
        wait.reject(courierError.duplicateId(this.name, task.id));
      } else {
        this.#insert(task);
        wait.resolve();
      }
    }
  }

  /** Returns whether a worker got tasks. */
  #serveWorkers(): boolean {
    let served = false;
    for (const priority of priorities) {
      while (this.#queued.count(priority) > 0) {
        const worker = this.#workerWaits.first(priority);
        if (worker === undefined) break;
        worker.resolve(this.#take(worker.max, worker.minPriority));
        served = true;
      }
    }
    return served;
  }

  /** The task, if this is its present lease. */
  findLeased(id: string, lease: string): MemoryTask | undefined {
    const task = this.tasks.get(id);
    return task?.state === 'leased' && task.lease === lease ? task : undefined;
  }

  complete(task: MemoryTask, result: unknown): void {
    this.#leased.remove(task);
    this.#end(task, 'completed', result);
  }

  /** Ends the attempt: the task is tried again later, or has failed. */
  fail(task: MemoryTask, error: unknown, options: ReturnErrorOptions): void {
    this.#leased.remove(task);
    const pauseMs = task.pauseAfterFailure(options);
    if (pauseMs === undefined) {
      this.#end(task, 'failed', error);
      return;
    }
    this.#queued.delay(task, pauseMs);
    this.#keepAlive.update();
    task.endDelivery();
  }

  extend(task: MemoryTask): void {
    this.#leased.renew(task);
  }

  release(task: MemoryTask): void {
    this.#leased.remove(task);
    task.attempts -= 1;
    this.#queued.putBack(task);
    task.endDelivery();
    this.#dispatch();
  }

  #handleLostLease(task: MemoryTask): void {
    task.stalls += 1;
    if (task.stalls < this.#parts.maxStalls) {
      this.#queued.putBack(task);
      task.endDelivery({ kind: 'lost' });
    } else {
      this.#end(task, 'failed', courierError.taskStalled(this.name, task.id, task.stalls), { kind: 'lost' });
    }
  }

  cancel(task: MemoryTask, reason: unknown): boolean {
    if (task.hasEnded) return false;
    if (task.state === 'leased') this.#leased.remove(task);
    else this.#queued.remove(task);
    this.#end(task, 'canceled', courierError.taskCanceled(this.name, task.id, reason), { kind: 'cancel', reason });
    this.#dispatch();
    return true;
  }

  /** @param last Is sent to its worker. */
  #end(task: MemoryTask, state: MemoryTaskEnd, outcome: unknown, last?: TaskCommand): void {
    task.state = state;
    task.outcome = outcome;
    task.isKept = true;
    task.timeEnded = timeOfDay();
    task.commands.length = 0;
    if (state === 'failed') {
      const dropped = this.#dead.add(task);
      if (dropped?.isKept === false) this.tasks.delete(dropped.id);
    } else {
      task.data = undefined;
    }
    this.messages.end(task);
    this.#ended.push(task);
    this.#keepAlive.update();
    task.endDelivery(last);
    task.settleWaits();
  }

  /** Forgets the outcome; a dead letter stays. */
  #expire(task: MemoryTask): void {
    task.isKept = false;
    if (!this.#dead.has(task)) this.tasks.delete(task.id);
  }

  waitForResult(task: MemoryTask, options: WaitOptions): Promise<unknown> {
    const { id } = task;
    const { timeoutMs = Infinity } = options;
    const giveUp = () => wait.reject(courierError.resultTimeout(this.name, id, timeoutMs));
    const wait: Wait<unknown> = new Wait(task.waits, options, giveUp, this.#keepAlive.add(options));
    return wait.promise;
  }

  subscribeToClient(id: string, lease: string, listener: Listener<TaskCommand>): () => void {
    const unsubscribe = this.messages.subscribeToClient(this.tasks.get(id), lease, listener);
    this.#removeIfEmpty();
    return unsubscribe;
  }

  subscribeToTask(id: string, listener: Listener<TaskUpdate>): () => void {
    if (!this.tasks.get(id)?.hasEnded) return this.messages.subscribeToTask(id, listener);
    listener.end?.();
    return () => {};
  }

  deadLetters(offset: number, max: number): DeadLetter[] {
    return this.#dead.list(offset, max);
  }

  /** Without ids: all. */
  redrive(ids?: readonly string[]): number {
    const tasks = this.#takeDead(ids);
    for (const task of tasks) {
      task.reset();
      this.#queued.enqueue(task);
    }
    this.#dispatch();
    return tasks.length;
  }

  /** Without ids: all. */
  removeDead(ids?: readonly string[]): number {
    const tasks = this.#takeDead(ids);
    for (const { id } of tasks) this.tasks.delete(id);
    this.#removeIfEmpty();
    return tasks.length;
  }

  #takeDead(ids: readonly string[] | undefined): MemoryTask[] {
    const tasks = this.#dead.take(ids);
    for (const task of tasks) {
      if (task.isKept) this.#ended.remove(task);
      task.isKept = false;
    }
    return tasks;
  }

  #removeIfEmpty(): void {
    this.#keepAlive.update();
    const isEmpty = this.tasks.size === 0 && !this.messages.hasClients && this.#addWaits.size === 0;
    if (isEmpty && this.#workerWaits.isEmpty) this.#parts.onEmpty();
  }

  /** Rejects all waits and cancels all timers. */
  close(error: unknown): void {
    this.#leased.clear();
    this.#ended.clear();
    for (const task of this.tasks.values()) {
      task.timer?.cancel();
      if (task.isAwaited) rejectAll(task.waits, error);
      task.endDelivery();
    }
    this.#workerWaits.rejectAll(error);
    rejectAll(this.#addWaits, error);
    this.messages.close();
    this.tasks.clear();
  }
}
