/**
 * Background tasks whose calls run elsewhere: for each call a relay runs on the event loop. Those of `viaCourier()` are
 * made here, and those of integrations with other task systems.
 */
import { TaskwardenError } from '../../base/errors.ts';
import { type BackgroundTask, type TaskPlan, wrapPlan } from '../../task/call/background-task.ts';
import type { ResolvedTaskOptions, TaskOptions, TaskSpec } from '../../task/call/task-options.ts';
import type { TaskFunction } from '../../task/definition/definition.ts';
import { defineBySource } from '../../task/definition/definition-registry.ts';
import { isHost, isLoadingModule } from '../../task/definition/load-phase.ts';
import { currentRun, type RunningTask } from '../../task/inside/context.ts';
import type { Task } from '../../task/record/task.ts';

/** The plan of a task whose calls go elsewhere. */
export abstract class RelayPlan implements TaskPlan {
  abstract readonly name: string;
  /** By what they go, in words. */
  abstract readonly by: string;

  abstract specOf(options: ResolvedTaskOptions): TaskSpec;

  /** The spec of a relay. */
  protected specFor(fn: TaskFunction, options: ResolvedTaskOptions): TaskSpec {
    return {
      definition: defineBySource(this.name, fn),
      options: Object.freeze({ ...options, type: 'loop', crashRetries: 0 }),
    };
  }

  argsOf(args: readonly unknown[]): readonly unknown[] {
    if (!isHost() || isLoadingModule()) return args;
    const message = `task "${this.name}" goes by ${this.by}, which only the program itself can ask: call it there`;
    throw new TaskwardenError('NOT_IN_PROGRAM', message);
  }

  withDefinition(): TaskPlan {
    throw new TypeError(`task "${this.name}" goes by ${this.by}, and can't get its TaskContext as first argument`);
  }
}

/** Where the calls of a task go that an integration makes. */
export interface RelayTarget {
  /** The name of the task, unless its options give one. */
  readonly name: string;
  /** By what they go, in words. */
  readonly by: string;
  /** The function of the relay for these options of the task, and those of the options that are for the relay itself. */
  prepare(options: ResolvedTaskOptions): { readonly fn: TaskFunction; readonly options: ResolvedTaskOptions };
  /** Makes the task of `with()`. */
  with(changes: TaskOptions, options: ResolvedTaskOptions): BackgroundTask<TaskFunction>;
}

export function relayTask(target: RelayTarget, options: ResolvedTaskOptions): BackgroundTask<TaskFunction> {
  return wrapPlan(new TargetPlan(target), options);
}

class TargetPlan extends RelayPlan {
  readonly #target: RelayTarget;

  constructor(target: RelayTarget) {
    super();
    this.#target = target;
  }

  get name(): string {
    return this.#target.name;
  }

  get by(): string {
    return this.#target.by;
  }

  specOf(options: ResolvedTaskOptions): TaskSpec {
    const { fn, options: own } = this.#target.prepare(options);
    return this.specFor(fn, own);
  }

  membersFor(options: ResolvedTaskOptions): object {
    return { with: (changes: TaskOptions) => this.#target.with(changes, options) };
  }
}

/** Within the function of a relay: its task. */
export function currentRelay(): RunningTask {
  return currentRun() as RunningTask;
}

/** Lets the handle of a relay's task say how the task stands elsewhere. */
export function showStatus(run: RunningTask, status: 'delayed' | 'queued' | 'started'): void {
  if (!run.hasEnded) (run.task as Task).statusElsewhere = status;
}
