/**
 * viaCourier: calls of a background task that run on whichever machine serves a queue. For each call a relay runs on the
 * event loop: it adds a task to the courier, forwards messages both ways, and returns the result. `add()` only adds the task.
 */

import type { Backoff } from '../../base/backoff.ts';
import { isArray } from '../../base/foreign-value.ts';
import { checkOptions, is, type Rule, rules } from '../../base/options.ts';
import { randomUUID, timeOfDay } from '../../platform/globals.ts';
import { type BackgroundTask, wrapPlan } from '../../task/call/background-task.ts';
import { keyOf } from '../../task/call/task-key.ts';
import type { ResolvedTaskOptions, TaskOptions, TaskSpec } from '../../task/call/task-options.ts';
import type { TaskFunction } from '../../task/definition/definition.ts';
import { notAnInput } from '../../task/inputs/input-source.ts';
import { currentRun, type RunningTask } from '../../task/inside/context.ts';
import type { Task } from '../../task/record/task.ts';
import type { AddOptions, ClientTaskCourier } from '../courier.ts';
import { courierRule } from '../workers/base-worker-options.ts';
import type { CourierCall } from './courier-call.ts';
import { CourierRelay } from './courier-relay.ts';
import { RelayPlan } from './relay-task.ts';

/** The options of a call that goes by a courier. Functions that decide on retries can't go there. */
export type CourierTaskOptions<F extends TaskFunction = TaskFunction> = Omit<
  TaskOptions<F>,
  'type' | 'transfer' | 'crashRetries' | 'retryIf' | 'retryDelayMs'
> & { readonly retryIf?: never; readonly retryDelayMs?: number | Backoff };

export interface AddAllOptions {
  /** As that of `addTaskToQueue()`. Default: false. */
  readonly wait?: boolean;
  /** Ends that wait. */
  readonly signal?: AbortSignal;
}

/** A background task whose calls go by a courier. */
export interface CourierFunction<F extends TaskFunction> extends BackgroundTask<F> {
  /**
   * Adds a call to the queue and forgets it: resolves with the id of the task when the courier has it. Its result is kept as
   * long as any: see `waitForTaskResult()`. Can be called in threads and children, too. Rejects as `addTaskToQueue()` does.
   */
  add(...args: Parameters<F>): Promise<string>;
  /** The same for many calls, all or none. Resolves with their ids, in order. */
  addAll(inputs: Iterable<Parameters<F>>, options?: AddAllOptions): Promise<string[]>;
  with(options: CourierTaskOptions<F>): CourierFunction<F>;
}

/**
 * The task as one that a worker of the queue runs: a `ClassicWorker` with that name in its `functions`. Its options mean the
 * same as before, and the courier handles `retries`, `retryDelayMs` and `delayMs`. The worker's definition of the task says
 * where it runs, what happens when its thread dies, and its `timeoutMs`, which `with()` can only shorten. The handle is
 * `'started'` as soon as the courier is asked. Calls inside a thread or child fail with `NOT_IN_PROGRAM`.
 */
export function viaCourier<F extends TaskFunction>(
  courier: ClientTaskCourier,
  queue: string,
  task: BackgroundTask<F>,
): CourierFunction<F> {
  courierRule(courier, 'the courier of viaCourier()');
  rules.string(queue, 'the queue of viaCourier()');
  backgroundTaskRule(task, 'the task of viaCourier()');
  const plan = new CourierPlan(courier, queue, task.spec.definition.name, task.spec.options);
  return wrapPlan(plan, task.spec.options) as unknown as CourierFunction<F>;
}

/** The same for a task that the workers of the queue know by this name, without arguments and with their own options. */
export function nameViaCourier(
  courier: ClientTaskCourier,
  queue: string,
  name: string,
  options: ResolvedTaskOptions,
): BackgroundTask<TaskFunction> {
  return wrapPlan(new CourierPlan(courier, queue, name, options), options);
}

const addAllRules: Readonly<Record<keyof AddAllOptions, Rule>> = { wait: rules.boolean, signal: rules.signal };

const backgroundTaskRule = is('a background task', (value) => typeof value === 'function' && 'spec' in value);

const iterableRule = is(
  'an iterable, and no async one',
  (value) => typeof Object(value)[Symbol.iterator] === 'function',
);

class CourierPlan extends RelayPlan {
  readonly name: string;
  readonly by = 'a courier';
  readonly #courier: ClientTaskCourier;
  readonly #queue: string;
  /** The options of the task's definition, which the worker knows. */
  readonly #defined: ResolvedTaskOptions;

  constructor(courier: ClientTaskCourier, queue: string, name: string, defined: ResolvedTaskOptions) {
    super();
    this.name = defined.name ?? name;
    this.#courier = courier;
    this.#queue = queue;
    this.#defined = defined;
  }

