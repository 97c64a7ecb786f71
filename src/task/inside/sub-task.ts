/**
 * A background task that is called inside a thread or child. The call is posted to the supervisor, which posts updates
 * back, so that the handle here works like any other.
 */
import { callSafely } from '../../base/call-safely.ts';
import { isCloneable } from '../../base/cloneable.ts';
import { TaskwardenError } from '../../base/errors.ts';
import { messageOf } from '../../base/foreign-value.ts';
import { TaskHandle } from '../call/handle.ts';
import type { TaskOptions, TaskSpec } from '../call/task-options.ts';
import { wireDefinition } from '../definition/definition.ts';
import { Task } from '../record/task.ts';
import { newIdPrefix, taskId } from '../record/task-id.ts';
import type { TaskOwner } from '../record/task-owner.ts';
import type { RunningTask } from './context.ts';
import { currentRun } from './context.ts';
import type { CarriedContext, ChildCommandMessage, ChildUpdate } from './task-message.ts';

let idPrefix: string | undefined;
let sequence = 0;

/** Submits a task that the running task `run` calls. */
export function submitFrom<T, Y>(run: RunningTask, spec: TaskSpec, args: readonly unknown[]): TaskHandle<T, Y> {
  if (spec.options.retryIf !== undefined) {
    throw new TypeError(
      `option "retryIf" of task "${spec.options.name ?? spec.definition.name}" is a function, which can't be sent: ` +
        'inside a task, call it with { retryIf: undefined }, or retry in your own code',
    );
  }
  if (!hasSource(spec)) {
    throw new TypeError(
      `task "${spec.options.name ?? spec.definition.name}" can't be sent from inside a task: ` +
        'a native or bound function has no source; wrap it in a function of yours',
    );
  }
  sequence += 1;
  const task = new Task(spec, args, sequence, new SubTaskOwner(run));
  task.isSubTask = true;
  const handle = new TaskHandle<T, Y>(task);
  if (!spec.options.delayMs) task.enqueue();
  const problem = problemOf(run, task) ?? postSubmit(run, task);
  if (problem !== undefined) {
    task.settle('failed', problem);
    return handle;
  }
  run.addChild(task.id, (update) => handleUpdate(task, update));
  const { signal } = spec.options;
  if (signal !== undefined) task.listenToSignal(signal, () => task.cancel(signal.reason));
  return handle;
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
function postSubmit(run: RunningTask, task: Task): TaskwardenError | undefined {
  let carried: CarriedContext | undefined;
  try {
    const { id, args } = task;
    const definition = wireDefinition(task.definition);
    carried = run.captureContext?.();
    const options = plainOptions(task.options);
    const { name, maxWorkers } = task.options.module ?? {};
    const { signal } = task.options;
    const module = name !== undefined && maxWorkers !== undefined && { name, maxWorkers };
    run.post({
      topic: 'submit',
      id,
      definition,
      options,
      args: signal?.aborted ? [] : args, // which may not be readable there
      ...(module && { module }),
      ...(carried && { carried }),
      ...(signal?.aborted && { aborted: { reason: signal.reason } }),
    });
    return undefined;
  } catch (cause) {
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
      if (update.endReason === 'completed') callBack(task, update.outcome);
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
  const { signal, callback, transfer, supervisor, module, retryIf, taskId, ...plain } = options;
  return plain;
}

function uncloneable(task: Task, cause: unknown, carried?: CarriedContext): TaskwardenError {
  const reason = messageOf(cause);
  const which = isCloneable(carried?.value) ? 'its arguments' : 'what its context carrier has captured';
  const message = `task "${task.name}" can't be called from inside a task: ${which} can't be copied (${reason})`;
  return new TaskwardenError('ARGUMENT_NOT_CLONEABLE', message, { cause, taskId: task.id });
}
