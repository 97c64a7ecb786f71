/**
 * A background task that is called inside a thread or child. The call is posted to the supervisor, which posts updates
 * back, so that the handle here works like any other.
 */
import { callSafely } from '../../base/call-safely.ts';
import { isCloneable } from '../../base/cloneable.ts';
import { hasCode, TaskwardenError } from '../../base/errors.ts';
import { isArray, messageOf } from '../../base/foreign-value.ts';
import type { Priority } from '../../queue/priority.ts';
import { type BulkHandle, BulkTaskHandle } from '../call/bulk-handle.ts';
import { TaskHandle } from '../call/handle.ts';
import { keyOf } from '../call/task-key.ts';
import type { TaskOptions, TaskSpec } from '../call/task-options.ts';
import { wireDefinition } from '../definition/definition.ts';
import type { AllOptions } from '../inputs/bulk-options.ts';
import { type Input, joinInputs, separate } from '../inputs/chunk.ts';
import { type BulkInputs, notAnInput, sourceOf } from '../inputs/input-source.ts';
import { Task } from '../record/task.ts';
import { newIdPrefix, taskId } from '../record/task-id.ts';
import type { TaskOwner } from '../record/task-owner.ts';
import type { RunningTask } from './context.ts';
import { currentRun } from './context.ts';
import type { CarriedContext, ChildCommandMessage, ChildUpdate, SubmitMessage } from './task-message.ts';

let idPrefix: string | undefined;
let sequence = 0;

/** Submits a task that the running task `run` calls. */
export function submitFrom<T, Y>(run: RunningTask, spec: TaskSpec, args: readonly unknown[]): TaskHandle<T, Y> {
  checkSendable(spec);
  const task = newTask(run, spec, args);
  const handle = new TaskHandle<T, Y>(task);
  submitTask(run, task);
  return handle;
}

/** Submits an `all()` that the running task `run` calls. All inputs are read and sent at once. */
export function submitAllFrom<T>(
  run: RunningTask,
  spec: TaskSpec,
  { items, call, argsOf }: BulkInputs,
  { signal, ...options }: AllOptions,
): BulkHandle<T> {
  checkSendable(spec);
  if (typeof spec.options.key === 'function') {
    throw new TypeError(
      `${call} can't send the function "key" from inside a task: give the key as a string, or use map()`,
    );
  }
  const { source, isAsync } = sourceOf(items, call);
  if (isAsync) throw new TypeError(`${call} takes no async iterable inside a thread or child: read it first`);
  const args: unknown[] = [];
  const task = newTask(run, spec, args);
  task.isBulk = true;
  const handle = new BulkTaskHandle<T>(task);
  try {
    const inputs = [...{ [Symbol.iterator]: () => source as Iterator<unknown> }].map((input, index): Input => {
      if (!isArray(input)) throw notAnInput(call, index, input);
      return argsOf === undefined ? input : argsOf(input);
    });
    task.progress = { fraction: 0, done: 0, failed: 0, total: inputs.length };
    const arity = joinInputs(inputs, args);
    separate(args);
    submitTask(run, task, { arity, count: inputs.length, options }, signal);
  } catch (error) {
    task.settle('failed', error);
  }
  return handle;
}

function checkSendable(spec: TaskSpec): void {
  const { retryIf, retryDelayMs } = spec.options;
  const option = retryIf !== undefined ? 'retryIf' : typeof retryDelayMs === 'function' ? 'retryDelayMs' : undefined;
  if (option !== undefined) {
    throw new TypeError(
      `option "${option}" of task "${spec.options.name ?? spec.definition.name}" is a function, which can't be sent: ` +
        `inside a task, call it with { ${option}: undefined }, or retry in your own code`,
    );
  }
  if (!hasSource(spec)) {
    throw new TypeError(
      `task "${spec.options.name ?? spec.definition.name}" can't be sent from inside a task: ` +
        'a native or bound function has no source; wrap it in a function of yours',
    );
  }
}

function newTask(run: RunningTask, spec: TaskSpec, args: readonly unknown[]): Task {
  sequence += 1;
  const task = new Task(spec, args, sequence, new SubTaskOwner(run));
  task.isSubTask = true;
  return task;
}

/** @param signal Cancels it, as that of its options does. */
function submitTask(run: RunningTask, task: Task, bulk?: SubmitMessage['bulk'], signal?: AbortSignal): void {
  if (!task.options.delayMs) task.enqueue();
  const signals = [task.options.signal, signal].filter((each) => each !== undefined);
  const problem =
    problemOf(run, task) ??
    postSubmit(
      run,
      task,
      signals.find(({ aborted }) => aborted),
      bulk,
    );
  if (problem !== undefined) {
    task.settle('failed', problem);
    return;
  }
  run.addChild(task.id, (update) => handleUpdate(task, update));
  for (const each of signals) task.listenToSignal(each, () => task.cancel(each.reason));
}

function hasSource({ definition }: TaskSpec): boolean {
  return definition.moduleUrl !== undefined || definition.source !== undefined;
}

