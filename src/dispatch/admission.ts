/** Takes tasks in, or refuses them: those of the program, and those that running tasks call. */
import { type ErrorCode, TaskwardenError } from '../base/errors.ts';
import { TaskHandle } from '../task/call/handle.ts';
import type { TaskSpec } from '../task/call/task-options.ts';
import { type ResolvedTaskOptions, resolveTaskOptions, type TaskCap } from '../task/call/task-options.ts';
import { wireDefinition } from '../task/definition/definition.ts';
import { definitionOf } from '../task/definition/definition-registry.ts';
import { isHost, isLoadingModule } from '../task/definition/load-phase.ts';
import { currentRun } from '../task/inside/context.ts';
import type { ContextCarrier } from '../task/inside/context-carrier.ts';
import { submitFrom } from '../task/inside/sub-task.ts';
import type { ChildUpdate, SubmitMessage } from '../task/inside/task-message.ts';
import { Task } from '../task/record/task.ts';
import type { TaskOwner } from '../task/record/task-owner.ts';
import type { TaskTable } from '../task/record/task-table.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Announcer } from './events/task-events.ts';
import type { Places } from './lane-registry.ts';
import type { Startable } from './supervisor-state.ts';

interface IntakeParts {
  readonly supervisor: Startable;
  readonly context: () => ContextCarrier | undefined;
  readonly maxQueued: () => number;
  readonly maxDepth: () => number;
  /** Whether a supervisor that stops still takes runs of workers. */
  readonly takesRuns: () => boolean;
  /** The module of that name, which is made if there is none. */
  readonly module: (name: string, maxWorkers: number) => TaskCap;
  /** How many tasks wait, delayed ones too. */
  readonly waiting: () => number;
  readonly places: Places;
  readonly table: TaskTable;
  readonly dispatcher: Dispatcher;
  readonly announcer: Announcer;
}

export class Intake {
  readonly #parts: IntakeParts;
  readonly #owner: TaskOwner<Task>;

