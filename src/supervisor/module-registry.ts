/** The modules of a supervisor, by name. */
import { TaskwardenError } from '../base/errors.ts';
import { checkOptions } from '../base/options.ts';
import type { Pauses } from '../dispatch/changes/pauses.ts';
import type { SupervisorEmitter } from '../dispatch/events/supervisor-events.ts';
import type { Slots } from '../dispatch/slots.ts';
import { GateAlarms } from './gate-alarms.ts';
import {
  type ModuleOptions,
  type ModuleRegistration,
  moduleRules,
  type NewModuleOptions,
  TaskModule,
} from './task-module.ts';

export interface ModuleInfo {
  readonly maxWorkers: number;
  readonly isPaused: boolean;
  /** Tasks that have a slot. */
  readonly running: number;
  /** Tasks that are queued, whatever they wait for. */
  readonly waiting: number;
}

export class ModuleRegistry {
  readonly #byName = new Map<string, TaskModule>();
  readonly #supervisor: NonNullable<NewModuleOptions['supervisor']> & SupervisorEmitter;
  readonly #slots: Slots;
  readonly #alarms: GateAlarms;
  readonly #pauses: Pauses;

  constructor(
    supervisor: NonNullable<NewModuleOptions['supervisor']> & SupervisorEmitter,
    slots: Slots,
    pauses: Pauses,
  ) {
    this.#supervisor = supervisor;
    this.#slots = slots;
    this.#alarms = new GateAlarms((gates) => slots.reopenGates(gates));
    this.#pauses = pauses;
  }

  /** The module of that name, with these limits from now on. It is created if there is none. */
  get(name: string, options: ModuleOptions): TaskModule {
    checkOptions(options, moduleRules, 'module()');
    const module = this.#byName.get(name);
    if (module === undefined) return new TaskModule(name, { ...options, supervisor: this.#supervisor });
    module.change(options);
    return module;
  }

  /** The module of that name. If there is none, it is created with these limits. */
  find(name: string, options: ModuleOptions): TaskModule {
    return this.#byName.get(name) ?? this.get(name, options);
  }

  /** Adds a new module. */
  register(module: TaskModule): ModuleRegistration {
    const { name, bulkhead } = module;
    if (this.#byName.has(name)) {
      const message = `${this.#supervisor.name} has a module "${name}" already: take it from module(), or give it another name`;
      throw new TaskwardenError('DUPLICATE_MODULE_NAME', message);
    }
    this.#byName.set(name, module);
    return {
      alarms: this.#alarms,
      onChanged: (gates) => {
        if (bulkhead.cap === 0) this.#pauses.onPaused();
        this.#slots.reopenGates(gates);
        this.#slots.reopen(bulkhead);
        this.#pauses.onResumed();
      },
      onPauseChanged: (isPaused) => {
        this.#supervisor.emit(isPaused ? 'module:paused' : 'module:resumed', { name });
      },
      unregister: () => {
        this.#byName.delete(name);
      },
    };
  }

  /** The supervisor has stopped. */
  close(): void {
    this.#alarms.close();
  }

  get info(): Record<string, ModuleInfo> {
    const entries = [...this.#byName.values()].map(({ name, maxWorkers, isPaused, running, waiting }) => [
      name,
      { maxWorkers, isPaused, running, waiting },
    ]);
    return Object.fromEntries(entries);
  }
}