/** Why the call can't be posted: updates of it would reach nobody, or another task. */
function problemOf(run: RunningTask, task: Task): TaskwardenError | undefined {
  if (run.hasEnded) {
    const message = `task "${task.name}" is called by left-over code of task "${run.name}", which has ended: await the call inside the task`;
    return new TaskwardenError('NOT_IN_TASK', message, { taskId: task.id });
  }
  if (!run.hasChild(task.id)) return undefined;
  return new TaskwardenError('DUPLICATE_TASK_ID', `a live task has the id '${task.id}' already`, { taskId: task.id });
}

/** Posts the call. Returns the error if that is not possible. */
function postSubmit(
  run: RunningTask,
  task: Task,
  aborted: AbortSignal | undefined,
  bulk: SubmitMessage['bulk'],
): TaskwardenError | undefined {
  let carried: CarriedContext | undefined;
  try {
    const { id, args } = task;
    const definition = wireDefinition(task.definition);
    carried = run.captureContext?.();
    const key = keyOf(task.spec, args);
    if (key !== undefined) task.key = key;
    const options = { ...plainOptions(task.options), ...(key !== undefined && { key }) };
    const { name, limits } = task.options.module ?? {};
    const module = name !== undefined && limits !== undefined && { name, limits };
    run.post({
      topic: 'submit',
      id,
      definition,
      options,
      args: aborted === undefined ? args : [], // which may not be readable there
      ...(module && { module }),
      ...(carried && { carried }),
      ...(bulk && { bulk: aborted === undefined ? bulk : { ...bulk, count: 0 } }),
      ...(aborted && { aborted: { reason: aborted.reason } }),
    });
    return undefined;
  } catch (cause) {
    if (hasCode(cause, 'KEY_FAILED')) return cause;
    return uncloneable(task, cause, carried);
  }
}

class SubTaskOwner implements TaskOwner<Task> {
  readonly #run: RunningTask;

  constructor(run: RunningTask) {
    this.#run = run;
  }

  assignId({ options, sequence: number }: Task): string {
    idPrefix ??= newIdPrefix();
    return options.taskId ?? taskId(idPrefix, number);
  }

  cancel(task: Task, reason: unknown): boolean {
    if (task.isSettled) return false;
    this.#command(task, { kind: 'cancel', reason });
    return true;
  }

  stop(task: Task): void {
    if (!task.isSettled) this.#command(task, { kind: 'stop' });
  }

  /** Whether the program could do so is not known here. */
  setPriority(task: Task, priority: Priority): boolean {
    if (task.status !== 'delayed' && task.status !== 'queued') return false;
    sequence += 1;
    task.changePriority(priority, sequence);
    this.#command(task, { kind: 'set-priority', priority });
    return true;
  }

  send(task: Task, data: Parameters<TaskOwner<Task>['send']>[1]): void {
    this.#command(task, { kind: 'data', data });
  }

  onAwaited(task: Task): void {
    if (!task.isSettled && currentRun() === this.#run) this.#command(task, { kind: 'await' });
  }

  lenderOf(): undefined {}

  #command(task: Task, command: ChildCommandMessage['command']): void {
    if (!this.#run.hasEnded) this.#run.post({ topic: 'child-command', id: task.id, command });
  }
}

function handleUpdate(task: Task, update: ChildUpdate): void {
  if (task.isSettled) return;
  switch (update.kind) {
    case 'started':
      if (task.status === 'delayed') task.enqueue();
      task.putBack(); // it may have started before in a thread or child that died before the function began
      task.start(update.hostId);
      break;
    case 'retried':
      task.retry();
      break;
    case 'progress':
      task.report(update.progress, (problem) => logProblem(task, 'a listener of onProgress failed', problem));
      break;
    case 'data':
      task.channels.handle(update.data);
      break;
    case 'ended':
      task.settle(update.endReason, update.outcome);
      if (update.endReason !== 'completed') break;
      if (task.isBulk) for (const result of update.outcome as unknown[]) callBack(task, result);
      else callBack(task, update.outcome);
  }
}

function callBack(task: Task, result: unknown): void {
  const { callback = [] } = task.options;
  for (const call of typeof callback === 'function' ? [callback] : callback) {
    callSafely(
      (value: unknown) => task.runInScope(() => call(value)),
      result,
      (problem) => logProblem(task, 'a callback failed', problem),
    );
  }
}

function logProblem({ name, id }: Task, what: string, problem: unknown): void {
  console.error(`task "${name}" (${id}): ${what}:`, problem);
}

/** Functions stay here, and so does the signal: callbacks and cancellation work from this side. */
function plainOptions(options: TaskOptions): TaskOptions {
  const { signal, callback, transfer, supervisor, module, retryIf, taskId, key, ...plain } = options;
  return plain;
}

function uncloneable(task: Task, cause: unknown, carried?: CarriedContext): TaskwardenError {
  const reason = messageOf(cause);
  const which = isCloneable(carried?.value) ? 'its arguments' : 'what its context carrier has captured';
  const message = `task "${task.name}" can't be called from inside a task: ${which} can't be copied (${reason})`;
  return new TaskwardenError('ARGUMENT_NOT_CLONEABLE', message, { cause, taskId: task.id });
}
