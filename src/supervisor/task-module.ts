/**
 * TaskModule: limits how many tasks of one kind run at a time, over threads, children and the event loop. Tasks of a
 * full module are held back: they block no other tasks, and start in their order. The idea is PythonTaskManager's.
 */
import { checkOptions, type Rule, rules } from '../base/options.ts';
import type { Startable } from '../dispatch/supervisor-state.ts';
import { Bulkhead } from '../queue/bulkhead.ts';
import type { ScheduleOptions, TaskSchedule } from '../schedules/schedules.ts';
import { defaultSubmitter } from '../task/call/background-task.ts';
import type { TaskHandle } from '../task/call/handle.ts';
import type { PutOptions } from '../task/call/target.ts';
import type { TaskCap, TaskResult, TaskYield } from '../task/call/task-options.ts';
import type { TaskFunction } from '../task/definition/definition.ts';
import type { Task } from '../task/record/task.ts';

/** The supervisor of a module: a `TaskSupervisor`. */
export interface ModuleSupervisor extends Startable {
  putTask<F extends TaskFunction>(
    target: F & TaskFunction,
    ...[options]: [] extends Parameters<F> ? [PutOptions<F>?] : [PutOptions<F>]
  ): TaskHandle<TaskResult<F>, TaskYield<F>>;
  scheduleTask<F extends TaskFunction>(
    target: F & TaskFunction,
    ...[options]: [] extends Parameters<F> ? [ScheduleOptions<F>?] : [ScheduleOptions<F>]
  ): TaskSchedule<F>;
  /** @internal Returns the function to call when its cap has changed. */
  registerModule(module: TaskModule): () => void;
}

export interface ModuleOptions {
  /** How many of its tasks may run at a time. Default: Infinity. */
  readonly maxWorkers?: number;
}

export interface NewModuleOptions extends ModuleOptions {
  /** Unique on its supervisor. Default: the name of the class. */
  readonly name?: string;
  /** Default: `taskSupervisor`. */
  readonly supervisor?: ModuleSupervisor;
}

export const moduleRules: { readonly maxWorkers: Rule } = { maxWorkers: rules.positiveCountOrInfinity };

/**
 * Made by `supervisor.module()`, or by a subclass. A task that waits for tasks of its own module, which it has called,
 * lends its place to one of them at a time. A function on the event loop can't be ended: one that was given up after
 * its grace period runs on, and is not counted any more.
 */
export class TaskModule implements TaskCap {
  readonly name: string;
  readonly supervisor: ModuleSupervisor;
  readonly #bulkhead: Bulkhead<Task>;
  readonly #onCapChanged: () => void;

  /** @throws TaskwardenError `DUPLICATE_MODULE_NAME` if the supervisor has a module of that name. */
  constructor(name: string, options?: Omit<NewModuleOptions, 'name'>);
  constructor(options?: NewModuleOptions);
  constructor(first: string | NewModuleOptions = {}, second: Omit<NewModuleOptions, 'name'> = {}) {
    const owner = new.target.name;
    const options = typeof first === 'string' ? { ...second, name: first } : first;
    checkOptions(options, { ...moduleRules, name: rules.string, supervisor: rules.object }, owner);
    this.name = options.name ?? owner;
    this.supervisor = options.supervisor ?? (defaultSubmitter() as ModuleSupervisor);
    this.#bulkhead = new Bulkhead(options.maxWorkers ?? Infinity);
    this.#onCapChanged = this.supervisor.registerModule(this);
  }

  /** @internal */
  get bulkhead(): Bulkhead<Task> {
    // In JavaScript, a subclass may say `maxWorkers = 5`: a field, which hides the accessor.
    if (Object.hasOwn(this, 'maxWorkers')) {
      const { maxWorkers } = this;
      delete (this as Partial<TaskModule>).maxWorkers;
      this.maxWorkers = maxWorkers;
    }
    return this.#bulkhead;
  }

  /** How many of its tasks may run at a time. Tasks that run above a lower cap are left to finish. */
  get maxWorkers(): number {
    return this.#bulkhead.cap;
  }

  set maxWorkers(maxWorkers: number) {
    moduleRules.maxWorkers(maxWorkers, `maxWorkers of module "${this.name}"`);
    this.#bulkhead.cap = maxWorkers;
    this.#onCapChanged();
  }

  /** Tasks that have a slot. */
  get running(): number {
    return this.bulkhead.running;
  }

  /** Tasks that are queued, whatever they wait for. */
  get waiting(): number {
    return this.bulkhead.waiting;
  }

  /** As `supervisor.putTask()`, in this module. */
  addTask<F extends TaskFunction>(
    target: F & TaskFunction,
    ...[options]: [] extends Parameters<F> ? [PutOptions<F>?] : [PutOptions<F>]
  ): TaskHandle<TaskResult<F>, TaskYield<F>> {
    return this.supervisor.putTask(target, { ...options, module: this } as PutOptions<F>);
  }

  /** As `supervisor.scheduleTask()`; each run is in this module. */
  scheduleTask<F extends TaskFunction>(
    target: F & TaskFunction,
    ...[options]: [] extends Parameters<F> ? [ScheduleOptions<F>?] : [ScheduleOptions<F>]
  ): TaskSchedule<F> {
    return this.supervisor.scheduleTask(target, { ...options, module: this } as ScheduleOptions<F>);
  }
}
