/**
 * The messages between the clients of a memory queue and its workers: updates go to all clients that subscribed to the
 * task; commands are kept until the task has ended, so that the worker of each attempt gets them from the first on.
 */
import { messageOf } from '../../base/foreign-value.ts';
import { timeOfDay } from '../../platform/globals.ts';
import type { Progress } from '../../task/record/progress.ts';
import type { TaskCommand, TaskUpdate } from '../courier.ts';
import { deliver, type Listener, Listeners, ListenersById } from '../listeners.ts';
import type { QueueEvent } from '../queue-view.ts';
import type { MemoryTask } from './memory-task.ts';

type What =
  | { readonly kind: 'added' | 'started' | 'completed' | 'canceled' }
  | { readonly kind: 'failed' | 'retried'; readonly error: unknown }
  | { readonly kind: 'progress'; readonly progress: Progress };

export class TaskMessages {
  readonly #onUnsubscribed: () => void;
  readonly #queue: string;
  readonly #clients = new ListenersById<TaskUpdate>();
  readonly #events = new Listeners<QueueEvent>();

  /** @param onUnsubscribed Is called when the last client of a task, or of the queue, has unsubscribed. */
  constructor(queue: string, onUnsubscribed: () => void) {
    this.#queue = queue;
    this.#onUnsubscribed = onUnsubscribed;
  }

  get hasClients(): boolean {
    return this.#clients.size + this.#events.size > 0;
  }

  sendToTask(task: MemoryTask, command: TaskCommand): void {
    if (task.hasEnded) return;
    task.commands.push(command);
    task.workerListeners?.publish(command);
  }

  sendToClient(task: MemoryTask, update: TaskUpdate): void {
    this.#clients.publish(task.id, update);
    if (update.kind === 'progress') this.tell(task, { kind: 'progress', progress: update.progress });
  }

  /** Delivers the commands of the task from the first on. Without the lease, delivers how it was lost, and ends. */
  subscribeToClient(task: MemoryTask | undefined, lease: string, listener: Listener<TaskCommand>): () => void {
    if (task?.state === 'leased' && task.lease === lease) {
      task.workerListeners ??= new Listeners();
      const { workerListeners } = task;
      workerListeners.add(listener);
      for (const command of task.commands) deliver(listener, command);
      return () => workerListeners.delete(listener);
    }
    const isCanceled = task?.state === 'canceled' && task.lease === lease;
    deliver(listener, isCanceled ? { kind: 'cancel', reason: (task.outcome as Error).cause } : { kind: 'lost' });
    listener.end?.();
    return () => {};
  }

  /** Delivers what workers send about the task with this id, which may not have been added yet. */
  subscribeToTask(id: string, listener: Listener<TaskUpdate>): () => void {
    return this.#clients.add(id, listener, this.#onUnsubscribed);
  }

  subscribe(listener: Listener<QueueEvent>): () => void {
    this.#events.add(listener);
    return () => {
      this.#events.delete(listener);
      if (this.#events.size === 0) this.#onUnsubscribed();
    };
  }

  /** Tells those who listen to the queue what has happened to a task. */
  tell({ id, name, key }: MemoryTask, what: What): void {
    if (this.#events.size === 0) return;
    const facts = { queue: this.#queue, id, name, key, time: timeOfDay() };
    if ('error' in what) this.#events.publish({ kind: what.kind, ...facts, message: messageOf(what.error) });
    else this.#events.publish({ ...what, ...facts });
  }

  /** Tells them that the queue was paused, or is not any more. */
  tellPause(isPaused: boolean): void {
    this.#events.publish({ kind: isPaused ? 'paused' : 'resumed', queue: this.#queue, time: timeOfDay() });
  }

  /** The task has ended: its clients get no more updates. */
  end(task: MemoryTask): void {
    const { state: kind, outcome } = task;
    if (kind === 'failed') this.tell(task, { kind, error: outcome });
    else if (kind === 'completed' || kind === 'canceled') this.tell(task, { kind });
    this.#clients.end(task.id);
  }

  close(): void {
    this.#clients.endAll();
    this.#events.end();
  }
}
