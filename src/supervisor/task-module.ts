/**
 * TaskModule: limits how many tasks of one kind run at a time, over threads, children and the event loop: all together, by
 * key, and in a time. Tasks that may not start are held back: they block no other tasks, and start in their order. The idea
 * is PythonTaskManager's.
 */
import { rateRule } from '../base/key-options.ts';
import { checkOptions, type Rule, rules } from '../base/options.ts';
import type { Startable } from '../dispatch/supervisor-state.ts';
import { Bulkhead } from '../queue/bulkhead.ts';
import type { Gate } from '../queue/gate.ts';
import { type KeyLimitOptions, KeyLimits } from '../queue/keys/key-limits.ts';
import type { RateOptions } from '../queue/keys/rate.ts';
import type { ScheduleOptions, TaskSchedule } from '../schedules/schedules.ts';
import { defaultSubmitter } from '../task/call/background-task.ts';
import type { TaskHandle } from '../task/call/handle.ts';
import type { PutOptions } from '../task/call/target.ts';
import type { TaskCap, TaskResult, TaskYield } from '../task/call/task-options.ts';
import type { TaskFunction } from '../task/definition/definition.ts';
import { isLoadingModule } from '../task/definition/load-phase.ts';
import type { Task } from '../task/record/task.ts';
import { refuseInHost } from './calls/pause-options.ts';
import type { GateAlarms } from './gate-alarms.ts';

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
  /** @internal */
  registerModule(module: TaskModule): ModuleRegistration;
}

/** What a module needs of its supervisor. */
export interface ModuleRegistration {
  readonly alarms: GateAlarms;
  /** Its limits have changed. */
  onChanged(gates: readonly Gate<Task>[]): void;
  onPauseChanged(isPaused: boolean): void;
  unregister(): void;
}

export interface ModuleOptions {
  /** How many of its tasks may run at a time. 0 starts none. Default: Infinity. */
  readonly maxWorkers?: number;
  /** How many tasks of one key may run at a time. Tasks without a key count in none. Default: Infinity. */
  readonly maxPerKey?: number;
  /**
   * Keys take turns inside a priority: between two tasks of one key, each other key that waits has its turn. Tasks without a
   * key take turns as one more. Default: false, in the order in which they came.
   */
  readonly fair?: boolean;
  /**
   * How many tasks may start in a time: never more than `max` in any `perMs`, or `max + burst - 1` with a `burst`. Each
   * attempt is a start. Default: none.
   */
  readonly rate?: RateOptions | undefined;
}

export interface NewModuleOptions extends ModuleOptions {
  /** Unique on its supervisor. Default: the name of the class. */
  readonly name?: string;
  /** Default: `taskSupervisor`. */
  readonly supervisor?: ModuleSupervisor;
}

export const moduleRules: Readonly<Record<keyof ModuleOptions, Rule>> = {
  maxWorkers: rules.countOrInfinity,
  maxPerKey: rules.positiveCountOrInfinity,
  fair: rules.boolean,
  rate: rateRule,
};

const unlimited: KeyLimitOptions = { maxPerKey: Infinity, fair: false, rate: undefined };

/**
 * Made by `supervisor.module()`, or by a subclass. A task that waits for tasks of its own module, which it has called,
 * lends its place to one of them at a time. A function on the event loop can't be ended: one that was given up after
 * its grace period runs on, and is not counted any more.
 */
export class TaskModule implements TaskCap {
  readonly name: string;
  readonly supervisor: ModuleSupervisor;
  readonly #bulkhead: Bulkhead<Task>;
  readonly #registration: ModuleRegistration;
  #limits: KeyLimits<Task> | undefined;
  #maxWorkers: number;
  #isPaused = false;
  #isClosed = false;
  /** Whether fields of a subclass were looked for. */
  #hasTakenFields = true;

  /** @throws TaskwardenError `DUPLICATE_MODULE_NAME` if the supervisor has a module of that name. */
  constructor(name: string, options?: Omit<NewModuleOptions, 'name'>);
  constructor(options?: NewModuleOptions);
  constructor(first: string | NewModuleOptions = {}, second: Omit<NewModuleOptions, 'name'> = {}) {
    const owner = new.target.name;
    const options = typeof first === 'string' ? { ...second, name: first } : first;
    checkOptions(options, { ...moduleRules, name: rules.string, supervisor: rules.object }, owner);
    this.name = options.name ?? owner;
    this.supervisor = options.supervisor ?? (defaultSubmitter() as ModuleSupervisor);
    this.#maxWorkers = options.maxWorkers ?? Infinity;
    this.#bulkhead = new Bulkhead(this.#maxWorkers);
    this.#registration = this.supervisor.registerModule(this);
    const { name: _name, supervisor: _supervisor, maxWorkers: _maxWorkers, ...limits } = options;
    this.change(limits);
    this.#hasTakenFields = false;
  }

