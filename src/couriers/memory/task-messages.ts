/**
 * The messages between the clients of a memory queue and its workers: updates go to all clients that subscribed to the
 * task; commands are kept until the task has ended, so that the worker of each attempt gets them from the first on.
 */
import type { TaskCommand, TaskUpdate } from '../courier.ts';
import { deliver, type Listener, Listeners, ListenersById } from '../listeners.ts';
import type { MemoryTask } from './memory-task.ts';

export class TaskMessages {
  readonly #onUnsubscribed: () => void;
  readonly #clients = new ListenersById<TaskUpdate>();

  /** @param onUnsubscribed Is called when the last client of a task has unsubscribed. */
  constructor(onUnsubscribed: () => void) {
    this.#onUnsubscribed = onUnsubscribed;
  }

  get hasClients(): boolean {
    return this.#clients.size > 0;
  }

  sendToTask(task: MemoryTask, command: TaskCommand): void {
    if (task.hasEnded) return;
    task.commands.push(command);
    task.workerListeners?.publish(command);
  }

  sendToClient({ id }: MemoryTask, update: TaskUpdate): void {
    this.#clients.publish(id, update);
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

  /** The task has ended: its clients get no more updates. */
  end({ id }: MemoryTask): void {
    this.#clients.end(id);
  }

  close(): void {
    this.#clients.endAll();
  }
}
