/** Background tasks: functions whose calls run as tasks. Made by a wrapper, a decorator, or from a whole module. */
import { createRequire, isBuiltin } from 'node:module';
import { isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TaskwardenError } from '../../base/errors.ts';
import { show } from '../../base/options.ts';
import { callSite } from '../../platform/stack-traces.ts';
import type { Definition, TaskFunction } from '../definition/definition.ts';
import { defineBySource, defineExport, defineInModule } from '../definition/definition-registry.ts';
import { toModuleUrl } from '../definition/module-url.ts';
import { type AllOptions, checkAllOptions } from '../inputs/bulk-options.ts';
import type { Input } from '../inputs/chunk.ts';
import type { Inputs } from '../inputs/input-source.ts';
import { currentRun } from '../inside/context.ts';
import type { BulkHandle } from './bulk-handle.ts';
import type { TaskHandle } from './handle.ts';
import { checkMapOptions, type MapOptions, type MapOutcome, mapTasks } from './map-tasks.ts';
import type { TaskSpec } from './task-options.ts';
import {
  type Delivery,
  type ResolvedTaskOptions,
  resolveTaskOptions,
  type TaskOptions,
  type TaskResult,
  type TaskSubmitter,
  type TaskYield,
} from './task-options.ts';
import { tasksByName } from './tasks-by-name.ts';

/** A function whose calls are tasks. */
export interface BackgroundTask<F extends TaskFunction> {
  /** Submits a task, and returns its handle at once. */
  (...args: Parameters<F>): TaskHandle<TaskResult<F>, TaskYield<F>>;
  readonly name: string;
  /** The same task with some options changed. */
  with(options: TaskOptions<F>): BackgroundTask<F>;
  /**
   * Calls the task for each list of arguments, and yields the results. It reads its input no faster than the results are
   * used. It throws the first failure. Then, and when the loop is left, it cancels the tasks that still wait or run. With
   * `settle: true` it yields `{ input, index, status, value | reason }` for each input, and goes on after failures.
   */
  map<I extends Inputs<unknown> = Inputs<Parameters<F>>>(
    items: I extends Inputs<Parameters<F>> ? I : ListsOfArguments<Parameters<F>>,
    options: MapOptions & { readonly settle: true },
  ): AsyncGenerator<MapOutcome<Parameters<F>, TaskResult<F>>, void, undefined>;
  map<I extends Inputs<unknown> = Inputs<Parameters<F>>>(
    items: I extends Inputs<Parameters<F>> ? I : ListsOfArguments<Parameters<F>>,
    options?: MapOptions & { readonly settle?: false },
  ): AsyncGenerator<TaskResult<F>, void, undefined>;
  /**
   * Calls the task for each list of arguments, and gives all results in the order of the inputs. There is one handle, and
   * neither a promise nor a `TaskInfo` for each input. Short inputs are sent together, as many as run in about `chunkMs`.
   * The inputs are read as they are needed, except inside a thread or child. Options of the task hold for each input.
   *
   * The first failure rejects with the error of that input, which gets the fields `index` and `input`. Then the others are
   * canceled, and the handle rejects when none of them runs any more. With `settle: true` no failure ends the others.
   */
  all<I extends Inputs<unknown> = Inputs<Parameters<F>>>(
    inputs: I extends Inputs<Parameters<F>> ? I : ListsOfArguments<Parameters<F>>,
    options: AllOptions & { readonly settle: true },
  ): BulkHandle<PromiseSettledResult<TaskResult<F>>[]>;
  all<I extends Inputs<unknown> = Inputs<Parameters<F>>>(
    inputs: I extends Inputs<Parameters<F>> ? I : ListsOfArguments<Parameters<F>>,
    options?: AllOptions & { readonly settle?: false },
  ): BulkHandle<TaskResult<F>[]>;
  /** @internal */
  readonly spec: TaskSpec;
  /** @internal Runs a courier's task. */
  deliver(delivery: Delivery, args: readonly unknown[]): TaskHandle<unknown>;
  /** @internal The same with another definition. */
  withDefinition(change: (definition: Definition) => Definition): BackgroundTask<TaskFunction>;
}

/** The parameter type of `map()` and `all()` for wrong inputs. No value has it; its text appears in the compiler's error. */
interface ListsOfArguments<A> {
  readonly 'each input is the list of arguments of one call': A;
}

/** Makes a static async method a background task. `decoratedTask()` returns it with the type of one. */
export type BackgroundTaskDecorator = <F extends (this: never, ...args: never[]) => Promise<unknown>>(
  method: F,
  context: ClassMethodDecoratorContext,
) => F;

/**
 * Makes a background task of a function of a module. Call this at the top level of that module: the thread or child
 * imports the module, and calls the function there. The function need not be exported.
 * @param moduleUrl `import.meta.url`, or `__filename` in CommonJS.
 * @throws TaskwardenError `DUPLICATE_TASK_NAME` if the module has another task of that name.
 */
