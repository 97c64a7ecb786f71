/** Admits tasks or refuses them: those of the program, and those that running tasks call. */
import { type ErrorCode, TaskwardenError } from '../base/errors.ts';
import type { LaneHost } from '../lanes/lane.ts';
import { type BulkHandle, BulkTaskHandle } from '../task/call/bulk-handle.ts';
import { TaskHandle } from '../task/call/handle.ts';
import { keyOf } from '../task/call/task-key.ts';
import type { TaskSpec } from '../task/call/task-options.ts';
import { type ResolvedTaskOptions, resolveTaskOptions, type TaskCap } from '../task/call/task-options.ts';
import { TaskShare } from '../task/call/task-share.ts';
import { wireDefinition } from '../task/definition/definition.ts';
import { definitionOf } from '../task/definition/definition-registry.ts';
import { isHost, isLoadingModule } from '../task/definition/load-phase.ts';
import type { AllOptions } from '../task/inputs/bulk-options.ts';
import { splitInputs } from '../task/inputs/chunk.ts';
import type { BulkInputs } from '../task/inputs/input-source.ts';
import { currentRun, type RunningTask } from '../task/inside/context.ts';
import type { ContextCarrier } from '../task/inside/context-carrier.ts';
import { submitAllFrom, submitFrom } from '../task/inside/sub-task.ts';
import type { ChildUpdate, SubmitMessage } from '../task/inside/task-message.ts';
import { Task } from '../task/record/task.ts';
import type { TaskOwner } from '../task/record/task-owner.ts';
import type { TaskTable } from '../task/record/task-table.ts';
import type { Backlog } from './backlog.ts';
import type { Bulk } from './bulk/bulk.ts';
import { checkRetryable } from './changes/retryable.ts';
import type { Dispatcher, SubmissionListener } from './dispatcher.ts';
import type { LaneRegistry } from './lane-registry.ts';
import type { Startable } from './supervisor-state.ts';

interface AdmissionOptions {
  readonly current: {
    readonly maxQueued: number;
    readonly maxDepth: number;
    readonly context: ContextCarrier | undefined;
  };
}

interface AdmissionParts {
  readonly supervisor: Startable;
  readonly options: AdmissionOptions;
  readonly modules: { find(name: string, limits: object): TaskCap };
  readonly lanes: LaneRegistry;
  readonly backlog: Backlog;
  readonly table: TaskTable;
  readonly dispatcher: Dispatcher;
}

export class Admission implements SubmissionListener {
  readonly #parts: AdmissionParts;
  readonly #owner: TaskOwner<Task>;
  /** Whether runs of background workers are admitted while the supervisor stops. */
  takesRuns = false;

  constructor(parts: AdmissionParts) {
    const { dispatcher, lanes, table, supervisor } = parts;
    const { settlement, slots, tree, bulks } = dispatcher;
    this.#parts = parts;
    this.#owner = {
      assignId: (task) => table.assignId(task),
      // While a module loads in a thread, cancel() and stop() do nothing there.
      cancel: (task, reason) => !isLoadingModule() && settlement.leave(task, reason),
      stop: (task) => {
        if (!isLoadingModule()) settlement.stop(task);
      },
      setPriority: (task, priority) =>
        !isLoadingModule() && dispatcher.priorityChanges.change(dispatcher.unique.leaderOf(task), priority),
      send: (task, message) => lanes.send(task, message),
      onAwaited: (task) => {
        const parent = runningTask();
        if (parent === undefined || parent.id !== task.parentId) return;
        slots.lendTo(task, parent);
        if (task.isBulk) bulks.onAwaited(task, parent);
      },
      lenderOf: (task, ofKey) => tree.lenderOf(task, ofKey),
      submitter: supervisor,
    };
    bulks.setOwner(this.#owner);
    dispatcher.subscribe(this);
  }

  /** In a thread or child, a running task submits to its own supervisor; a module that loads there submits to none. */
  submit<T, Y>(spec: TaskSpec, args: readonly unknown[]): TaskHandle<T, Y> {
    const run = currentRun();
    if (run !== undefined && isHost()) return submitFrom(run, spec, args);
    this.#checkModule(spec);
    const task = this.#newTask(spec, args);
    const handle = new TaskHandle<T, Y>(spec.options.unique === undefined ? task : new TaskShare(task));
    if (!isHost()) this.#admitFromProgram(task, run);
    return handle;
  }

