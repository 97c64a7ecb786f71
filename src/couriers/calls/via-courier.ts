/**
 * viaCourier: calls of a background task that run on whichever machine serves a queue. For each call a relay runs on the
 * event loop: it adds a task to the courier, forwards messages both ways, and returns the result. `add()` only adds the task.
 */

import type { Backoff } from '../../base/backoff.ts';
import { hasCode, TaskwardenError } from '../../base/errors.ts';
import { checkOptions, is, type Rule, rules } from '../../base/options.ts';
import { Timer } from '../../platform/clock.ts';
import { randomUUID, timeOfDay } from '../../platform/globals.ts';
import { type BackgroundTask, wrapPlan } from '../../task/call/background-task.ts';
import { keyOf } from '../../task/call/task-key.ts';
import type { ResolvedTaskOptions, TaskOptions, TaskSpec } from '../../task/call/task-options.ts';
import type { TaskFunction } from '../../task/definition/definition.ts';
import { currentRun, type RunningTask } from '../../task/inside/context.ts';
import type { Task } from '../../task/record/task.ts';
import type { AddOptions, ClientCommand, ClientTaskCourier, TaskUpdate } from '../courier.ts';
import { courierRule } from '../workers/base-worker-options.ts';
import type { CourierCall } from './courier-call.ts';
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
      return new Relay(courier, queue, run).run(
        this.#callOf(args, options),
        { ...addOptions, ...keyOfRun(run), id: own.taskId === undefined ? (run.task as Task).id : randomUUID() },
        queueTimeoutMs === undefined ? Infinity : delayMs + queueTimeoutMs,
      );
    };
    return this.specFor(fn, own);
  }

  #addOptions({ priority, delayMs = 0, retries, retryDelayMs, retryIf }: ResolvedTaskOptions): AddOptions {
    if (retryIf !== undefined || typeof retryDelayMs === 'function') {
      const option = retryIf === undefined ? 'retryDelayMs' : 'retryIf';
      throw new TypeError(
        `option "${option}" of task "${this.name}" is a function, and can't go by a courier: ` +
          'set it to undefined for viaCourier(), or retry in your own code',
      );
    }
    return {
      priority,
      delayMs,
      ...(retries !== undefined && { retries }),
      ...(retryDelayMs !== undefined && { retryDelayMs }),
    };
  }

  #callOf(args: readonly unknown[], { timeoutMs }: ResolvedTaskOptions): CourierCall {
    const limit = timeoutMs !== undefined && timeoutMs !== this.#defined.timeoutMs && { timeoutMs };
    return { function: this.name, args, ...limit };
  }

  membersFor(options: ResolvedTaskOptions, spec: TaskSpec): object {
    const { taskId, signal, delayMs = 0, queueTimeoutMs, unique, uniqueForMs } = options;
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
        refuse('add()', ['callback', 'deadlineMs', 'uniqueWhile']);
        const key = keyOf(spec, args);
        const own = {
          ...(key !== undefined && { key }),
          ...(unique !== undefined && { unique }),
          ...(uniqueForMs !== undefined && { uniqueForMs }),
          ...(taskId !== undefined && { id: taskId }),
          ...(signal !== undefined && { signal }),
        };
        return this.#courier.addTaskToQueue(this.#queue, callOf(args), { ...addOptions, ...own });
      },
      addAll: async (inputs: Iterable<readonly unknown[]>, own: AddAllOptions = {}) => {
        refuse('addAll()', Object.keys(notAdded));
        checkOptions(own, addAllRules, `${this.name}.addAll()`);
        if (typeof options.key === 'function') {
          throw new TypeError(
            `${this.name}.addAll() takes no function as option "key": all have the same one; use add()`,
          );
        }
        const key = options.key !== undefined && { key: options.key };
        const more = { ...addOptions, ...key, ...own };
        return this.#courier.bulkAddTasksToQueue(this.#queue, Array.from(inputs, callOf), more);
      },
    };
  }
}

/** The options with which nothing can be added, and why; the last ones only not with `addAll()`. */
const notAdded: Readonly<Record<string, string>> = {
  callback: 'it does not wait for results',
  deadlineMs: 'nobody here would end the task; use timeoutMs and queueTimeoutMs',
  uniqueWhile: 'at a courier a task is unique until it has ended',
  unique: 'use add()',
  taskId: 'use add()',
};

