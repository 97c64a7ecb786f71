/**
 * One queue of a memory courier: its tasks that wait, are delayed, are leased, and have ended. All methods are synchronous,
 * and O(1) but for bulks. Each change ends in `#dispatch`, which admits tasks that wait for room and serves waiting workers.
 */
import { now } from '../../platform/clock.ts';
import { timeOfDay } from '../../platform/globals.ts';
import type { Priority } from '../../queue/priority.ts';
import type {
  AddOptions,
  CourierQueueInfo,
  CourierTask,
  QueueLimits,
  ReturnErrorOptions,
  TaskCommand,
  TaskUpdate,
  WaitOptions,
} from '../courier.ts';
import * as courierError from '../courier-error.ts';
import type { Listener } from '../listeners.ts';
import { rejectAll, Wait } from '../wait.ts';
import type { DeadLetters } from './ending/dead-letters.ts';
import { Deadlines } from './ending/deadlines.ts';
import { EndedTasks } from './ending/ended-tasks.ts';
import { ExpiryQueue } from './ending/expiry-queue.ts';
import type { MemoryQueueParts } from './memory-queue-parts.ts';
import type { MemoryTask, MemoryTaskEnd } from './memory-task.ts';
import { Additions } from './queued/additions.ts';
import { Deliveries } from './queued/deliveries.ts';
import { QueuedTasks } from './queued/queued-tasks.ts';
import { UniqueTasks } from './queued/unique-tasks.ts';
import { TaskMessages } from './task-messages.ts';
import { WaitKeepAlive } from './wait-keep-alive.ts';