export function backgroundTask<F extends TaskFunction>(
  moduleUrl: string | URL,
  fn: F & TaskFunction,
  options?: TaskOptions<F>,
): BackgroundTask<F>;
/**
 * Makes a background task of a function without its module. Its source is sent to the thread or child, so it can't see
 * variables around it; it may `await import('node:crypto')`. With `type: 'loop'` nothing is sent, and closures work.
 */
export function backgroundTask<F extends TaskFunction>(
  fn: F & TaskFunction,
  options?: TaskOptions<F>,
): BackgroundTask<F>;
/** As a decorator, on a static async method: `@backgroundTask(import.meta.url)`. */
export function backgroundTask(moduleUrl: string | URL, options?: TaskOptions<never>): BackgroundTaskDecorator;
export function backgroundTask(
  first: unknown,
  second?: unknown,
  third?: unknown,
): BackgroundTask<TaskFunction> | BackgroundTaskDecorator {
  if (typeof first === 'function') {
    if (isDecoratorContext(second)) {
      throw new TypeError('@backgroundTask needs the module: write @backgroundTask(import.meta.url)');
    }
    const options = resolveTaskOptions((second === undefined ? {} : second) as TaskOptions, 'backgroundTask()');
    const fn = first as TaskFunction;
    return wrap(defineBySource(nameOf(fn, options), fn), options);
  }
  const moduleUrl = toModuleUrl(first);
  const site = callSite(backgroundTask);
  if (typeof second === 'function') {
    const options = resolveTaskOptions((third === undefined ? {} : third) as TaskOptions, 'backgroundTask()');
    const fn = second as TaskFunction;
    return wrap(defineInModule(moduleUrl, nameOf(fn, options), fn, site), options);
  }
  return decorator(
    moduleUrl,
    site,
    resolveTaskOptions((second === undefined ? {} : second) as TaskOptions, 'backgroundTask()'),
  );
}

/**
 * Returns a decorated method with the type of a background task, which has `with()` and `map()` and returns handles:
 * `decoratedTask(Reports.build)(2027).cancel()`. A decorator itself can't change the type of its method.
 * @throws TypeError for a method without the decorator.
 */
export function decoratedTask<F extends TaskFunction>(method: F): BackgroundTask<F> {
  if (typeof method !== 'function' || !isBackgroundTask(method)) {
    throw new TypeError(`decoratedTask() takes a method that has the decorator @backgroundTask; got ${show(method)}`);
  }
  return method as unknown as BackgroundTask<F>;
}

export function isBackgroundTask(target: TaskFunction): target is BackgroundTask<TaskFunction> {
  return 'spec' in target && 'with' in target;
}

/** The functions of a module `M` as background tasks. */
export type TasksFrom<M> = {
  readonly [K in keyof M as M[K] extends TaskFunction ? K : never]: M[K] extends TaskFunction
    ? BackgroundTask<M[K]>
    : never;
};

/**
 * Returns the exported functions of a module that does not use taskwarden, as background tasks:
 * `tasksFrom<typeof import('./legacy.js')>(new URL('./legacy.js', import.meta.url))`.
 * The module is imported where the tasks run, not here. The call of a function that it does not export fails with
 * `TASK_NOT_DEFINED`.
 * @param module A URL, an absolute path, a built-in such as `node:zlib`, or a package, resolved from the working directory.
 */
export function tasksFrom<M>(module: string | URL, options: TaskOptions<never> = {}): TasksFrom<M> {
  const moduleUrl = resolveModule(module);
  const resolved = resolveTaskOptions(options as TaskOptions, 'tasksFrom()');
  if (resolved.name !== undefined) throw new TypeError('tasksFrom() takes no option "name": it has many tasks');
  return tasksByName(`tasks of ${moduleUrl}`, (name) => wrap(defineExport(moduleUrl, name), resolved)) as TasksFrom<M>;
}

function resolveModule(module: unknown): string {
  if (typeof module !== 'string' || URL.canParse(module) || isAbsolute(module)) return toModuleUrl(module);
  if (isBuiltin(module)) return `node:${module}`;
  if (module.startsWith('.')) {
    throw new TypeError(
      `tasksFrom() can't tell what ${show(module)} is relative to: pass new URL(${show(module)}, import.meta.url)`,
    );
  }
  try {
    return pathToFileURL(createRequire(join(process.cwd(), 'package.json')).resolve(module)).href;
  } catch {
    // it is not installed, or only `import` can resolve it
  }
  try {
    return import.meta.resolve(module);
  } catch (cause) {
    throw new TaskwardenError('MODULE_LOAD_FAILED', `tasksFrom() finds no package ${show(module)}`, { cause });
  }
}

function nameOf(fn: TaskFunction, options: ResolvedTaskOptions): string {
  const name = options.name ?? fn.name;
  if (name === '') throw new TypeError('a background task needs a name: name the function, or give the option "name"');
  return name;
}

function isDecoratorContext(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'kind' in value && 'addInitializer' in value;
}