  /** @internal */
  get bulkhead(): Bulkhead<Task> {
    if (!this.#hasTakenFields) this.#takeFields();
    return this.#bulkhead;
  }

  /** In JavaScript, a subclass may say `maxWorkers = 5`: a field, which hides the accessor. */
  #takeFields(): void {
    this.#hasTakenFields = true;
    for (const name of Object.keys(moduleRules)) {
      if (!Object.hasOwn(this, name)) continue;
      const value = Reflect.get(this, name);
      Reflect.deleteProperty(this, name);
      Reflect.set(this, name, value);
    }
  }

  /** @internal Its limits, for a thread or child that calls a task of the module. */
  get limits(): ModuleOptions {
    const { maxWorkers } = this;
    return { maxWorkers, ...this.#limits?.options };
  }

  /** @internal What is not named stays. */
  change({ maxWorkers, ...changes }: ModuleOptions): void {
    if (maxWorkers !== undefined) this.maxWorkers = maxWorkers;
    const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
    if (Object.keys(given).length > 0) this.#limit(given);
  }

  #limit(changes: Partial<KeyLimitOptions>): void {
    const options = { ...(this.#limits?.options ?? unlimited), ...changes };
    if (this.#limits === undefined) {
      this.#limits = new KeyLimits<Task>(options, this.#registration.alarms);
      this.#bulkhead.limits = this.#limits;
    } else {
      this.#limits.configure(options);
    }
    this.#registration.onChanged(this.#limits.gates);
  }

  /** How many of its tasks may run at a time. Tasks that run above a lower cap are left to finish. */
  get maxWorkers(): number {
    return this.#maxWorkers;
  }

  set maxWorkers(maxWorkers: number) {
    moduleRules.maxWorkers(maxWorkers, `maxWorkers of module "${this.name}"`);
    this.#maxWorkers = maxWorkers;
    this.#changeCap();
  }

  #changeCap(): void {
    this.#bulkhead.cap = this.#isPaused ? 0 : this.#maxWorkers;
    this.#registration.onChanged([]);
  }

  /**
   * Starts no more of its tasks until `resume()`, as with `maxWorkers: 0`, which is kept. What has begun goes on, with the
   * tasks of the module that it calls. What waits keeps its order, and blocks no other tasks.
   * @throws TaskwardenError `NOT_IN_PROGRAM` in a task in a thread or child.
   */
  pause(): void {
    this.#changePause(true);
  }

  resume(): void {
    this.#changePause(false);
  }

  #changePause(isPaused: boolean): void {
    if (isLoadingModule() || this.#isPaused === isPaused) return;
    refuseInHost(`${isPaused ? 'pause' : 'resume'}() of module "${this.name}"`);
    this.#isPaused = isPaused;
    this.#changeCap();
    this.#registration.onPauseChanged(isPaused);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** How many tasks of one key may run at a time. Holds for tasks that are queued from now on. */
  get maxPerKey(): number {
    return this.#limits?.options.maxPerKey ?? Infinity;
  }

  set maxPerKey(maxPerKey: number) {
    moduleRules.maxPerKey(maxPerKey, `maxPerKey of module "${this.name}"`);
    this.#limit({ maxPerKey });
  }

  /** Whether keys take turns. Holds for tasks that are queued from now on. */
  get fair(): boolean {
    return this.#limits?.options.fair ?? false;
  }

  set fair(fair: boolean) {
    moduleRules.fair(fair, `fair of module "${this.name}"`);
    this.#limit({ fair });
  }

  /** How many tasks may start in a time; undefined: as many as there are slots. Holds from now on. */
  get rate(): RateOptions | undefined {
    return this.#limits?.options.rate;
  }

  set rate(rate: RateOptions | undefined) {
    if (rate !== undefined) moduleRules.rate(rate, `rate of module "${this.name}"`);
    this.#limit({ rate });
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

  /** Whether it was closed. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Takes no more tasks, and leaves the supervisor: its name is free, and `getInfo()` does not show it. Tasks that it has go
   * on, with its limits; new ones fail with `MODULE_CLOSED`. A module that is left is kept, as it may be asked for by name.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#registration.unregister();
  }

  /** The same as `close()`: `using module = supervisor.module(...)`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
