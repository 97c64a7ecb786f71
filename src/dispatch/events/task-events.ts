/** Tells what becomes of tasks: events for those who listen, callbacks, and a log line for what nobody would see. */
import { callSafely } from '../../base/call-safely.ts';
import { type Exit, howItEnded } from '../../base/exit.ts';
import { describe, type Logger } from '../../base/logger.ts';
import type { HostKind, HostWatcher } from '../../lanes/lane.ts';
import { shownMs } from '../../platform/clock.ts';
import { setImmediate } from '../../platform/globals.ts';
import type { PriorityPool } from '../../queue/priority-pool.ts';
import type { Progress } from '../../task/record/progress.ts';
import type { Task } from '../../task/record/task.ts';
import type { SupervisorEmitter, SupervisorEvents } from './supervisor-events.ts';

type TaskEventName = Extract<keyof SupervisorEvents, `task:${string}`>;

/** How late a task may be, from the least. */
export const lateLevels = [
  { event: 'task:timeout-warning', log: 'warn' },
  { event: 'task:timeout-critical', log: 'error' },
] as const;

export class Announcer implements HostWatcher {
  readonly #events: SupervisorEmitter;
  readonly #logger: () => Logger;
  readonly #name: () => string;
  readonly #allTold: () => void;
  readonly #unawaited: Task[] = [];
  #isTelling = false;
  /** What happened while listeners heard of something else: they hear of one event at a time, in their order. */
  readonly #untold: (() => void)[] = [];

  /** @param allTold Is called after the last of those events that were told later than they happened. */
  constructor(events: SupervisorEmitter, logger: () => Logger, name: () => string, allTold: () => void) {
    this.#events = events;
    this.#logger = logger;
    this.#name = name;
    this.#allTold = allTold;
  }

  /** Whether listeners are called just now: what happens meanwhile is told when they have returned. */
  get isTelling(): boolean {
    return this.#isTelling;
  }

  emit<E extends TaskEventName>(event: E, task: Task, facts?: Omit<SupervisorEvents[E], 'task'>): void {
    if (this.#events.listenerCount(event) > 0) {
      this.#tell(event, { task: task.info, ...facts } as SupervisorEvents[E]);
    }
  }

  ended(task: Task, outcome: unknown): void {
    if (task.status === 'completed') this.#completed(task, outcome);
    else if (task.status === 'canceled') this.emit('task:canceled', task, { error: outcome });
    else this.failed(task, outcome);
  }

  #completed(task: Task, result: unknown): void {
    this.emit('task:completed', task, { result });
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

  /** Whoever awaits the handle has done so by the next turn of the event loop, or the failure is logged. */
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
    this.#logger().error(`${kind} ${id}: what laneSetup() gave to clean up failed: ${describe(problem)}`);
  }

  loadsLong(kind: HostKind, id: number, what: string, ms: number): void {
    this.#logger().warn(
      `${this.#name()}: ${kind} ${id} has been loading ${what} for ${ms / 1_000} s, and its task waits`,
    );
  }

  hostStarted(kind: HostKind, id: number): void {
    if (kind === 'thread') this.#tell('thread:started', { threadId: id });
    else this.#tell('child:started', { pid: id });
  }

  hostExited(kind: HostKind, id: number, exit: Exit, wasIdle: boolean): void {
    const { exitCode, signal, cause } = exit;
    if (wasIdle) {
      const how = cause === undefined ? howItEnded(exit) : describe(cause);
      this.#logger().warn(`${kind} ${id} died while no task ran in it: ${how}`);
    }
    if (kind === 'thread') this.#tell('thread:exited', { threadId: id, exitCode: exitCode ?? 0, cause });
    else this.#tell('child:exited', { pid: id, exitCode, signal, cause });
  }

  #tell<E extends keyof SupervisorEvents>(event: E, payload: SupervisorEvents[E]): void {
    if (this.#events.listenerCount(event) === 0) return;
    if (this.#isTelling) {
      this.#untold.push(() => this.#events.emit(event, payload));
      return;
    }
    this.#isTelling = true;
    try {
      this.#events.emit(event, payload);
      for (const tell of this.#untold) tell(); // there may be more of them meanwhile
    } finally {
      this.#isTelling = false;
      if (this.#untold.splice(0).length > 0) this.#allTold();
    }
  }

  /** Tasks that wait for too long. */
  late(level: number, tasks: readonly Task[]): void {
    const { event } = lateLevels[level] as (typeof lateLevels)[number];
    for (const task of tasks) this.emit(event, task, { waitMs: shownMs(task.waitMs) });
  }

  /** Tasks of one priority wait for too long, and none has started for as long: a line for all. */
  stalled(level: number, tasks: readonly Task[], levelMs: number, pool: PriorityPool<Task>): void {
    const { log } = lateLevels[level] as (typeof lateLevels)[number];
    const [{ id, name, priority, type }] = tasks as readonly [Task];
    this.#logger()[log](
      `${this.#name()}: ${tasks.length} ${tasks.length === 1 ? 'task has' : 'tasks have'} waited for more than ` +
        `${levelMs} ms; the first is ${priority} task "${name}" (${id}). ${pool.running} ${type} tasks run, and the ` +
        `limit for ${priority} is ${pool.limit(priority)}`,
    );
  }

  broken(cause: unknown): void {
    this.#logger().error(describe(cause));
  }

  log(task: Task, what: string, problem: unknown): void {
    this.#logger().error(`task "${task.name}" (${task.id}): ${what}: ${describe(problem)}`);
  }
}