/** The key of the call, by which the limits of the queue go. */
function keyOfRun({ task }: RunningTask): Pick<AddOptions, 'key'> {
  const { key } = task as Task;
  return key === undefined ? {} : { key };
}

/** Performs one call. */
class Relay {
  readonly #courier: ClientTaskCourier;
  readonly #queue: string;
  readonly #run: RunningTask;
  #id = '';
  /** Fires if no worker has started the task in time. */
  #timer: Timer | undefined;
  #expiry: TaskwardenError | undefined;
  /** Set when the task was canceled here. */
  #canceled: { readonly reason: unknown } | undefined;
  #isAdded = false;

  constructor(courier: ClientTaskCourier, queue: string, run: RunningTask) {
    this.#courier = courier;
    this.#queue = queue;
    this.#run = run;
  }

  async run(call: CourierCall, addOptions: AddOptions & { readonly id: string }, waitMs: number): Promise<unknown> {
    this.#id = addOptions.id;
    this.#run.listener = { onStop: (reason) => this.#onStopRequest(reason) };
    const unsubscribe = await this.#courier.subscribeToTask(this.#queue, this.#id, (update) => this.#onUpdate(update));
    try {
      if (this.#canceled !== undefined) throw this.#canceled.reason;
      this.#timer = new Timer(waitMs, () => this.#expire(waitMs));
      await this.#courier.addTaskToQueue(this.#queue, call, addOptions);
      this.#isAdded = true;
      this.#cancelIfRequested();
      void this.#forwardMessages();
      return await this.#courier.waitForTaskResult(this.#queue, this.#id);
    } catch (error) {
      throw this.#expiry !== undefined && isCanceled(error) ? this.#expiry : error;
    } finally {
      this.#run.listener = undefined;
      this.#timer?.cancel();
      unsubscribe();
    }
  }

  #onUpdate(update: TaskUpdate): void {
    if (update.kind === 'started') this.#timer?.cancel();
    else if (update.kind === 'progress') this.#run.progress(update.progress.fraction, update.progress.note);
    else void this.#run.send(update.data);
  }

  /** Handles cancels. A request to finish is sent by `#forwardMessages`, after the messages that were sent before it. */
  #onStopRequest(reason: unknown): void {
    if (hasCode(reason, 'TASK_STOPPED')) return;
    this.#canceled = { reason };
    this.#cancelIfRequested();
  }

  #cancelIfRequested(): void {
    if (this.#isAdded && this.#canceled !== undefined) void this.#cancel(this.#canceled.reason);
  }

  /** Forwards the messages to the task, in order, until it has ended or is asked to finish. */
  async #forwardMessages(): Promise<void> {
    const send = (command: ClientCommand) => this.#courier.sendToTask(this.#queue, this.#id, command);
    try {
      for (;;) {
        const data = await this.#run.recv();
        if (this.#run.hasEnded) return;
        if (data === undefined && this.#run.stopped) break;
        await send({ kind: 'message', data }).catch(warnIfNotCloneable);
      }
      if (this.#canceled === undefined) await send({ kind: 'stop' });
    } catch {
      // If the courier fails, the wait for the result fails, too.
    }
  }

  #expire(timeoutMs: number): void {
    const message = `task "${this.#run.name}" waited longer than its ${timeoutMs} ms, and no worker has begun it`;
    this.#expiry = new TaskwardenError('TASK_EXPIRED', message, { taskId: this.#run.id, timeoutMs });
    this.#canceled ??= { reason: this.#expiry };
    this.#cancelIfRequested();
  }

  async #cancel(reason: unknown): Promise<void> {
    try {
      await this.#courier.cancelTask(this.#queue, this.#id, reason);
    } catch {
      // The reason may be a value that can't be copied. If the courier fails, the wait for the result fails, too.
      await this.#courier.cancelTask(this.#queue, this.#id).catch(() => {});
    }
  }
}

function isCanceled(error: unknown): boolean {
  return hasCode(error, 'TASK_CANCELED');
}

/** A message that can't be copied to the courier is dropped with a warning; the messages after it are sent. */
function warnIfNotCloneable(error: unknown): void {
  if (!hasCode(error, 'MESSAGE_NOT_CLONEABLE')) throw error;
  process.emitWarning(error);
}