  constructor(parts: IntakeParts) {
    const { dispatcher, table, supervisor } = parts;
    this.#parts = parts;
    this.#owner = {
      assignId: (task) => table.assignId(task),
      // A module that loads in a thread cancels and stops nothing there.
      cancel: (task, reason) => !isLoadingModule() && dispatcher.cancel(task, reason),
      stop: (task) => {
        if (!isLoadingModule()) dispatcher.stop(task);
      },
      send: (task, talk) => dispatcher.tell(task, talk),
      onAwaited: (task) => {
        const parent = runningTask();
        if (parent !== undefined && parent.id === task.parentId) dispatcher.families.wait(parent, task);
      },
      lenderOf: (task) => dispatcher.families.lenderOf(task),
      submitter: supervisor,
    };
  }

  /** In a thread or child, a task that runs there is submitted to its supervisor; while a module loads, to none. */
  submit<T, Y>(spec: TaskSpec, args: readonly unknown[]): TaskHandle<T, Y> {
    const run = currentRun();
    if (run !== undefined && isHost()) return submitFrom(run, spec, args);
    const { supervisor, dispatcher, context } = this.#parts;
    const { module, name = spec.definition.name } = spec.options;
    if (module !== undefined && module.supervisor !== supervisor) {
      throw new TypeError(`task "${name}" is of module "${module.name}" of another supervisor than ${supervisor.name}`);
    }
    const task = this.#newTask(spec, args);
    const handle = new TaskHandle<T, Y>(task);
    if (isHost()) return handle;
    const carrier = context();
    const value = carrier === undefined || spec.options.type === 'loop' ? undefined : carrier.capture();
    if (value !== undefined)
      task.carried = { definition: wireDefinition((carrier as ContextCarrier).definition), value };
    const parent = run?.task as Task | undefined;
    const isOurs = parent !== undefined && parent.submitter === supervisor;
    if (isOurs) dispatcher.families.adopt(parent, task);
    this.#admit(task, isOurs);
    return handle;
  }

  /** A task that runs in a thread or child calls another. */
  submitChild(parent: Task, { id, definition, options, args, module: cap, carried }: SubmitMessage): void {
    const { dispatcher } = this.#parts;
    const module = cap && { module: this.#parts.module(cap.name, cap.maxWorkers) };
    const resolved = resolveTaskOptions({ ...options, ...module, taskId: id }, 'a task');
    const task = this.#newTask({ definition: definitionOf(definition), options: resolved }, args);
    if (carried !== undefined && options.type !== 'loop') task.carried = carried;
    if (task.definition.callKind !== undefined) task.isAwaited = true;
    const tell = (update: ChildUpdate) => dispatcher.tell(parent, { topic: 'child-update', id, update });
    dispatcher.families.adopt(parent, task, (news) => {
      try {
        tell(news);
      } catch (cause) {
        if (news.kind === 'data' && task.type === 'loop') throw cause; // to who says it
        const message = `what task "${task.name}" gives can't be copied to the task that called it`;
        const outcome = new TaskwardenError('RESULT_NOT_CLONEABLE', message, { cause, taskId: id });
        tell({ kind: 'ended', endReason: 'failed', outcome });
        dispatcher.cancel(task, outcome); // nobody can any more
      }
    });
    this.#admit(task, true);
  }

  #newTask(spec: TaskSpec, args: readonly unknown[]): Task {
    return new Task(spec, args, this.#parts.table.nextSequence(), this.#owner);
  }

  /** What running tasks call, and what workers still have to do, is taken in while these are waited for. */
  #admit(task: Task, isNested: boolean): void {
    const { supervisor, dispatcher, table, maxQueued, maxDepth } = this.#parts;
    if (supervisor.state === 'idle') supervisor.start();
    const { taskId } = task.options;
    const isLate = isNested || (task.worker !== undefined && this.#parts.takesRuns());
    const isOpen = supervisor.state === 'running' || (isLate && !dispatcher.isFinal && supervisor.state === 'stopping');
    if (!isOpen) {
      const message = `task "${task.name}" comes too late: ${supervisor.name} is ${supervisor.state}`;
      this.#refuse(task, 'SUPERVISOR_STOPPED', message);
    } else if (taskId !== undefined && table.findLive(taskId) !== undefined) {
      this.#refuse(task, 'DUPLICATE_TASK_ID', `a live task has the id '${taskId}' already`);
    } else if (this.#isTooDeep(task)) {
      const message = `task "${task.name}" was called by a task that a task has called, and so on: more than ${maxDepth()}`;
      this.#refuse(task, 'TASK_TOO_DEEP', `${message} tasks, which maxDepth allows, wait for one another`);
    } else if (!this.hasRoom(task.options)) {
      const message = `task "${task.name}" can't wait: maxQueued is ${maxQueued()}, and as many wait`;
      this.#refuse(task, 'QUEUE_FULL', `${message}; wait for capacity() before you submit`);
    } else {
      dispatcher.submit(task);
    }
  }

  /** What a thread has called of the program is no task of the user's. */
  #isTooDeep(task: Task): boolean {
    const { dispatcher, maxDepth } = this.#parts;
    if (task.depth <= maxDepth() || task.definition.callKind !== undefined) return false;
    return dispatcher.families.depthOf(task) > maxDepth();
  }

  /** It is counted nowhere. */
  #refuse(task: Task, code: ErrorCode, message: string): void {
    const { dispatcher, announcer } = this.#parts;
    task.isForgotten = true; // it is never kept
    const error = new TaskwardenError(code, message, { taskId: task.id });
    if (!task.settle('failed', error)) return;
    if (task.isSubTask) dispatcher.families.ended(task, { kind: 'ended', endReason: 'failed', outcome: error });
    announcer.failed(task, error);
  }

  hasRoom({ type, priority, module, delayMs = 0 }: ResolvedTaskOptions): boolean {
    const { maxQueued, waiting, places } = this.#parts;
    if (maxQueued() === Infinity || waiting() < maxQueued()) return true;
    return delayMs === 0 && !module?.bulkhead.isFull && places.of(type).pool.hasRoom(priority);
  }
}

/** On the event loop of the supervisor: the task that this code runs in. */
function runningTask(): Task | undefined {
  return currentRun()?.task as Task | undefined;
}