  /** As `submit()`, for many inputs. */
  submitAll<T>(spec: TaskSpec, inputs: BulkInputs, options: AllOptions): BulkHandle<T> {
    const run = currentRun();
    if (run !== undefined && isHost()) return submitAllFrom(run, spec, inputs, options);
    this.#checkModule(spec);
    const task = this.#newTask(spec, []);
    const bulk = this.#parts.dispatcher.bulks.add(task, inputs, options);
    const handle = new BulkTaskHandle<T>(task);
    if (!isHost()) this.#admitFromProgram(task, run, bulk);
    return handle;
  }

  /** A call that runs in that thread or child. No limit of the supervisor or of a module holds it back, and it is not tried again. */
  submitTo<T>(host: LaneHost, { definition, options: given }: TaskSpec, args: readonly unknown[]): TaskHandle<T> {
    const { module, delayMs, retries, crashRetries, taskId, ...options } = given;
    const task = this.#newTask({ definition, options: Object.freeze(options) }, args);
    const handle = new TaskHandle<T>(task);
    this.#carryContext(task);
    if (this.#setKey(task)) this.#parts.dispatcher.submitTo(host, task);
    return handle;
  }

  /** Runs a task that has ended once more, as a new task. The kept arguments are as they were given. */
  retry(id: string): TaskHandle<unknown> {
    const { table, dispatcher } = this.#parts;
    const ended = table.find(id, dispatcher.pending.begun);
    checkRetryable(id, ended);
    const { definition, options } = ended.spec;
    const { taskId, delayMs, delivery, signal, unique, ...rest } = options;
    const idempotencyKey = options.idempotencyKey ?? ended.id;
    const isOpen = signal !== undefined && !signal.aborted;
    const spec = { definition, options: Object.freeze({ ...rest, idempotencyKey, ...(isOpen && { signal }) }) };
    this.#checkModule(spec);
    const task = this.#newTask(spec, ended.args);
    task.retryOf = ended.id;
    task.keptWork = ended.keptWork;
    if (ended.carried !== undefined) task.carried = ended.carried;
    const handle = new TaskHandle<unknown>(task);
    this.#admit(task, false);
    return handle;
  }

  #checkModule({ definition, options: { module, name = definition.name } }: TaskSpec): void {
    const { supervisor } = this.#parts;
    if (module !== undefined && module.supervisor !== supervisor) {
      throw new TypeError(`task "${name}" is of module "${module.name}" of another supervisor than ${supervisor.name}`);
    }
  }

