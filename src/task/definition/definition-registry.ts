/** The definitions of this thread. All copies of the package in a thread share one registry. */
import { TaskwardenError } from '../../base/errors.ts';
import { overInputs } from '../inputs/chunk-run.ts';
import { currentRun, currentTask } from '../inside/context.ts';
import type { Definition, TaskFunction, WireDefinition } from './definition.ts';
import { sourceOf } from './function-source.ts';
import { noteModule } from './load-phase.ts';

interface Registration {
  readonly definition: Definition;
  readonly site: string;
}

interface Registry {
  readonly registrations: Map<string, Registration>;
  readonly waiting: Map<string, (definition: Definition) => void>;
  /** The indexes of the sources and exports that were defined last. */
  readonly indexes: Map<string, number>;
  definitions: number;
}

const registrySymbol = Symbol.for('taskwarden.definitions');
const holder = globalThis as { [registrySymbol]?: Registry };
holder[registrySymbol] ??= { registrations: new Map(), waiting: new Map(), indexes: new Map(), definitions: 0 };
const registry: Registry = holder[registrySymbol];

function keyOf(moduleUrl: string, name: string): string {
  return `${moduleUrl}#${name}`;
}

/**
 * Registers a function under `moduleUrl#name`. Throws `DUPLICATE_TASK_NAME`, with both call sites, if the name is taken.
 * A module that is evaluated again, as by hot reloading, replaces what it registered.
 * @param site The call site, in words.
 */
export function defineInModule(moduleUrl: string, name: string, fn: TaskFunction, site: string): Definition {
  const key = keyOf(moduleUrl, name);
  const taken = registry.registrations.get(key);
  if (taken !== undefined && taken.site !== site) {
    throw new TaskwardenError(
      'DUPLICATE_TASK_NAME',
      `two tasks are named "${name}" in ${moduleUrl}: one registered ${taken.site}, another ${site}; ` +
        'give one of them another name, with the option "name"',
    );
  }
  const definition: Definition = { index: nextIndex(), name, moduleUrl, fn };
  registry.registrations.set(key, { definition, site });
  noteModule(moduleUrl);
  registry.waiting.get(key)?.(definition);
  return definition;
}

/** Defines an export of a module that registers nothing. */
export function defineExport(moduleUrl: string, exportName: string): Definition {
  return { index: indexOf(keyOf(moduleUrl, exportName)), name: exportName, moduleUrl, exportName };
}

/** Defines a function that is sent by its source, if it has one. */
export function defineBySource(name: string, fn: TaskFunction): Definition {
  const source = sourceOf(fn);
  if (source === undefined) return { index: nextIndex(), name, fn };
  // For threads, one source is one function, though here there may be many with different closures.
  return { index: indexOf(source), name, fn, source };
}

/**
 * The definition that is registered under `moduleUrl#name` in this thread, if there is one. Some compilers rename a
 * function (`twice2`, `twice$1`) whose variable has the same name. So a single definition that differs only by such a
 * suffix is found, too.
 */
export function findDefinition(moduleUrl: string, name: string): Definition | undefined {
  const found = registry.registrations.get(keyOf(moduleUrl, name));
  if (found !== undefined) return found.definition;
  const alike = [...registry.registrations.values()]
    .map(({ definition }) => definition)
    .filter((other) => other.moduleUrl === moduleUrl && withoutSuffix(other.name) === withoutSuffix(name));
  return alike.length === 1 ? alike[0] : undefined;
}

function withoutSuffix(name: string): string {
  return name.replace(/[_$]?\d+$/, '');
}

/** Calls back as soon as `moduleUrl#name` is registered in this thread. */
export function whenDefined(moduleUrl: string, name: string, callback: (definition: Definition) => void): void {
  const found = registry.registrations.get(keyOf(moduleUrl, name))?.definition;
  if (found === undefined) registry.waiting.set(keyOf(moduleUrl, name), callback);
  else callback(found);
}

/** The definition, in this thread, of what another thread or child has defined. */
export function definitionOf(wire: WireDefinition): Definition {
  const definition = withoutContext(wire);
  return wire.passesContext ? passingContext(definition) : definition;
}

function withoutContext({ name, moduleUrl, exportName, source }: WireDefinition): Definition {
  if (source !== undefined) return { index: indexOf(source), name, source };
  if (moduleUrl === undefined) throw new TypeError(`task "${name}" has neither module nor source`);
  if (exportName !== undefined) return defineExport(moduleUrl, exportName);
  return findDefinition(moduleUrl, name) ?? { index: indexOf(keyOf(moduleUrl, name)), name, moduleUrl };
}

/** A definition of the same function, called with its TaskContext before its arguments. */
export function passingContext(definition: Definition): Definition {
  const { fn, index } = definition;
  return {
    ...definition,
    index: indexOf(`${index} with context`),
    passesContext: true,
    ...(fn && { fn: withContext(fn) }),
  };
}

/** Wraps a function so that it gets its TaskContext before its arguments. */
export function withContext(fn: TaskFunction): TaskFunction {
  return function (this: unknown, ...args: unknown[]) {
    return fn.call(this, currentTask(), ...args);
  };
}

/** A definition of the same function whose calls pass the worker's `context` before the arguments. */
export function takingWorkerContext(definition: Definition): Definition {
  const { fn, index } = definition;
  return {
    ...definition,
    index: indexOf(`${index} with worker context`),
    takesWorkerContext: true,
    ...(fn && { fn: takeWorkerContext(fn) }),
  };
}

/** Wraps a function so that the first argument becomes `currentTask().context`, and it gets the others. */
export function takeWorkerContext(fn: TaskFunction): TaskFunction {
  return function (this: unknown, context: unknown, ...args: unknown[]) {
    currentRun()?.takeContext(context);
    return fn.apply(this, args);
  };
}

/** A definition of the same function that takes a chunk of inputs. */
export function takingChunk(definition: Definition): Definition {
  const { fn, index } = definition;
  return {
    ...definition,
    index: indexOf(`${index} over inputs`),
    takesChunk: true,
    ...(fn && { fn: overInputs(fn) }),
  };
}

/**
 * How many sources and exports keep their index. Sources can be long, and new for each call; one that is defined again after
 * that many others gets a new index.
 */
const maxIndexes = 1_000;

/** The index of a source or export: the same each time it is defined. */
function indexOf(identity: string): number {
  const { indexes } = registry;
  const index = indexes.get(identity) ?? nextIndex();
  indexes.delete(identity); // so that the latest is the last
  indexes.set(identity, index);
  const [oldest] = indexes.keys();
  if (indexes.size > maxIndexes && oldest !== undefined) indexes.delete(oldest);
  return index;
}

function nextIndex(): number {
  registry.definitions += 1;
  return registry.definitions;
}
