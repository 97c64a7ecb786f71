/** The calls that wait: for tasks, and for room in a queue; each queue has them in the order in which they came. */
import type { Priority } from '../../../index.ts';
import type { DeliveredTask, NewTask, NewTaskOptions, Reply } from '../protocol.ts';
import { addTasks, type RoomSettings, roomOf } from './tasks/additions.ts';
import { Deliveries } from './tasks/deliveries.ts';
import { Refusal } from './tasks/refusal.ts';
import type { Transaction } from './tasks/transaction.ts';

interface TaskWait {
  readonly n: number;
  readonly max: number;
  readonly minPriority: Priority;
}

interface RoomWait {
  readonly n: number;
  readonly tasks: readonly NewTask[];
  readonly options: NewTaskOptions;
  readonly ids: string[];
}

export class TaskWaits {
  readonly #deliveries: Deliveries;
  readonly #room: RoomSettings;
  readonly #forTasks = new Map<string, TaskWait[]>();
  readonly #forRoom = new Map<string, RoomWait[]>();

  constructor(deliveries: Deliveries, room: RoomSettings) {
    this.#deliveries = deliveries;
    this.#room = room;
  }

  get areAny(): boolean {
    return this.#forTasks.size + this.#forRoom.size > 0;
  }

  /** Queues with waits. */
  get queues(): Set<string> {
    return new Set([...this.#forTasks.keys(), ...this.#forRoom.keys()]);
  }

  isRoomAwaited(queue: string): boolean {
    return this.#forRoom.has(queue);
  }

  addTaskWait(tx: Transaction, queue: string, wait: TaskWait): void {
    put(tx, this.#forTasks, queue, wait);
  }

  addRoomWait(tx: Transaction, queue: string, n: number, tasks: readonly NewTask[], options: NewTaskOptions): void {
    put(tx, this.#forRoom, queue, { n, tasks, options, ids: [] });
    tx.changed.add(queue); // there may be room for some
  }

  /** Whether a call that waits may get something now. It only reads. */
  mayServe(tx: Transaction): boolean {
    for (const [queue, waits] of this.#forTasks) {
      if (!tx.queue(queue).isPaused && waits.some(({ minPriority }) => Deliveries.hasSome(tx, queue, minPriority))) {
        return true;
      }
    }
    return [...this.#forRoom.keys()].some((queue) => roomOf(tx, queue, this.#room) > 0);
  }

  /** Serves those whose queue has changed. */
  serve(tx: Transaction, replies: Reply[]): void {
    for (const queue of tx.changed) {
      do this.#admit(tx, queue, replies);
      while (this.#deliver(tx, queue, replies));
    }
  }

  /** Whether a worker got tasks, so that there is room again. */
  #deliver(tx: Transaction, queue: string, replies: Reply[]): boolean {
    let isServed = false;
    for (const wait of [...(this.#forTasks.get(queue) ?? [])]) {
      const value: DeliveredTask[] = this.#deliveries.take(tx, queue, wait.max, wait.minPriority);
      if (value.length === 0) continue;
      remove(tx, this.#forTasks, queue, wait);
      replies.push({ n: wait.n, value });
      isServed = true;
    }
    return isServed && this.#forRoom.has(queue);
  }

  #admit(tx: Transaction, queue: string, replies: Reply[]): void {
    for (const wait of [...(this.#forRoom.get(queue) ?? [])]) {
      while (wait.ids.length < wait.tasks.length) {
        if (roomOf(tx, queue, this.#room) < 1) return;
        try {
          const task = wait.tasks[wait.ids.length] as NewTask;
          wait.ids.push(...addTasks(tx, queue, [task], wait.options, this.#room));
          tx.undo.push(() => wait.ids.pop());
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          remove(tx, this.#forRoom, queue, wait);
          replies.push({ n: wait.n, failure: error.failure });
          break;
        }
      }
      if (wait.ids.length < wait.tasks.length) continue; // it was refused
      remove(tx, this.#forRoom, queue, wait);
      replies.push({ n: wait.n, value: [...wait.ids] });
    }
  }

  /** Ends a wait; the answer to it, or undefined if it waits no more. */
  cancel(n: number): Reply | undefined {
    if (drop(this.#forTasks, n)) return { n, value: [] };
    return drop(this.#forRoom, n) ? { n, failure: { code: 'over' } } : undefined;
  }
}

type Waits<W> = Map<string, W[]>;

function put<W>(tx: Transaction, all: Waits<W>, queue: string, wait: W): void {
  all.set(queue, [...(all.get(queue) ?? []), wait]);
  tx.undo.push(() => take(all, queue, wait));
}

function remove<W>(tx: Transaction, all: Waits<W>, queue: string, wait: W): void {
  const before = all.get(queue) ?? [];
  take(all, queue, wait);
  tx.undo.push(() => all.set(queue, before));
}

function take<W>(all: Waits<W>, queue: string, wait: W): void {
  const left = (all.get(queue) ?? []).filter((each) => each !== wait);
  if (left.length > 0) all.set(queue, left);
  else all.delete(queue);
}

function drop<W extends { readonly n: number }>(all: Waits<W>, n: number): boolean {
  for (const [queue, waits] of all) {
    const wait = waits.find((each) => each.n === n);
    if (wait === undefined) continue;
    take(all, queue, wait);
    return true;
  }
  return false;
}
