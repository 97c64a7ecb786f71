/** Tells what becomes of tasks: events for those who listen, callbacks, and a log line for what nobody would see. */
import { callSafely } from './call-safely.ts';
import type { SupervisorEmitter, SupervisorEvents } from './events.ts';
import type { ThreadExit } from './lanes/lane.ts';
import { describe, type Logger } from './logger.ts';
import type { Progress } from './task/context.ts';
import type { Task } from './task/task.ts';

type TaskEventName = Extract<keyof SupervisorEvents, `task:${string}`>;

export class Announcer {
  readonly #events: SupervisorEmitter;
  readonly #logger: () => Logger;
  readonly #unawaited: Task[] = [];

  constructor(events: SupervisorEmitter, logger: () => Logger) {
    this.#events = events;
    this.#logger = logger;
  }

  emit<E extends TaskEventName>(event: E, task: Task, facts?: Omit<SupervisorEvents[E], 'task'>): void {
    if (this.#events.isHeard(event)) this.#events.emit(event, { task: task.info, ...facts } as SupervisorEvents[E]);
  }

  completed(task: Task, result: unknown): void {
    this.emit('task:completed', task, { result });
    const { callback } = task.options;
    if (callback === undefined) return;
    for (const call of typeof callback === 'function' ? [callback] : callback) {
      callSafely(call, result, (problem) => this.log(task, 'a callback failed', problem));
    }
  }

  canceled(task: Task, error: unknown): void {
    this.emit('task:canceled', task, { error });
  }

  /** Whoever awaits the handle has done so by the next turn of the event loop, or the failure is logged. */
  failed(task: Task, error: unknown): void {
    this.emit('task:failed', task, { error });
    if (this.#unawaited.push(task) > 1) return;
    setImmediate(() => {
      for (const each of this.#unawaited.splice(0)) {
        if (!each.awaited) this.log(each, 'failed, and nobody awaits it', each.error);
      }
    });
  }

  progress(task: Task, progress: Progress): void {
    task.report(progress, (problem) => this.log(task, 'a listener of onProgress failed', problem));
    this.emit('task:progress', task, { progress });
  }

  threadStarted(threadId: number): void {
    if (this.#events.isHeard('thread:started')) this.#events.emit('thread:started', { threadId });
  }

  threadExited(exit: ThreadExit, wasIdle: boolean): void {
    if (wasIdle) {
      const how = exit.cause === undefined ? `it exited with code ${exit.exitCode}` : describe(exit.cause);
      this.#logger().warn(`thread ${exit.threadId} died while no task ran in it: ${how}`);
    }
    if (this.#events.isHeard('thread:exited')) this.#events.emit('thread:exited', exit);
  }

  log(task: Task, what: string, problem: unknown): void {
    this.#logger().error(`task "${task.name}" (${task.id}): ${what}: ${describe(problem)}`);
  }
}
