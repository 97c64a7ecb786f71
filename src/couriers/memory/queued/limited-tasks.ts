/**
 * The tasks of a memory queue that wait for a worker, under the limits of the queue. A task that its key holds back blocks no
 * others: it is put aside, and has its place again as soon as its key is open. Each step is O(log n) at most, whatever the
 * number of keys, and of a key that nobody uses nothing is kept.
 */
import { now, Timer } from '../../../platform/clock.ts';
import { Rate } from '../../../queue/keys/rate.ts';
import { Heap } from '../../../queue/order/heap.ts';
import { type Priority, priorities } from '../../../queue/priority.ts';
import type { QueueLimits } from '../../courier.ts';
import type { MemoryTask } from '../memory-task.ts';
import { WaitingTasks } from '../waiting-tasks.ts';
import { KeySlots } from './key-slots.ts';

export class LimitedTasks {
  readonly #onOpen: () => void;
  readonly #waiting = new WaitingTasks<MemoryTask>();
  #limits: QueueLimits | undefined;
  #maxPerKey = Infinity;
  #rate: Rate | undefined;
  #ratePerKey: Rate | undefined;
  #arrival = -Infinity;
  /** When the rate of the queue opens, if that is waited for. */
  #opensAt = Infinity;
  readonly #keys = new Map<string, KeySlots>();
  /** The key that holds a task back. */
  readonly #holders = new Map<MemoryTask, KeySlots>();
  /** The key of a task that a worker holds. */
  readonly #running = new Map<MemoryTask, KeySlots>();
  readonly #held: Record<Priority, number> = { critical: 0, high: 0, normal: 0, low: 0 };
  /** Keys that hold tasks back, and may be open. */
  readonly #ready = new Heap<KeySlots>((a, b) => comesBefore(a.first, b.first));
  readonly #alarms = new Heap<KeySlots>((a, b) => a.alarmAt < b.alarmAt);
  #timer: Timer | undefined;
  #timerAt = Infinity;

  /** @param onOpen Is called when a rate may let the next task start. */
  constructor(onOpen: () => void) {
    this.#onOpen = onOpen;
  }

  get limits(): QueueLimits | undefined {
    return this.#limits;
  }

  /** How many tasks wait, those that are held back included. */
  get size(): number {
    return this.#waiting.size + this.#holders.size;
  }

  count(priority: Priority): number {
    return this.#waiting.count(priority) + this.#held[priority];
  }

  /** Whether a timer will let a task start. */
  get isTimed(): boolean {
    return this.#timer !== undefined && this.size > 0;
  }

