/** Background tasks: functions that run elsewhere when they are called. As a wrapper, a decorator, or a whole module. */
import { createRequire, isBuiltin } from 'node:module';
import { isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TaskwardenError } from '../../base/errors.ts';
import { checkOptions, rules, show } from '../../base/options.ts';
import { callSite } from '../../platform/stack-traces.ts';
import type { Definition, TaskFunction } from '../definition/definition.ts';
import { defineBySource, defineExport, defineInModule } from '../definition/definition-registry.ts';
import { toModuleUrl } from '../definition/module-url.ts';
import { currentRun } from '../inside/context.ts';
import type { TaskHandle } from './handle.ts';
import { type MapOptions, mapTasks } from './map-tasks.ts';
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

/** A function whose calls are tasks. */
export interface BackgroundTask<F extends TaskFunction> {
  /** Submits a task, and returns at once. */
  (...args: Parameters<F>): TaskHandle<TaskResult<F>, TaskYield<F>>;
  readonly name: string;
  /** The same task with other options; what they don't say stays. */
  with(options: TaskOptions<F>): BackgroundTask<F>;
  /**
   * Calls the task for each list of arguments, and gives the results as they come. Reads its input no faster than it
   * is used. The first failure is thrown; then, and when the loop is left, what still waits or runs is canceled.
   */
  map<I extends Inputs<unknown> = Inputs<Parameters<F>>>(
    items: I extends Inputs<Parameters<F>> ? I : ListsOfArguments<Parameters<F>>,
    options?: MapOptions,
  ): AsyncGenerator<TaskResult<F>, void, undefined>;
  /** @internal */
  readonly spec: TaskSpec;
  /** @internal Performs a task of a courier. */
  deliver(delivery: Delivery, args: readonly unknown[]): TaskHandle<unknown>;
  /** @internal The same with another definition. */
  withDefinition(change: (definition: Definition) => Definition): BackgroundTask<TaskFunction>;
}

type Inputs<T> = Iterable<T> | AsyncIterable<T>;

/** What `map()` takes in the place of other inputs: nothing. It says so in the error of the compiler. */
interface ListsOfArguments<A> {
  readonly 'each input is the list of arguments of one call': A;
}

/** Makes a background task of a static async method; `decoratedTask()` gives it with its type. */
export type BackgroundTaskDecorator = <F extends (this: never, ...args: never[]) => Promise<unknown>>(
  method: F,
  context: ClassMethodDecoratorContext,
) => F;

/**
 * Makes a background task of a function that its module holds, at the module's top level: the thread imports the
 * module and calls the function there. It need not be exported.
 * @param moduleUrl `import.meta.url`, or `__filename` in CommonJS.
 * @throws TaskwardenError `DUPLICATE_TASK_NAME` if the module has a task of that name.
 */
export function backgroundTask<F extends TaskFunction>(
  moduleUrl: string | URL,
  fn: F & TaskFunction,
  options?: TaskOptions<F>,
): BackgroundTask<F>;
/**
 * Makes a background task of a function alone. Its source is sent to the thread, so it sees nothing of what is around
 * it; it may `await import('node:crypto')`. With `type: 'loop'` nothing is sent, and closures are fine.
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
  const place = callSite(backgroundTask);
  if (typeof second === 'function') {
    const options = resolveTaskOptions((third === undefined ? {} : third) as TaskOptions, 'backgroundTask()');
    const fn = second as TaskFunction;
    return wrap(defineInModule(moduleUrl, nameOf(fn, options), fn, place), options);
  }
  return decorator(
    moduleUrl,
    place,
    resolveTaskOptions((second === undefined ? {} : second) as TaskOptions, 'backgroundTask()'),
  );
}

/**
 * The background task that a decorated method is. A decorator can't change the type of its method, which for TypeScript
 * gives a promise as before; this has `with()` and `map()`, and gives handles: `decoratedTask(Reports.build)(2027).cancel()`.
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

/** The functions of a module as background tasks. */
export type TasksFrom<M> = {
  readonly [K in keyof M as M[K] extends TaskFunction ? K : never]: M[K] extends TaskFunction
    ? BackgroundTask<M[K]>
    : never;
};