  #admitFromProgram(task: Task, run: RunningTask | undefined, bulk?: Bulk): void {
    const { supervisor, dispatcher } = this.#parts;
    this.#carryContext(task);
    const parent = run?.task as Task | undefined;
    const isOurs = parent !== undefined && parent.submitter === supervisor;
    if (isOurs) dispatcher.tree.addChild(parent, task);
    this.#admit(task, isOurs, bulk);
  }

  #carryContext(task: Task): void {
    const { context } = this.#parts.options.current;
    const value = context === undefined || task.type === 'loop' ? undefined : context.capture();
    if (value !== undefined) {
      task.carried = { definition: wireDefinition((context as ContextCarrier).definition), value };
    }
  }

  /** A task that runs in a thread or child calls another. */
  submitChild(parent: Task, message: SubmitMessage): void {
    const { id, definition, options, args, module: cap, carried, aborted, bulk: inputs } = message;
    const { dispatcher, lanes, modules } = this.#parts;
    const module = cap && { module: modules.find(cap.name, cap.limits) };
    const signal = aborted && { signal: AbortSignal.abort(aborted.reason) };
    const resolved = resolveTaskOptions({ ...options, ...module, ...signal, taskId: id }, 'a task');
    const task = this.#newTask({ definition: definitionOf(definition), options: resolved }, inputs ? [] : args);
    const bulk = inputs && dispatcher.bulks.add(task, receivedInputs(args, inputs), inputs.options);
    if (carried !== undefined && options.type !== 'loop') task.carried = carried;
    if (task.definition.callKind !== undefined) task.isAwaited = true;
    const send = (update: ChildUpdate) => lanes.send(parent, { topic: 'child-update', id, update });
    dispatcher.tree.addChild(parent, task, (update) => {
      try {
        send(update);
      } catch (cause) {
        if (update.kind === 'data' && task.type === 'loop') throw cause; // to the function that sends it
        const message = `what task "${task.name}" gives can't be copied to the task that called it`;
        const outcome = new TaskwardenError('RESULT_NOT_CLONEABLE', message, { cause, taskId: id });
        send({ kind: 'ended', endReason: 'failed', outcome });
        dispatcher.settlement.leave(task, outcome); // its parent, which has its end, can't any more
      }
    });
    this.#admit(task, true, bulk);
  }

  #newTask(spec: TaskSpec, args: readonly unknown[]): Task {
    return new Task(spec, args, this.#parts.table.nextSequence(), this.#owner);
  }

  /** While the supervisor waits for running tasks and for workers, the tasks that they call are admitted. */
  #admit(task: Task, isSubTask: boolean, bulk?: Bulk): void {
    const { supervisor, dispatcher, backlog, table, options } = this.#parts;
    if (supervisor.state === 'idle') supervisor.start();
    const { taskId } = task.options;
    const isLate = isSubTask || (task.worker !== undefined && this.takesRuns);
    const isOpen = supervisor.state === 'running' || (isLate && !backlog.isClosed && supervisor.state === 'stopping');
    if (!isOpen) {
      const message = `task "${task.name}" comes too late: ${supervisor.name} is ${supervisor.state}`;
      this.#refuse(task, 'SUPERVISOR_STOPPED', message);
    } else if (taskId !== undefined && table.findLive(taskId) !== undefined) {
      this.#refuse(task, 'DUPLICATE_TASK_ID', `a live task has the id '${taskId}' already`);
    } else if (task.options.module?.isClosed) {
      this.#refuse(task, 'MODULE_CLOSED', `task "${task.name}" comes too late: module "${task.module}" was closed`);
    } else if (!this.#setKey(task)) {
      return;
    } else if (this.#isTooDeep(task)) {
      const message = `task "${task.name}" was called by a task that a task has called, and so on: more than ${options.current.maxDepth}`;
      this.#refuse(task, 'TASK_TOO_DEEP', `${message} tasks, which maxDepth allows, wait for one another`);
    } else if (bulk !== undefined) {
      dispatcher.bulks.begin(bulk); // its inputs wait until there is room
    } else if (task.options.unique !== undefined && !dispatcher.unique.admit(task)) {
      return;
    } else if (!this.hasRoom(task.options)) {
      const message = `task "${task.name}" can't wait: maxQueued is ${options.current.maxQueued}, and as many wait`;
      this.#refuse(task, 'QUEUE_FULL', `${message}; wait for capacity() before you submit`);
    } else {
      if (task.options.unique !== undefined) dispatcher.unique.register(task);
      dispatcher.submit(task);
    }
  }

  /** False: its `key` has failed, and the task is refused. */
  #setKey(task: Task): boolean {
    if (task.options.key === undefined || (task.isBulk && typeof task.options.key === 'function')) return true;
    try {
      task.key = keyOf(task.spec, task.args) as string;
      return true;
    } catch (problem) {
      task.isForgotten = true;
      this.#refuseWith(task, problem as TaskwardenError);
      return false;
    }
  }

  /** A call of the program by a thread is no task of the user's, and has no limit. */
  #isTooDeep(task: Task): boolean {
    const { dispatcher, options } = this.#parts;
    const { maxDepth } = options.current;
    if (task.depth <= maxDepth || task.definition.callKind !== undefined) return false;
    return dispatcher.tree.depthOf(task) > maxDepth;
  }

  #refuse(task: Task, code: ErrorCode, message: string): void {
    task.isForgotten = true; // before it is asked for its id, by which it is not to be found
    this.#refuseWith(task, new TaskwardenError(code, message, { taskId: task.id }));
  }

  #refuseWith(task: Task, error: TaskwardenError): void {
    this.#parts.dispatcher.settlement.refuse(task, error);
  }

  hasRoom({ type, priority, module, delayMs = 0 }: ResolvedTaskOptions): boolean {
    const { backlog, lanes } = this.#parts;
    if (backlog.room > 0) return true;
    return delayMs === 0 && !module?.bulkhead.mayBeFull && lanes.of(type).pool.hasRoom(priority);
  }
}

function receivedInputs(args: readonly unknown[], { arity, count }: NonNullable<SubmitMessage['bulk']>): BulkInputs {
  return { items: splitInputs(args, arity, count), call: 'all()' };
}

/** On the event loop of the supervisor: the task that this code runs in. */
function runningTask(): Task | undefined {
  return currentRun()?.task as Task | undefined;
}