  specOf(options: ResolvedTaskOptions): BackgroundTask<TaskFunction>['spec'] {
    const { delayMs = 0, retries, retryDelayMs, retryIf, timeoutMs, queueTimeoutMs, transfer, ...own } = options;
    const courier = this.#courier;
    const queue = this.#queue;
    const addOptions = this.#addOptions(options);
    const fn = (...args: unknown[]) => {
      const run = currentRun() as RunningTask;
      const task = run.task as Task;
      return new CourierRelay(courier, queue, run).run(
        this.#callOf(args, options),
        { ...addOptions, ...keyOfTask(task, options), id: own.taskId === undefined ? task.id : randomUUID() },
        queueTimeoutMs === undefined ? Infinity : delayMs + queueTimeoutMs,
      );
    };
    return this.specFor(fn, own);
  }

  #addOptions(options: ResolvedTaskOptions): AddOptions {
    const { priority, delayMs = 0, deadlineMs, retries, retryDelayMs, retryIf, uniqueWhile } = options;
    if (uniqueWhile === 'waiting') {
      throw new TypeError(
        `option "uniqueWhile" of task "${this.name}" must not be 'waiting': at a courier a task is unique until it has ended`,
      );
    }
    if (retryIf !== undefined || typeof retryDelayMs === 'function') {
      const option = retryIf === undefined ? 'retryDelayMs' : 'retryIf';
      throw new TypeError(
        `option "${option}" of task "${this.name}" is a function, and can't go by a courier: ` +
          `give it task.with({ ${option}: undefined }), or retry in your own code`,
      );
    }
    return {
      priority,
      delayMs,
      ...(deadlineMs !== undefined && { deadlineMs }),
      ...(retries !== undefined && { retries }),
      ...(retryDelayMs !== undefined && { retryDelayMs }),
    };
  }

  #callOf(args: readonly unknown[], { timeoutMs }: ResolvedTaskOptions): CourierCall {
    const limit = timeoutMs !== undefined && timeoutMs !== this.#defined.timeoutMs && { timeoutMs };
    return { function: this.name, args, ...limit };
  }

  membersFor(options: ResolvedTaskOptions, spec: TaskSpec): object {
    const { taskId, signal, delayMs = 0, queueTimeoutMs } = options;
    const addOptions = this.#addOptions(options);
    /** Nobody here could end its wait. */
    const callOf = (args: readonly unknown[]) => ({
      ...this.#callOf(args, options),
      ...(queueTimeoutMs !== undefined && { expiresAt: timeOfDay() + delayMs + queueTimeoutMs }),
    });
    const refuse = (call: string, refused: readonly string[]) => {
      const option = refused.find((each) => options[each as keyof ResolvedTaskOptions] !== undefined);
      if (option === undefined) return;
      throw new TypeError(`${this.name}.${call} takes no option "${option}": ${notAdded[option]}`);
    };
    return {
      add: async (...args: unknown[]) => {
        refuse('add()', ['callback', 'uniqueWhile']);
        const key = keyOf(spec, args);
        const own = {
          ...(key !== undefined && { key }),
          ...uniqueOptions(options),
          ...(taskId !== undefined && { id: taskId }),
          ...(signal !== undefined && { signal }),
        };
        return this.#courier.addTaskToQueue(this.#queue, callOf(args), { ...addOptions, ...own });
      },
      addAll: async (inputs: Iterable<readonly unknown[]>, own: AddAllOptions = {}) => {
        const call = `${this.name}.addAll()`;
        refuse('addAll()', Object.keys(notAdded));
        checkOptions(own, addAllRules, call);
        if (typeof options.key === 'function') {
          throw new TypeError(`${call} takes no function as option "key": all have the same one; use add()`);
        }
        const key = options.key !== undefined && { key: options.key };
        const calls = inputsOf(inputs, call).map(callOf);
        return this.#courier.bulkAddTasksToQueue(this.#queue, calls, { ...addOptions, ...key, ...own });
      },
    };
  }
}

/** The options with which nothing can be added, and why; the last ones only not with `addAll()`. */
const notAdded: Readonly<Record<string, string>> = {
  callback: 'it does not wait for results',
  uniqueWhile: 'at a courier a task is unique until it has ended',
  unique: 'use add()',
  taskId: 'use add()',
};

/** @throws TypeError if they are no lists of arguments: a worker could not call its function. */
function inputsOf(inputs: Iterable<readonly unknown[]>, call: string): readonly (readonly unknown[])[] {
  iterableRule(inputs, `the inputs of ${call}`);
  return Array.from(inputs, (input, index) => {
    if (!isArray(input)) throw notAnInput(call, index, input);
    return input;
  });
}

/** The key of the call, by which the limits of the queue go, and whether there is one of it at a time. */
function keyOfTask({ key }: Task, options: ResolvedTaskOptions): AddOptions {
  return { ...(key !== undefined && { key }), ...uniqueOptions(options) };
}

function uniqueOptions({ unique, uniqueForMs }: ResolvedTaskOptions): AddOptions {
  return { ...(unique !== undefined && { unique }), ...(uniqueForMs !== undefined && { uniqueForMs }) };
}