function decorator(moduleUrl: string, site: string, options: ResolvedTaskOptions): BackgroundTaskDecorator {
  return (method, context) => {
    if (!isDecoratorContext(context)) {
      throw new TypeError(
        '@backgroundTask is a standard decorator: turn off "experimentalDecorators" in tsconfig.json',
      );
    }
    if (context.kind !== 'method' || !context.static || context.private) {
      throw new TypeError(
        `@backgroundTask works on public static methods; ${String(context.name)} is ` +
          `${context.private ? 'a private' : context.static ? 'a static' : 'an instance'} ${context.kind}`,
      );
    }
    const fn = method as unknown as TaskFunction;
    const definition = defineInModule(moduleUrl, options.name ?? String(context.name), fn, site);
    context.addInitializer(function (this: unknown) {
      definition.receiver = this;
    });
    return wrap(definition, options) as unknown as typeof method;
  };
}

/** @throws TypeError if the function can't be sent to a thread or child. */
export function specOf(definition: Definition, options: ResolvedTaskOptions): TaskSpec {
  if (options.type !== 'loop' && definition.moduleUrl === undefined && definition.source === undefined) {
    throw new TypeError(
      `task "${definition.name}" can't be sent to a thread: a native or bound function has no source; ` +
        "wrap it in a function of yours, or run it with { type: 'loop' }",
    );
  }
  return Object.freeze({ definition, options: Object.freeze(options) });
}

function wrap(definition: Definition, options: ResolvedTaskOptions): BackgroundTask<TaskFunction> {
  return wrapPlan(planOf(definition), options);
}

/** How a background task turns options into the spec of its calls. `with()` uses it with other options. */
export interface TaskPlan {
  /** The name, unless the options give one. */
  readonly name: string;
  specOf(options: ResolvedTaskOptions): TaskSpec;
  /** Replaces the arguments of the call. */
  argsOf?(args: readonly unknown[], options: ResolvedTaskOptions): readonly unknown[];
  withDefinition(change: (definition: Definition) => Definition): TaskPlan;
  /** What the task has beside the members of all background tasks. */
  membersFor?(options: ResolvedTaskOptions, spec: TaskSpec): object;
}

function planOf(definition: Definition): TaskPlan {
  return {
    name: definition.name,
    specOf: (options) => specOf(definition, options),
    withDefinition: (change) => planOf(change(definition)),
  };
}

export function wrapPlan(plan: TaskPlan, options: ResolvedTaskOptions): BackgroundTask<TaskFunction> {
  const spec = Object.freeze(plan.specOf(options));
  const submitter = () => submitterOf(spec.options);
  const submitAs = (how: TaskSpec, args: readonly unknown[]) =>
    submitter().submit<unknown, unknown>(how, plan.argsOf === undefined ? args : plan.argsOf(args, options));
  const submit = (...args: unknown[]) => submitAs(spec, args);
  return Object.defineProperties(submit, {
    name: { value: options.name ?? plan.name },
    spec: { value: spec },
    with: {
      value: (changes: TaskOptions) => wrapPlan(plan, resolveTaskOptions(changes, `${plan.name}.with()`, options)),
    },
    deliver: {
      value: (delivery: Delivery, args: readonly unknown[]) =>
        submitAs({ ...spec, options: Object.freeze({ ...spec.options, delivery }) }, args),
    },
    withDefinition: {
      value: (change: (old: Definition) => Definition) => wrapPlan(plan.withDefinition(change), options),
    },
    map: {
      value: (items: Inputs<unknown[]>, mapOptions: MapOptions = {}) => {
        checkMapOptions(mapOptions, `${plan.name}.map()`);
        const hasRoom = () => submitter().hasRoom(spec.options);
        const waitForRoom = () => submitter().capacity(spec.options.priority);
        const ahead = Object.freeze({ ...spec, isSubmittedAhead: true });
        return mapTasks({ submit: (...args) => submitAs(ahead, args), hasRoom, waitForRoom }, items, mapOptions);
      },
    },
    all: {
      value: (items: unknown, allOptions: AllOptions = {}) => {
        const call = `${plan.name}.all()`;
        checkAllOptions(allOptions, call);
        if (spec.options.unique !== undefined) {
          throw new TypeError(`${call} takes no option "unique": an input has no handle of its own; use map()`);
        }
        const { argsOf } = plan;
        const inputs = { items, call, ...(argsOf && { argsOf: (args: Input) => argsOf(args, options) }) };
        return submitter().submitAll(spec, inputs, allOptions);
      },
    },
    ...Object.getOwnPropertyDescriptors(plan.membersFor?.(options, spec) ?? {}),
  }) as BackgroundTask<TaskFunction>;
}

/** The supervisor for a task with these options. */
export function submitterOf({ supervisor, module }: ResolvedTaskOptions): TaskSubmitter {
  return supervisor ?? module?.supervisor ?? currentRun()?.submitter ?? defaultSubmitter();
}

/** The global key of the default supervisor, which all copies of the package share. */
export const defaultSupervisorSymbol: unique symbol = Symbol.for('taskwarden.supervisor') as never;

export function defaultSubmitter(): TaskSubmitter {
  return (globalThis as unknown as Record<symbol, TaskSubmitter>)[defaultSupervisorSymbol] as TaskSubmitter;
}