export class MemoryQueue {
  readonly name: string;
  readonly #parts: MemoryQueueParts;
  /** By id; changed only here. */
  readonly tasks: Map<string, MemoryTask> = new Map();
  readonly #queued: QueuedTasks;
  readonly #leased: ExpiryQueue<MemoryTask>;
  readonly #ended: EndedTasks;
  readonly #deliveries: Deliveries;
  readonly #deadlines = new Deadlines(
    (task) => this.#pass(task),
    () => this.#dispatch(),
  );
  readonly #unique = new UniqueTasks();
  readonly #additions: Additions;
  /** For sending; subscribe by the methods of this class. */
  readonly messages: TaskMessages;
  readonly #keepAlive: WaitKeepAlive;

  constructor(name: string, parts: MemoryQueueParts) {
    this.name = name;
    this.#parts = parts;
    this.messages = new TaskMessages(name, () => this.#removeIfEmpty());
    this.#queued = new QueuedTasks(parts.maxQueued, () => this.#dispatch());
    this.#additions = new Additions({
      queue: name,
      maxQueued: parts.maxQueued,
      unique: this.#unique,
      queued: this.#queued,
      tasks: this.tasks,
      cancel: (task, error) => this.#cancel(task, error),
      added: (task) => this.#onAdded(task),
    });
    this.#deliveries = new Deliveries(this.#queued.limited, (task) => this.#lease(task));
    this.#keepAlive = new WaitKeepAlive(parts.keepAlive, () => {
      return this.#queued.timed + this.#leased.size + this.#deadlines.size;
    });
    this.#leased = new ExpiryQueue(
      parts.leaseMs,
      (task) => this.#handleLostLease(task),
      () => this.#dispatch(),
    );
    this.#ended = new EndedTasks({
      ...parts,
      tasks: this.tasks,
      onForgotten: (task) => this.#unique.forget(task),
      whenChecked: () => this.#removeIfEmpty(),
    });
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
      deadLetters: this.dead.size,
      isPaused: this.#deliveries.isPaused,
      limits: this.#queued.limited.limits,
    };
  }

  pause(isPaused: boolean): void {
    if (this.#deliveries.isPaused !== isPaused) this.messages.tellPause(isPaused);
    this.#deliveries.isPaused = isPaused;
    this.#dispatch();
  }

  /** Returns those that it had before. */
  setLimits(limits: QueueLimits): QueueLimits | undefined {
    const { limited } = this.#queued;
    const before = limited.limits;
    limited.setLimits(limits);
    this.#dispatch();
    return before;
  }

  /** Adds all, or rejects and adds none; with `wait`, each when there is room. Resolves with their ids. */
  add(tasks: readonly MemoryTask[], options: AddOptions): Promise<string[]> {
    const ids = this.#additions.add(tasks, options, () => this.#removeIfEmpty());
    this.#dispatch();
    return ids;
  }

  #onAdded(task: MemoryTask): void {
    this.messages.tell(task, { kind: 'added' });
    this.#deadlines.start(task);
  }

  take(max: number, minPriority: Priority): CourierTask[] {
    this.#deadlines.check();
    const taken = this.#deliveries.take(max, minPriority);
    if (taken.length > 0) this.#dispatch();
    return taken;
  }

  #lease(task: MemoryTask): CourierTask {
    task.lend(this.#parts.nextLease());
    this.messages.tell(task, { kind: 'started' });
    this.#leased.push(task);
    return this.#parts.deliver(task);
  }

  waitForTasks(max: number, minPriority: Priority, options: WaitOptions): Promise<CourierTask[]> {
    const parts = { onGiveUp: () => this.#removeIfEmpty(), onEnd: this.#keepAlive.add(options) };
    const tasks = this.#deliveries.wait(max, minPriority, options, parts);
    this.#dispatch();
    return tasks;
  }

  #dispatch(): void {
    this.#deadlines.check();
    do this.#additions.admit();
    while (this.#deliveries.serve());
    this.#removeIfEmpty();
  }

  /** The task, if this is its present lease. */
  findLeased(id: string, lease: string): MemoryTask | undefined {
    const task = this.tasks.get(id);
    return task?.state === 'leased' && task.lease === lease ? task : undefined;
  }

  complete(task: MemoryTask, result: unknown): void {
    this.#leave(task);
    this.#end(task, 'completed', result);
    this.#dispatch();
  }

  /** No worker holds it any more. */
  #leave(task: MemoryTask): void {
    this.#leased.remove(task);
    this.#queued.limited.onLeft(task);
  }

  /** Ends the attempt: the task is tried again later, or has failed. */
  fail(task: MemoryTask, error: unknown, options: ReturnErrorOptions): void {
    this.#leave(task);
    const pauseMs = task.pauseAfterFailure(error, options);
    if (pauseMs === undefined) {
      this.#end(task, 'failed', error);
    } else if (task.deadlineAt <= now() + pauseMs) {
      this.#end(task, 'failed', task.tooLate(this.name)); // no other attempt could begin in time
    } else {
      this.messages.tell(task, { kind: 'retried', error });
      this.#queued.delay(task, pauseMs);
      task.endDelivery();
    }
    this.#dispatch();
  }

  extend(task: MemoryTask): void {
    this.#leased.renew(task);
  }

  release(task: MemoryTask): void {
    this.#leave(task);
    task.attempts -= 1;
    this.#queued.putBack(task);
    task.endDelivery();
    this.#dispatch();
  }

  #handleLostLease(task: MemoryTask): void {
    this.#queued.limited.onLeft(task);
    task.stalls += 1;
    if (task.stalls < this.#parts.maxStalls) {
      this.#queued.putBack(task);
      task.endDelivery({ kind: 'lost' });
    } else {
      this.#end(task, 'failed', courierError.taskStalled(this.name, task.id, task.stalls), { kind: 'lost' });
    }
  }

  /** Its deadline is over. */
  #pass(task: MemoryTask): void {
    const error = task.tooLate(this.name);
    const isLeased = task.state === 'leased';
    if (isLeased) this.#leave(task);
    else this.#queued.remove(task);
    this.#end(task, 'failed', error, isLeased ? { kind: 'cancel', reason: error } : undefined);
  }

  cancel(task: MemoryTask, reason: unknown): boolean {
    if (task.hasEnded) return false;
    this.#cancel(task, courierError.taskCanceled(this.name, task.id, reason), { kind: 'cancel', reason });
    this.#dispatch();
    return true;
  }

  #cancel(task: MemoryTask, error: unknown, last?: TaskCommand): void {
    if (task.state === 'leased') this.#leave(task);
    else this.#queued.remove(task);
    this.#end(task, 'canceled', error, last);
  }

  get dead(): DeadLetters {
    return this.#ended.dead;
  }

  /** @param last Is sent to its worker. */
  #end(task: MemoryTask, state: MemoryTaskEnd, outcome: unknown, last?: TaskCommand): void {
    task.state = state;
    task.outcome = outcome;
    task.timeEnded = timeOfDay();
    task.commands.length = 0;
    this.#deadlines.end(task);
    this.messages.end(task);
    this.#ended.add(task);
    this.#unique.onEnded(task);
    this.#keepAlive.update();
    task.endDelivery(last);
    task.settleWaits();
  }

  waitForResult(task: MemoryTask, options: WaitOptions): Promise<unknown> {
    const { timeoutMs = Infinity } = options;
    const giveUp = () => wait.reject(courierError.resultTimeout(this.name, task.id, timeoutMs));
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

  /** Without ids: all. */
  redrive(ids?: readonly string[]): number {
    const tasks = this.#ended.takeDead(ids);
    for (const task of tasks) {
      task.reset();
      this.#onAdded(task);
      this.#queued.enqueue(task);
    }
    this.#dispatch();
    return tasks.length;
  }

  /** Without ids: all. */
  removeDead(ids?: readonly string[]): number {
    const tasks = this.#ended.takeDead(ids);
    for (const { id } of tasks) this.tasks.delete(id);
    this.#removeIfEmpty();
    return tasks.length;
  }

  #removeIfEmpty(): void {
    this.#keepAlive.update();
    if (this.tasks.size > 0 || this.messages.hasClients || this.#additions.areWaiting) return;
    const { isPaused, areWaitedFor } = this.#deliveries;
    if (!isPaused && !areWaitedFor && this.#queued.limited.limits === undefined) this.#parts.onEmpty();
  }

  /** Rejects all waits and cancels all timers. */
  close(error: unknown): void {
    this.#leased.clear();
    this.#ended.clear();
    this.#unique.close();
    this.#deadlines.close();
    this.#queued.limited.close();
    for (const task of this.tasks.values()) {
      task.timer?.cancel();
      if (task.isAwaited) rejectAll(task.waits, error);
      task.endDelivery();
    }
    this.#deliveries.rejectAll(error);
    this.#additions.rejectAll(error);
    this.messages.close();
    this.tasks.clear();
  }
}
