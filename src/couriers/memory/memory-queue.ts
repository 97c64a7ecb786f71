/**
 * One queue of a memory courier: what of its tasks waits, is held back, is out with workers, and has ended. Synchronous,
 * and O(1) but for bulks. All that happens ends in `#flow`, which lets tasks in that wait for room, and serves workers.
 */
import { backoffMs } from '../../dispatch/retries/backoff.ts';
import { Timer } from '../../platform/clock.ts';
import { timeOfDay } from '../../platform/globals.ts';
import type { KeepAlive } from '../../platform/keep-alive.ts';
import { Fifo } from '../../queue/fifo.ts';
import { type Priority, priorities } from '../../queue/priority.ts';
import type { CourierQueueInfo, CourierTask, DeadLetter, TaskCommand, TaskUpdate, WaitOptions } from '../courier.ts';
import * as courierError from '../courier-error.ts';
import { type Listener, Listeners, ListenersById, say } from '../listeners.ts';
import { AdderWait, rejectAll, Wait, WorkerLines, WorkerWait } from '../wait.ts';
import { DeadLetters } from './dead-letters.ts';
import { DueQueue } from './due-queue.ts';
import type { MemoryTask, MemoryTaskEnd } from './memory-task.ts';
import { WaitingTasks } from './waiting-tasks.ts';
import { WaitsHeld } from './waits-held.ts';

export interface MemoryQueueSettings {
  readonly leaseMs: number;
  readonly resultTtlMs: number;
  readonly maxQueued: number;
  readonly maxStalls: number;
  readonly maxDeadLetters: number;
}

interface MemoryQueueParts extends MemoryQueueSettings {
  /** Names a delivery. */
  readonly nextLease: () => string;
  /** The task as its worker gets it. */
  readonly deliver: (task: MemoryTask) => CourierTask;
  /** Nothing is in the queue any more, and nobody waits. */
  readonly onEmpty: () => void;
  readonly keepAlive: KeepAlive;
}

export class MemoryQueue {
  readonly name: string;
  readonly #parts: MemoryQueueParts;
  readonly #tasks = new Map<string, MemoryTask>();
  readonly #waiting = new WaitingTasks<MemoryTask>();
  #delayed = 0;
  readonly #leased: DueQueue<MemoryTask>;
  readonly #ended: DueQueue<MemoryTask>;
  readonly #dead: DeadLetters;
  readonly #workers = new WorkerLines<CourierTask>();
  readonly #adders = new Fifo<Wait<void>>();
  readonly #followers = new ListenersById<TaskUpdate>();
  readonly #waits: WaitsHeld;