/**
 * The exported functions of a module that knows nothing of taskwarden, as background tasks:
 * `tasksFrom<typeof import('./legacy.js')>(new URL('./legacy.js', import.meta.url))`.
 * The module is imported where the tasks run, not here; a function that it does not export fails with
 * `TASK_NOT_DEFINED` when it is called.
 * @param module A URL, an absolute path, a built-in such as `node:zlib`, or a package, found from the working directory.
 */
export function tasksFrom<M>(module: string | URL, options: TaskOptions<never> = {}): TasksFrom<M> {
  const moduleUrl = resolveModule(module);
  const resolved = resolveTaskOptions(options as TaskOptions, 'tasksFrom()');
  if (resolved.name !== undefined) throw new TypeError('tasksFrom() takes no option "name": it has many tasks');
  const tasks = new Map<string, BackgroundTask<TaskFunction>>();
  const shown = Object.freeze({ [Symbol.toPrimitive]: () => `tasks of ${moduleUrl}` });
  return new Proxy(shown, {
    get: (target, key) => {
      // It is no promise, and can be shown: these never name a task.
      if (typeof key !== 'string' || key === 'then' || key === 'toJSON') return Reflect.get(target, key);
      let task = tasks.get(key);
      if (task === undefined) {
        task = wrap(defineExport(moduleUrl, key), resolved);
        tasks.set(key, task);
      }
      return task;
    },
  }) as TasksFrom<M>;
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
    // not there, or a package that only `import` can load
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

function decorator(moduleUrl: string, place: string, options: ResolvedTaskOptions): BackgroundTaskDecorator {
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
    const definition = defineInModule(moduleUrl, options.name ?? String(context.name), fn, place);
    context.addInitializer(function (this: unknown) {
      definition.receiver = this;
    });
    return wrap(definition, options) as unknown as typeof method;
  };
}

/** What all calls are to run. Throws a TypeError if that can't be sent to where they run. */
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

/** What a background task does with its options, which `with()` changes. */
export interface TaskPlan {
  /** Where the options say none. */
  readonly name: string;
  specOf(options: ResolvedTaskOptions): TaskSpec;
  /** What the function gets instead of the arguments of the call. */
  argsOf?(args: readonly unknown[], options: ResolvedTaskOptions): readonly unknown[];
  withDefinition(change: (definition: Definition) => Definition): TaskPlan;
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
    over: { value: (change: (old: Definition) => Definition) => wrapPlan(plan.withDefinition(change), options) },
    map: {
      value: (items: Iterable<unknown[]> | AsyncIterable<unknown[]>, mapOptions: MapOptions = {}) => {
        checkOptions(mapOptions, { concurrency: rules.positiveCount, ordered: rules.boolean }, `${plan.name}.map()`);
        const hasRoom = () => submitter().hasRoom(spec.options);
        const waitForRoom = () => submitter().capacity(spec.options.priority);
        const ahead = Object.freeze({ ...spec, isSubmittedAhead: true });
        return mapTasks({ submit: (...args) => submitAs(ahead, args), hasRoom, waitForRoom }, items, mapOptions);
      },
    },
  }) as BackgroundTask<TaskFunction>;
}

/** Where a task with these options goes. */
export function submitterOf({ supervisor, module }: ResolvedTaskOptions): TaskSubmitter {
  return supervisor ?? module?.supervisor ?? currentRun()?.submitter ?? defaultSubmitter();
}

/** Where the default supervisor is found, whichever copy of the package made it. */
export const defaultSupervisorSymbol: unique symbol = Symbol.for('taskwarden.supervisor') as never;

export function defaultSubmitter(): TaskSubmitter {
  return (globalThis as unknown as Record<symbol, TaskSubmitter>)[defaultSupervisorSymbol] as TaskSubmitter;
}
