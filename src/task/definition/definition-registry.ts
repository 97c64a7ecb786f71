/** The definitions of this thread. The registry is one for all copies of the package in a thread, so that they meet. */
import { TaskwardenError } from '../../base/errors.ts';
import { currentRun, currentTask } from '../inside/context.ts';
import type { Definition, TaskFunction, WireDefinition } from './definition.ts';
import { sourceOf } from './function-source.ts';
import { noteModule } from './load-phase.ts';

interface Registration {
  readonly definition: Definition;
  readonly place: string;
}

interface Registry {
  readonly registrations: Map<string, Registration>;
  readonly waiting: Map<string, (definition: Definition) => void>;
  /** The index of each source, and of each export, that was defined of late. */
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
 * Registers a function under `moduleUrl#name`. Throws `DUPLICATE_TASK_NAME` if that is taken, naming both places; but
 * a module that is evaluated anew, as by hot reloading, replaces what it registered.
 * @param place Where it is registered, in words.
 */
export function defineInModule(moduleUrl: string, name: string, fn: TaskFunction, place: string): Definition {
  const key = keyOf(moduleUrl, name);
  const taken = registry.registrations.get(key);
  if (taken !== undefined && taken.place !== place) {
    throw new TaskwardenError(
      'DUPLICATE_TASK_NAME',
      `two tasks are named "${name}" in ${moduleUrl}: one registered ${taken.place}, another ${place}; ` +
        'give one of them another name, with the option "name"',
    );
  }
  const definition: Definition = { index: nextIndex(), name, moduleUrl, fn };
  registry.registrations.set(key, { definition, place });
  noteModule(moduleUrl);
  registry.waiting.get(key)?.(definition);
  return definition;
}

/** An export of a module that registers nothing. */
export function defineExport(moduleUrl: string, exportName: string): Definition {
  return { index: indexOf(keyOf(moduleUrl, exportName)), name: exportName, moduleUrl, exportName };
}

/** A function that travels by its source, if it has one. */
export function defineBySource(name: string, fn: TaskFunction): Definition {
  const source = sourceOf(fn);
  if (source === undefined) return { index: nextIndex(), name, fn };
  // One source is one function for the threads, though here it may be many, with as many closures.
  return { index: indexOf(source), name, fn, source };
}

/**
 * The definition that is registered under `moduleUrl#name` in this thread, if there is one. Compilers that rename a
 * function whose variable has its name (`twice2`, `twice$1`) don't all do so; then the one that differs by that is meant.
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

/** The definition on this side of what a thread or child has defined. */
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

/** The same function, called with its TaskContext before its arguments. */
export function passingContext(definition: Definition): Definition {
  const { fn, index } = definition;
  return {
    ...definition,
    index: indexOf(`${index} with context`),
    passesContext: true,
    ...(fn && { fn: withContext(fn) }),
  };
}

/** A function that gets its TaskContext before its arguments. */
export function withContext(fn: TaskFunction): TaskFunction {
  return function (this: unknown, ...args: unknown[]) {
    return fn.call(this, currentTask(), ...args);
  };
}

/** The same function, called with an argument before its own that its context takes away. */
export function takingWorkerContext(definition: Definition): Definition {
  const { fn, index } = definition;
  return {
    ...definition,
    index: indexOf(`${index} in surroundings`),
    takesWorkerContext: true,
    ...(fn && { fn: takeWorkerContext(fn) }),
  };
}

export function takeWorkerContext(fn: TaskFunction): TaskFunction {
  return function (this: unknown, surroundings: unknown, ...args: unknown[]) {
    currentRun()?.takeContext(surroundings);
    return fn.apply(this, args);
  };
}

/** Texts of functions can be long, and made anew for each call; one that is defined again after so many others is another. */
const mostIndexes = 1_000;

/** One index for what is the same for the threads, however often it is defined here. */
function indexOf(identity: string): number {
  const { indexes } = registry;
  const index = indexes.get(identity) ?? nextIndex();
  indexes.delete(identity); // the latest is the last
  indexes.set(identity, index);
  const [oldest] = indexes.keys();
  if (indexes.size > mostIndexes && oldest !== undefined) indexes.delete(oldest);
  return index;
}

function nextIndex(): number {
  registry.definitions += 1;
  return registry.definitions;
}