  constructor(name: string, parts: MemoryQueueParts) {
    this.name = name;
    this.#parts = parts;
    this.#dead = new DeadLetters(parts.maxDeadLetters);
    this.#waits = new WaitsHeld(parts.keepAlive, () => this.#delayed + this.#leased.size);
    this.#leased = new DueQueue(
      parts.leaseMs,
      (task) => this.#lose(task),
      () => this.#flow(),
    );
    this.#ended = new DueQueue(
      parts.resultTtlMs,
      (task) => this.#expire(task),
      () => this.#leaveIfEmpty(),
    );
  }

  /**
   * Forgets results that are too old by the clock, though a busy event loop has not fired the timer. Leases have to wait for
   * theirs: while the loop was busy, nobody could extend them.
   */
  check(): void {
    this.#ended.check();
  }

  get info(): CourierQueueInfo {
    const waits = (priority: Priority) => this.#waiting.count(priority);
    return {
      waiting: { critical: waits('critical'), high: waits('high'), normal: waits('normal'), low: waits('low') },
      delayed: this.#delayed,
      leased: this.#leased.size,
      deadLetters: this.#dead.size,
    };
  }

  get #room(): number {
    return this.#parts.maxQueued - this.#waiting.size - this.#delayed;
  }

  /** Those who wait for room have it first. */
  hasRoomFor(tasks: number): boolean {
    return this.#room >= tasks && this.#adders.size === 0;
  }

  /** All, or none. */
  add(tasks: readonly MemoryTask[]): void {
    for (const { id } of tasks) if (this.#tasks.has(id)) throw courierError.duplicateId(this.name, id);
    if (tasks.length > this.#room) {
      this.#leaveIfEmpty();
      throw courierError.queueFull(this.name, this.#parts.maxQueued);
    }
    for (const task of tasks) this.#enter(task);
    this.#flow();
  }

  /** When there is room; those who have waited longer come first. */
  addWhenRoom(task: MemoryTask, options: WaitOptions): Promise<void> {
    if (this.#tasks.has(task.id)) throw courierError.duplicateId(this.name, task.id);
    const { promise } = new AdderWait(this.#adders, task, options, () => this.#leaveIfEmpty());
    this.#flow();
    return promise;
  }

  #enter(task: MemoryTask): void {
    this.#tasks.set(task.id, task);
    if (task.delayMs > 0) this.#delay(task, task.delayMs);
    else this.#enqueue(task);
  }

  #enqueue(task: MemoryTask): void {
    task.state = 'waiting';
    this.#waiting.push(task);
  }

  #delay(task: MemoryTask, delayMs: number): void {
    task.state = 'delayed';
    this.#delayed += 1;
    task.timer = new Timer(delayMs, () => {
      this.#undelay(task);
      this.#enqueue(task);
      this.#flow();
    });
  }

  #undelay(task: MemoryTask): void {
    task.timer?.cancel();
    task.timer = undefined;
    this.#delayed -= 1;
  }

  #putBack(task: MemoryTask): void {
    task.state = 'waiting';
    this.#waiting.putBack(task);
  }

  take(max: number, minPriority: Priority): CourierTask[] {
    const taken = this.#take(max, minPriority);
    if (taken.length > 0) this.#flow();
    return taken;
  }

  #take(max: number, minPriority: Priority): CourierTask[] {
    const taken: CourierTask[] = [];
    while (taken.length < max) {
      const task = this.#waiting.shift(minPriority);
      if (task === undefined) break;
      task.state = 'leased';
      task.attempts += 1;
      task.lease = this.#parts.nextLease();
      this.#leased.push(task);
      taken.push(this.#parts.deliver(task));
    }
    return taken;
  }

  waitForTasks(max: number, minPriority: Priority, options: WaitOptions): Promise<CourierTask[]> {
    const parts = { giveUp: () => this.#leaveIfEmpty(), ended: this.#waits.begin(options) };
    const { promise } = new WorkerWait(this.#workers, max, minPriority, options, parts);
    this.#flow();
    return promise;
  }

  #flow(): void {
    do this.#admit();
    while (this.#serve());
    this.#leaveIfEmpty();
  }

  #admit(): void {
    for (let adder = this.#adders.first; adder !== undefined && this.#room > 0; adder = this.#adders.first) {
      const { task } = adder as AdderWait<MemoryTask>;
      if (this.#tasks.has(task.id)) {
        adder.reject(courierError.duplicateId(this.name, task.id));
      } else {
        this.#enter(task);
        adder.resolve();
      }
    }
  }

  /** False: nobody got anything. */
  #serve(): boolean {
    let served = false;
    for (const priority of priorities) {
      while (this.#waiting.count(priority) > 0) {
        const worker = this.#workers.first(priority);
        if (worker === undefined) break;
        worker.resolve(this.#take(worker.max, worker.minPriority));
        served = true;
      }
    }
    return served;
  }

  /** The task whose lease this is, unless it is lost. */
  findLeased(id: string, lease: string): MemoryTask | undefined {
    const task = this.#tasks.get(id);
    return task?.state === 'leased' && task.lease === lease ? task : undefined;
  }

  find(id: string): MemoryTask | undefined {
    return this.#tasks.get(id);
  }

  complete(task: MemoryTask, result: unknown): void {
    this.#leased.remove(task);
    this.#end(task, 'completed', result);
  }

  /** Ends the attempt. */
  fail(task: MemoryTask, error: unknown, isFinal: boolean): void {
    this.#leased.remove(task);
    if (isFinal || task.failures >= (task.retries ?? 0)) {
      this.#end(task, 'failed', error);
      return;
    }
    task.failures += 1;
    this.#delay(task, backoffMs(task.retryDelayMs, task.failures));
    this.#waits.balance();
    task.letGo();
  }

  extend(task: MemoryTask): void {
    this.#leased.renew(task);
  }

  release(task: MemoryTask): void {
    this.#leased.remove(task);
    task.attempts -= 1;
    this.#putBack(task);
    task.letGo();
    this.#flow();
  }

  /** Its lease ran out. */
  #lose(task: MemoryTask): void {
    task.stalls += 1;
    if (task.stalls < this.#parts.maxStalls) {
      this.#putBack(task);
      task.letGo({ kind: 'lost' });
    } else {
      this.#end(task, 'failed', courierError.taskStalled(this.name, task.id, task.stalls), { kind: 'lost' });
    }
  }

  cancel(task: MemoryTask, reason: unknown): boolean {
    if (task.hasEnded) return false;
    if (task.state === 'leased') {
      this.#leased.remove(task);
    } else if (task.state === 'delayed') {
      this.#undelay(task);
    } else {
      this.#waiting.remove(task);
    }
    this.#end(task, 'canceled', courierError.taskCanceled(this.name, task.id, reason), { kind: 'cancel', reason });
    this.#flow();
    return true;
  }

  /** @param last What its worker hears. */
  #end(task: MemoryTask, state: MemoryTaskEnd, outcome: unknown, last?: TaskCommand): void {
    task.state = state;
    task.outcome = outcome;
    task.isKept = true;
    task.orders.length = 0;
    if (state === 'failed') {
      task.timeFailed = timeOfDay();
      const gone = this.#dead.add(task);
      if (gone?.isKept === false) this.#tasks.delete(gone.id);
    } else {
      task.data = undefined;
    }
    this.#followers.end(task.id);
    this.#ended.push(task);
    this.#waits.balance();
    task.letGo(last);
    while (task.isAwaited) {
      const wait = task.waits.first as Wait<unknown>;
      if (state === 'completed') wait.resolve(outcome);
      else wait.reject(outcome);
    }
  }

  /** Its outcome was kept long enough; a dead letter stays. */
  #expire(task: MemoryTask): void {
    task.isKept = false;
    if (!this.#dead.has(task)) this.#tasks.delete(task.id);
  }

  waitForResult(task: MemoryTask, options: WaitOptions): Promise<unknown> {
    const { id } = task;
    const { timeoutMs = Infinity } = options;
    const giveUp = () => wait.reject(courierError.resultTimeout(this.name, id, timeoutMs));
    const wait: Wait<unknown> = new Wait(task.waits, options, giveUp, this.#waits.begin(options));
    return wait.promise;
  }

  sendToTask(task: MemoryTask, order: TaskCommand): void {
    if (task.hasEnded) return;
    task.orders.push(order);
    task.heeders?.say(order);
  }

  /** From the first order on; without the lease, how it was lost. */
  heed(id: string, lease: string, listener: Listener<TaskCommand>): () => void {
    const task = this.#tasks.get(id);
    if (task?.state === 'leased' && task.lease === lease) {
      task.heeders ??= new Listeners();
      const { heeders } = task;
      heeders.add(listener);
      for (const order of task.orders) say(listener, order);
      return () => heeders.delete(listener);
    }
    const isCanceled = task?.state === 'canceled' && task.lease === lease;
    say(listener, isCanceled ? { kind: 'cancel', reason: (task.outcome as Error).cause } : { kind: 'lost' });
    listener.end?.();
    this.#leaveIfEmpty();
    return () => {};
  }

  sendToClient({ id }: MemoryTask, news: TaskUpdate): void {
    this.#followers.say(id, news);
  }

  follow(id: string, listener: Listener<TaskUpdate>): () => void {
    if (this.#tasks.get(id)?.hasEnded) {
      listener.end?.();
      return () => {};
    }
    return this.#followers.add(id, listener, () => this.#leaveIfEmpty());
  }

  deadLetters(offset: number, max: number): DeadLetter[] {
    return this.#dead.list(offset, max);
  }

  /** Without ids, all. */
  redrive(ids?: readonly string[]): number {
    const tasks = this.#takeDead(ids);
    for (const task of tasks) {
      task.reset();
      this.#enqueue(task);
    }
    this.#flow();
    return tasks.length;
  }

  /** Without ids, all. */
  removeDead(ids?: readonly string[]): number {
    const tasks = this.#takeDead(ids);
    for (const { id } of tasks) this.#tasks.delete(id);
    this.#leaveIfEmpty();
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

  /** What has changed has consequences for those outside, too. */
  #leaveIfEmpty(): void {
    this.#waits.balance();
    const isEmpty = this.#tasks.size === 0 && this.#followers.size === 0 && this.#adders.size === 0;
    if (isEmpty && this.#workers.isEmpty) this.#parts.onEmpty();
  }

  /** Ends all waits, and leaves no timer. */
  close(error: unknown): void {
    this.#leased.clear();
    this.#ended.clear();
    for (const task of this.#tasks.values()) {
      task.timer?.cancel();
      if (task.isAwaited) rejectAll(task.waits, error);
      task.letGo();
    }
    this.#workers.rejectAll(error);
    rejectAll(this.#adders, error);
    this.#followers.endAll();
    this.#tasks.clear();
  }
}
