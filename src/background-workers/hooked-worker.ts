/** What all background workers are made of: a function, options, and hooks that a subclass or an option may set. */
import { checkOptions, type Rule } from '../base/options.ts';
import type { Priority } from '../queue/priority.ts';
import type { TaskSpec, TaskSubmitter } from '../task/call/task-options.ts';
import { isHost } from '../task/definition/load-phase.ts';
import { callProgram, exposeObject, type ProgramCallOptions } from '../task/definition/program-object.ts';
import type { TaskType } from '../task/record/task-type.ts';
import { type FailedRun, type WorkerOptions, workerRules } from './worker-options.ts';
import { readTarget, type WorkerTarget } from './worker-target.ts';

// biome-ignore lint/suspicious/noExplicitAny: without a type for the arguments of its runs, a worker accepts all.
export type AnyArgs = any[];

export abstract class HookedWorker {
  readonly name: string;
  /** @internal What is submitted for a run. */
  protected readonly spec: TaskSpec;
  readonly #target: WorkerTarget;
  readonly #options: WorkerOptions;

  constructor(...given: unknown[]) {
    const target = readTarget(given, new.target as unknown as { readonly name: string });
    checkOptions(target.options, { ...workerRules, ...this.ownRules() }, target.owner);
    this.#target = target;
    this.#options = target.options;
    this.spec = target.define((...args: unknown[]) => this.run(...args));
    this.name = this.spec.options.worker as string;
    if (!isHost()) exposeObject(target.objectName, this);
  }

  /** The rules of the options that only this kind of worker has. */
  protected ownRules(): Readonly<Record<string, Rule>> {
    return {};
  }

  /** Calls a method of the worker in the program, from a task in a thread or child. */
  protected askProgram(method: string, args: readonly unknown[], options: ProgramCallOptions = {}): Promise<unknown> {
    return callProgram(this.#target.objectName, method, args, options);
  }

  /** The options as they were given. */
  protected get given(): Readonly<Record<string, unknown>> {
    return this.#target.options;
  }

  /** What each run gets before its other arguments. */
  protected get prefix(): readonly unknown[] {
    return this.#target.prefix;
  }

  protected get submitter(): TaskSubmitter {
    return this.#target.supervisor;
  }

  /** Logs what was reported nowhere else. */
  protected abstract log(what: string, problem: unknown): void;

  get priority(): Priority {
    return this.spec.options.priority;
  }

  get type(): TaskType {
    return this.spec.options.type;
  }

  // To be overridden.

  /** Does the work. Gets the arguments of `start()`. Returning `false` stops the worker; what it throws goes to `onError()`. */
  run(..._args: AnyArgs): unknown {
    throw new TypeError(`${this.constructor.name} has to override run()`);
  }

  /** Called before the first run. If it throws or rejects, the worker does not start. */
  beforeStart(): unknown {
    return this.#options.beforeStart?.();
  }

  afterStart(): unknown {
    return this.#options.afterStart?.();
  }

  /** Called when the worker is asked to stop, if it has started; runs may still be going on. */
  beforeStop(): unknown {
    return this.#options.beforeStop?.();
  }

  /** Called when nothing of the worker runs any more. */
  afterStop(): unknown {
    return this.#options.afterStop?.();
  }

  /** Gets the result of each run, except `false`. */
  processResult(result: unknown): unknown {
    return (this.#options.processResult as ((result: unknown) => unknown) | undefined)?.(result);
  }

  /** Gets the error of a run or a hook. Default: the option of that name, or a line in the log. */
  onError(error: unknown, run?: FailedRun): unknown {
    const { onError } = this.#options;
    if (onError !== undefined) return onError(error, run);
    this.log(run === undefined ? 'a hook failed' : `a run failed (task ${run.task.id})`, error);
    return undefined;
  }
}
