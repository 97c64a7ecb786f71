/**
 * ClassicWorker: a courier worker whose tasks name a function to call and its arguments. It calls only functions of its
 * allow-list, each as a task of a supervisor; nothing from the courier is evaluated.
 */
import { availableParallelism } from 'node:os';
import { TaskwardenError } from '../../base/errors.ts';
import { checkOptions, is, type Rule, show } from '../../base/options.ts';
import type { Demand, FreeCapacity } from '../../queue/free-capacity.ts';
import { type BackgroundTask, backgroundTask, submitterOf } from '../../task/call/background-task.ts';
import { type ResolvedTaskOptions, type TaskSubmitter, taskRules } from '../../task/call/task-options.ts';
import type { TaskFunction } from '../../task/definition/definition.ts';
import type { TaskType } from '../../task/record/task-type.ts';
import type { CourierTask } from '../courier.ts';
import { readCall } from '../courier-call.ts';
import { BaseWorker } from './base-worker.ts';
import { type BaseWorkerOptions, baseWorkerRules } from './base-worker-options.ts';
import { demandOf, Prefetch } from './prefetch.ts';
import { runSupervised } from './supervised-run.ts';
import type { CourierTaskContext } from './tasks-in-flight.ts';

export interface ClassicWorkerOptions extends BaseWorkerOptions {
  /**
   * The functions that tasks may call, by name: background tasks, or plain functions, whose source is sent to a thread. Only
   * own properties count, as they are when the worker is made. The options of the functions apply, except `delayMs`, which the
   * courier handles. The courier also handles `retries` and `retryDelayMs` of tasks that were added with `retries`; `retryIf`
   * is then asked here whether to try again.
   */
  readonly functions: Readonly<Record<string, TaskFunction>>;
  /** Default: the supervisor of each background task. */
  readonly supervisor?: TaskSubmitter;
  /** Default: the number of cores. */
  readonly maxSimultaneousTasks?: number;
}

/**
 * Runs tasks with the data `{ function: name, args }` on a supervisor, with the priority that they have in the queue.
 * Fetches only tasks for whose priority there are free slots, and room in modules, whichever of its functions they call.
 * If the supervisor stops before it has finished a task, the task goes back to the queue, and `perform()` ends.
 */
export class ClassicWorker extends BaseWorker {
  readonly #functions: ReadonlyMap<string, BackgroundTask<TaskFunction>>;
  readonly #supervisor: TaskSubmitter | undefined;
  #prefetch: Prefetch | undefined;

  /** @throws TypeError or RangeError for an option that is unknown or bad. */
  constructor(options: ClassicWorkerOptions) {
    checkOptions(options, classicWorkerRules, new.target.name);
    const { functions, supervisor, ...rest } = options;
    classicWorkerRules.functions(functions, `option "functions" of ${new.target.name}`);
    super({ ...rest, maxSimultaneousTasks: rest.maxSimultaneousTasks ?? availableParallelism() });
    this.#functions = new Map(Object.entries(functions).map(([name, target]) => [name, taskOf(name, target)]));
    this.#supervisor = supervisor;
  }

  override waitForTasks(options: { readonly signal: AbortSignal }): Promise<readonly CourierTask[]> {
    const { signal } = options;
    if (this.#prefetch?.signal !== signal) this.#prefetch = this.#newPrefetch(signal);
    return this.#prefetch === undefined ? super.waitForTasks(options) : this.#prefetch.next();
  }

  /** Undefined if no supervisor can tell its free capacity. */
  #newPrefetch(signal: AbortSignal): Prefetch | undefined {
    const { courier, queueName, maxTasksPerIteration, maxSimultaneousTasks } = this;
    const demands = new Map<FreeCapacity<TaskType>, Demand<TaskType>[]>();
    for (const { spec } of this.#functions.values()) {
      const { freeCapacity } = this.#supervisor ?? submitterOf(spec.options);
      if (freeCapacity !== undefined) demands.set(freeCapacity, [...(demands.get(freeCapacity) ?? []), demandOf(spec)]);
    }
    if (demands.size === 0) return undefined;
    return new Prefetch({
      courier,
      queueName,
      perIteration: Math.min(maxTasksPerIteration, maxSimultaneousTasks),
      isShared: false,
      demands: [...demands].map(([freeCapacity, each]) => ({ freeCapacity, demands: each })),
      signal,
    });
  }

  override async performSingleTask(task: CourierTask, context: CourierTaskContext): Promise<unknown> {
    const { target, args } = this.#prepare(task);
    const { options } = target.spec;
    const submit = () => {
      const handle = target.deliver({ id: task.id, attempt: task.attempt }, args);
      this.#prefetch?.submitted(task);
      return handle;
    };
    // A supervisor that gave a task back can't run another one.
    const run = { options, submitter: submitterOf(options), submit, onGivenBack: () => this.stop() };
    try {
      return await runSupervised(run, context);
    } catch (error) {
      if (task.retries !== undefined && !(await this.#wantsRetry(task, options, error))) context.giveUp();
      throw error;
    }
  }

  /** The answer of the function's `retryIf`, which may be a promise. If it throws, there is no retry. */
  async #wantsRetry(task: CourierTask, { retryIf }: ResolvedTaskOptions, error: unknown): Promise<boolean> {
    try {
      const answer: unknown = await retryIf?.(error, task.attempt);
      return answer !== false;
    } catch (problem) {
      this.onError(problem, task);
      return false;
    }
  }

  /** If the courier has no retries for the task, the supervisor makes those of the function's definition. */
  #prepare({ id, data, priority, retries }: CourierTask): {
    target: BackgroundTask<TaskFunction>;
    args: readonly unknown[];
  } {
    const { function: name, args = [], timeoutMs = Infinity } = readCall(data, id);
    const target = this.#functions.get(name);
    if (target === undefined) {
      const message = `task ${id} asks for the function ${show(name)}, which is not in the allow-list of its worker`;
      throw new TaskwardenError('FUNCTION_NOT_ALLOWED', message, { taskId: id });
    }
    const limitMs = Math.min(timeoutMs, target.spec.options.timeoutMs ?? Infinity);
    const options = {
      priority,
      delayMs: 0,
      ...(retries !== undefined && { retries: 0 }),
      idempotencyKey: id,
      ...(limitMs < Infinity && { timeoutMs: limitMs }),
      ...(this.#supervisor && { supervisor: this.#supervisor }),
    };
    return { target: target.with(options), args };
  }
}

function taskOf(name: string, target: TaskFunction): BackgroundTask<TaskFunction> {
  return 'spec' in target ? (target as BackgroundTask<TaskFunction>) : backgroundTask(target, { name });
}

const classicWorkerRules: Readonly<Record<keyof ClassicWorkerOptions, Rule>> = {
  ...baseWorkerRules,
  functions: is('an object of functions', (value) => {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject && Object.values(value).every((target) => typeof target === 'function');
  }),
  supervisor: taskRules.supervisor,
};
