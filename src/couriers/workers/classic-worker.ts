/**
 * ClassicWorker: a courier worker whose tasks name a function to call and its arguments. It calls only functions of its
 * allow-list, each as a task of a supervisor; nothing from the courier is evaluated.
 */
import { availableParallelism } from 'node:os';
import { TaskwardenError } from '../../base/errors.ts';
import { checkOptions, is, type Rule, show } from '../../base/options.ts';
import type { Demand, FreeCapacity } from '../../queue/free-capacity.ts';
import { type BackgroundTask, backgroundTask, submitterOf } from '../../task/call/background-task.ts';
import type { TaskHandle } from '../../task/call/handle.ts';
import { type TaskSubmitter, taskRules } from '../../task/call/task-options.ts';
import type { TaskFunction } from '../../task/definition/definition.ts';
import type { TaskType } from '../../task/record/task-type.ts';
import { type CourierCall, readCall } from '../calls/courier-call.ts';
import type { CourierTask } from '../courier.ts';
import { BaseWorker } from './base-worker.ts';
import { type BaseWorkerOptions, baseWorkerRules } from './base-worker-options.ts';
import {
  deadlineError,
  deadlineLeftMs,
  failureOptions,
  isLate,
  orDeadlineError,
  waitLeftMs,
} from './definition-rules.ts';
import { demandOf, Prefetch } from './prefetch.ts';
import type { ReturnForNext } from './result-return.ts';
import { deliveryOf, runSupervised } from './supervised-run.ts';
import type { TaskAndResult } from './task-results.ts';
import type { CourierTaskContext } from './tasks-in-flight.ts';

export interface ClassicWorkerOptions extends BaseWorkerOptions {
  /**
   * The functions that tasks may call, by name: background tasks, or plain functions, whose source is sent to a thread. Only
   * own properties count, as they are when the worker is made. The options of the functions apply, except `delayMs`, which is
   * that of the add. The courier makes the `retries`, with the pauses of `retryDelayMs`: those of the add, or else those of the
   * function; `retryIf` is asked here whether to try again. `queueTimeoutMs` counts from when the task could be delivered.
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

  /** @internal */
  override takeNext(results: readonly TaskAndResult[], ask: ReturnForNext): Promise<readonly CourierTask[]> {
    const { returnTaskResults, waitForTasks } = ClassicWorker.prototype;
    const isPlain = this.returnTaskResults === returnTaskResults && this.waitForTasks === waitForTasks;
    return isPlain && this.#prefetch ? this.#prefetch.takeNext(ask) : super.takeNext(results, ask);
  }

  /** @internal */
  override onIterationEnd(tasks: readonly CourierTask[]): void {
    for (const task of tasks) this.#prefetch?.submitted(task);
  }

  override async performSingleTask(task: CourierTask, context: CourierTaskContext): Promise<unknown> {
    const call = readCall(task.data, task.id);
    const { options: defined } = this.#find(task, call).spec;
    let handle: TaskHandle<unknown> | undefined;
    try {
      const target = this.#prepare(task, call);
      const { options } = target.spec;
      const submit = () => {
        handle = target.deliver(deliveryOf(task, context), call.args ?? []);
        this.#prefetch?.submitted(task);
        return handle;
      };
      // A supervisor that gave a task back can't run another one.
      const run = { options, submitter: submitterOf(options), submit, onGivenBack: () => this.stop() };
      return await runSupervised(run, context);
    } catch (thrown) {
      const error = orDeadlineError(task, defined, thrown);
      const failure = { error, endReason: handle?.info.endReason };
      if (isLate(task, defined)) context.giveUp();
      else context.onFailure(await failureOptions(task, defined, failure, (problem) => this.onError(problem, task)));
      throw error;
    }
  }

  #find({ id }: CourierTask, { function: name }: CourierCall): BackgroundTask<TaskFunction> {
    const target = this.#functions.get(name);
    if (target !== undefined) return target;
    const message = `task ${id} asks for the function ${show(name)}, which is not in the allow-list of its worker`;
    throw new TaskwardenError('FUNCTION_NOT_ALLOWED', message, { taskId: id });
  }

  /** The function with the options of its definition that hold here, and those of the task. */
  #prepare(task: CourierTask, call: CourierCall): BackgroundTask<TaskFunction> {
    const target = this.#find(task, call);
    const { options } = target.spec;
    const limitMs = Math.min(call.timeoutMs ?? Infinity, options.timeoutMs ?? Infinity);
    const leftMs = waitLeftMs(task, options, call.expiresAt);
    const deadlineMs = deadlineLeftMs(task, options);
    if (deadlineMs <= 0) throw deadlineError(task, options, task.attempt > 1);
    return target.with({
      priority: task.priority,
      delayMs: 0,
      retries: 0, // the courier makes them
      idempotencyKey: task.id,
      ...(task.key !== undefined && { key: task.key }),
      ...(leftMs !== undefined && { queueTimeoutMs: leftMs }),
      ...(limitMs < Infinity && { timeoutMs: limitMs }),
      ...(deadlineMs < Infinity && { deadlineMs }),
      ...(this.#supervisor && { supervisor: this.#supervisor }),
    });
  }
}

/** A function of an allow-list as a background task. */
export function taskOf(name: string, target: TaskFunction): BackgroundTask<TaskFunction> {
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
