/** The modules of a supervisor, by name. */
import { TaskwardenError } from '../base/errors.ts';
import { checkOptions } from '../base/options.ts';
import type { Slots } from '../dispatch/slots.ts';
import { type ModuleOptions, moduleRules, type NewModuleOptions, TaskModule } from './task-module.ts';

export interface ModuleInfo {
  readonly maxWorkers: number;
  /** Tasks that have a slot. */
  readonly running: number;
  /** Tasks that are queued, whatever they wait for. */
  readonly waiting: number;
}

export class ModuleRegistry {
  readonly #byName = new Map<string, TaskModule>();
  readonly #supervisor: NonNullable<NewModuleOptions['supervisor']>;
  readonly #slots: Slots;

  constructor(supervisor: NonNullable<NewModuleOptions['supervisor']>, slots: Slots) {
    this.#supervisor = supervisor;
    this.#slots = slots;
  }

  /** The module of that name, with that cap from now on. It is created if there is none. */
  get(name: string, options: ModuleOptions): TaskModule {
    checkOptions(options, moduleRules, 'module()');
    const module = this.#byName.get(name);
    if (module === undefined) return new TaskModule(name, { ...options, supervisor: this.#supervisor });
    if (options.maxWorkers !== undefined) module.maxWorkers = options.maxWorkers;
    return module;
  }

  /** The module of that name. If there is none, it is created with that cap. */
  find(name: string, maxWorkers: number): TaskModule {
    return this.#byName.get(name) ?? this.get(name, { maxWorkers });
  }

  /** Adds a new module. Returns the function to call when its cap has changed. */
  register(module: TaskModule): () => void {
    const { name, bulkhead } = module;
    if (this.#byName.has(name)) {
      const message = `${this.#supervisor.name} has a module "${name}" already: take it from module(), or give it another name`;
      throw new TaskwardenError('DUPLICATE_MODULE_NAME', message);
    }
    this.#byName.set(name, module);
    return () => this.#slots.reopen(bulkhead);
  }

  get info(): Record<string, ModuleInfo> {
    const entries = [...this.#byName.values()].map(({ name, maxWorkers, running, waiting }) => [
      name,
      { maxWorkers, running, waiting },
    ]);
    return Object.fromEntries(entries);
  }
}