  /** Hold from now on. Without any, nothing is held back any more. */
  setLimits(limits: QueueLimits): void {
    const { maxPerKey = Infinity, rate } = limits;
    const made = rate && new Rate(rate);
    this.#limits = maxPerKey < Infinity || rate !== undefined ? limits : undefined;
    this.#maxPerKey = maxPerKey;
    this.#rate = rate?.perKey ? undefined : made;
    this.#ratePerKey = rate?.perKey ? made : undefined;
    this.#opensAt = Infinity;
    for (const slots of [...this.#keys.values()]) this.#open(slots);
  }

  push(task: MemoryTask): void {
    this.#waiting.push(task);
  }

  /** Puts a task that a worker had back to where it was. */
  putBack(task: MemoryTask): void {
    this.#waiting.putBack(task);
  }

  /** Removes a task that waits. */
  remove(task: MemoryTask): void {
    const slots = this.#holders.get(task);
    if (slots === undefined) {
      this.#waiting.remove(task);
      return;
    }
    const isReady = this.#ready.delete(slots);
    slots.held.remove(task);
    this.#holders.delete(task);
    this.#held[task.priority] -= 1;
    if (isReady && slots.held.size > 0) this.#ready.add(slots);
    this.#forgetUnused(slots);
  }

  /** The next task of this priority or above that a worker may get now. */
  next(minPriority: Priority): MemoryTask | undefined {
    if (this.size === 0 || !this.#isOpen()) return undefined;
    for (;;) {
      const waiting = this.#waiting.first(minPriority);
      const slots = this.#ready.first;
      const held = slots && rank(slots.first.priority) <= rank(minPriority) ? slots.first : undefined;
      if (slots !== undefined && held !== undefined && (waiting === undefined || comesBefore(held, waiting))) {
        if (this.#isOpenFor(slots)) return held;
        this.#ready.delete(slots);
      } else {
        const own = waiting?.key === undefined ? undefined : this.#keys.get(waiting.key);
        if (waiting === undefined || own === undefined || !this.#mustWait(waiting, own)) return waiting;
        this.#hold(waiting, own);
      }
    }
  }

  /** Whether the rate of the queue lets a task start; else it rings when it does. */
  #isOpen(): boolean {
    if (this.#rate === undefined) return true;
    const at = this.#rate.opensAt(this.#arrival);
    if (at <= now()) return true;
    this.#opensAt = at;
    this.#arm();
    return false;
  }

  #isOpenFor(slots: KeySlots): boolean {
    if (slots.running >= this.#maxPerKey) return false;
    if (this.#ratePerKey === undefined) return true;
    const at = this.#ratePerKey.opensAt(slots.arrival);
    if (at <= now()) return true;
    this.#setAlarm(slots, at);
    return false;
  }

  #mustWait(task: MemoryTask, slots: KeySlots): boolean {
    return (slots.held.size > 0 && comesBefore(slots.first, task)) || !this.#isOpenFor(slots);
  }

  #hold(task: MemoryTask, slots: KeySlots): void {
    this.#waiting.remove(task);
    const isReady = this.#ready.delete(slots);
    slots.held.putBack(task);
    this.#holders.set(task, slots);
    this.#held[task.priority] += 1;
    if (isReady) this.#ready.add(slots);
  }

  /** Removes and returns the next one: a worker gets it. */
  shift(minPriority: Priority): MemoryTask | undefined {
    const task = this.next(minPriority);
    if (task === undefined) return undefined;
    if (this.#limits !== undefined) this.#start(task);
    this.remove(task);
    return task;
  }

  #start(task: MemoryTask): void {
    if (this.#rate !== undefined) this.#arrival = this.#rate.afterStart(this.#arrival, now());
    if (task.key === undefined || (this.#maxPerKey === Infinity && this.#ratePerKey === undefined)) return;
    const slots = this.#keys.get(task.key) ?? new KeySlots(task.key);
    this.#keys.set(task.key, slots);
    this.#running.set(task, slots);
    slots.running += 1;
    if (this.#ratePerKey !== undefined) slots.arrival = this.#ratePerKey.afterStart(slots.arrival, now());
  }

  /** No worker holds the task any more. */
  onLeft(task: MemoryTask): void {
    const slots = this.#running.get(task);
    if (slots === undefined) return;
    this.#running.delete(task);
    slots.running -= 1;
    this.#open(slots);
  }

  #open(slots: KeySlots): void {
    if (slots.held.size === 0) this.#forgetUnused(slots);
    else if (!this.#ready.has(slots)) this.#ready.add(slots);
  }

  #forgetUnused(slots: KeySlots): void {
    if (slots.running > 0 || slots.held.size > 0) return;
    if (slots.arrival > now()) {
      this.#setAlarm(slots, slots.arrival);
      return;
    }
    this.#alarms.delete(slots);
    this.#keys.delete(slots.key);
  }

  #setAlarm(slots: KeySlots, at: number): void {
    this.#alarms.delete(slots);
    slots.alarmAt = at;
    this.#alarms.add(slots);
    this.#arm();
  }

  /** One timer for all. */
  #arm(): void {
    const at = Math.min(this.#opensAt, this.#alarms.first?.alarmAt ?? Infinity);
    if (at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = new Timer(Math.ceil(Math.max(at - now(), 0)), () => this.#ring());
  }

  #ring(): void {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    if (this.#opensAt <= now()) this.#opensAt = Infinity;
    for (let slots = this.#alarms.first; slots !== undefined && slots.alarmAt <= now(); slots = this.#alarms.first) {
      this.#alarms.delete(slots);
      this.#open(slots);
    }
    this.#arm();
    this.#onOpen();
  }

  close(): void {
    this.#timer?.cancel();
  }
}

function comesBefore(a: MemoryTask, b: MemoryTask): boolean {
  if (a.priority !== b.priority) return rank(a.priority) < rank(b.priority);
  return a.sequence < b.sequence;
}

function rank(priority: Priority): number {
  return priorities.indexOf(priority);
}
