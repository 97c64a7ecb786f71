/**
 * Publishes what becomes of tasks and hosts: by events, by callbacks, and by log lines where nobody would see it else.
 */
import { callSafely } from '../../base/call-safely.ts';
import { describeExit, type Exit } from '../../base/exit.ts';
import { describe, type Logger } from '../../base/logger.ts';
import type { HostKind, HostWatcher } from '../../lanes/lane.ts';
import { shownMs } from '../../platform/clock.ts';
import { setImmediate } from '../../platform/globals.ts';
import type { PriorityPool } from '../../queue/priority-pool.ts';
import type { Progress } from '../../task/record/progress.ts';
import type { Task } from '../../task/record/task.ts';
import type { TaskCounters } from '../task-counters.ts';
import type { SupervisorEmitter, SupervisorEvents } from './supervisor-events.ts';

type TaskEventName = Extract<keyof SupervisorEvents, `task:${string}`>;

/** The levels of lateness, in ascending order. */
export const lateLevels = [
  { event: 'task:timeout-warning', log: 'warn' },
  { event: 'task:timeout-critical', log: 'error' },
] as const;

interface EventsOptions {
  readonly current: { readonly name: string };
  readonly logger: Logger;
}

export class TaskEvents implements HostWatcher {
  readonly #emitter: SupervisorEmitter;
  readonly #options: EventsOptions;
  readonly #counters: TaskCounters;
  readonly #unawaited: Task[] = [];
  #isEmitting = false;
  /** Events that happened while listeners were called for another one: listeners get one event at a time, in order. */
  readonly #postponed: (() => void)[] = [];

  constructor(emitter: SupervisorEmitter, options: EventsOptions, counters: TaskCounters) {
    this.#emitter = emitter;
    this.#options = options;
    this.#counters = counters;
  }

  get #logger(): Logger {
    return this.#options.logger;
  }

  get #name(): string {
    return this.#options.current.name;
  }

  /** Whether listeners are being called: what happens meanwhile is emitted when they have returned. */
  get isEmitting(): boolean {
    return this.#isEmitting;
  }

  emit<E extends TaskEventName>(event: E, task: Task, facts?: Omit<SupervisorEvents[E], 'task'>): void {
    if (this.#emitter.listenerCount(event) > 0 && !task.isPart) {
      this.#emit(event, { task: task.info, ...facts } as SupervisorEvents[E]);
    }
  }

  ended(task: Task, outcome: unknown): void {
    if (task.status === 'completed') this.#completed(task, outcome);
    else if (task.status === 'canceled') this.emit('task:canceled', task, { error: outcome });
    else this.failed(task, outcome);
  }

  #completed(task: Task, result: unknown): void {
    this.emit('task:completed', task, { result });
    if (!task.isBulk) this.callBack(task, result); // it is called for each input of a bulk
  }

  /** Calls the callbacks of its options. */
  callBack(task: Task, result: unknown): void {
    const { callback } = task.options;
    if (callback === undefined) return;
    for (const call of typeof callback === 'function' ? [callback] : callback) {
      callSafely(
        (value: unknown) => task.runInScope(() => call(value)),
        result,
        (problem) => this.log(task, 'a callback failed', problem),
      );
    }
  }

  /** The failure is logged, unless the handle is awaited by the next turn of the event loop. */
  failed(task: Task, error: unknown): void {
    this.emit('task:failed', task, { error });
    if (this.#unawaited.push(task) > 1) return;
    setImmediate(() => {
      for (const each of this.#unawaited.splice(0)) {
        if (!each.isAwaited) this.log(each, 'failed, and nobody awaits it', each.error);
      }
    });
  }

  progress(task: Task, progress: Progress): void {
    task.report(progress, (problem) => this.log(task, 'a listener of onProgress failed', problem));
    this.emit('task:progress', task, { progress });
  }

  teardownFailed(kind: HostKind, id: number, problem: unknown): void {
    this.#logger.error(`${kind} ${id}: what laneSetup() gave to clean up failed: ${describe(problem)}`);
  }

  preloadFailed(kind: HostKind, id: number, problem: unknown): void {
    this.#logger.error(`${this.#name}: ${kind} ${id} could not preload: ${describe(problem)}`);
  }

  loadsLong(kind: HostKind, id: number, what: string, ms: number): void {
    this.#logger.warn(`${this.#name}: ${kind} ${id} has been loading ${what} for ${ms / 1_000} s, and its task waits`);
  }

  hostStarted(kind: HostKind, id: number): void {
    if (kind === 'thread') this.#emit('thread:started', { threadId: id });
    else this.#emit('child:started', { pid: id });
  }

  hostExited(kind: HostKind, id: number, exit: Exit, wasIdle: boolean): void {
    const { exitCode, signal, cause } = exit;
    if (wasIdle) {
      const how = cause === undefined ? describeExit(exit) : describe(cause);
      this.#logger.warn(`${kind} ${id} died while no task ran in it: ${how}`);
    }
    if (kind === 'thread') this.#emit('thread:exited', { threadId: id, exitCode: exitCode ?? 0, cause });
    else this.#emit('child:exited', { pid: id, exitCode, signal, cause });
  }

  #emit<E extends keyof SupervisorEvents>(event: E, payload: SupervisorEvents[E]): void {
    if (this.#emitter.listenerCount(event) === 0) return;
    if (this.#isEmitting) {
      this.#postponed.push(() => this.#emitter.emit(event, payload));
      return;
    }
    this.#isEmitting = true;
    try {
      this.#emitter.emit(event, payload);
      for (const emit of this.#postponed) emit(); // which may add more
    } finally {
      this.#isEmitting = false;
      if (this.#postponed.splice(0).length > 0) this.#counters.checkDrained();
    }
  }

  /** Emits the event of a level for tasks that wait for too long. */
  late(level: number, tasks: readonly Task[]): void {
    const { event } = lateLevels[level] as (typeof lateLevels)[number];
    for (const task of tasks) this.emit(event, task, { waitMs: shownMs(task.waitMs) });
  }

  /** Logs one line for tasks of one priority that wait for too long while none of them starts. */
  stalled(level: number, tasks: readonly Task[], levelMs: number, pool: PriorityPool<Task>): void {
    const { log } = lateLevels[level] as (typeof lateLevels)[number];
    const [{ id, name, priority, type }] = tasks as readonly [Task];
    this.#logger[log](
      `${this.#name}: ${tasks.length} ${tasks.length === 1 ? 'task has' : 'tasks have'} waited for more than ` +
        `${levelMs} ms; the first is ${priority} task "${name}" (${id}). ${pool.running} ${type} tasks run, and the ` +
        `limit for ${priority} is ${pool.limit(priority)}`,
    );
  }

  broken(cause: unknown): void {
    this.#logger.error(describe(cause));
  }

  log(task: Task, what: string, problem: unknown): void {
    this.#logger.error(`task "${task.name}" (${task.id}): ${what}: ${describe(problem)}`);
  }
}
