/** Reads from the arguments of a worker's constructor what it runs: a function, or the method `run()` of a class. */
import { isInstance } from '../base/foreign-value.ts';
import { show } from '../base/options.ts';
import { callSite } from '../platform/stack-traces.ts';
import { defaultSubmitter, specOf } from '../task/call/background-task.ts';
import type { TaskSpec } from '../task/call/task-options.ts';
import { resolveTaskOptions, type TaskSubmitter } from '../task/call/task-options.ts';
import type { Definition, TaskFunction } from '../task/definition/definition.ts';
import { defineBySource, defineInModule, takingWorkerContext } from '../task/definition/definition-registry.ts';
import { toModuleUrl } from '../task/definition/module-url.ts';
import type { ObjectName } from '../task/definition/program-object.ts';
import type { TaskType } from '../task/record/task-type.ts';
import { runOptionsOf, type WorkerOptions } from './worker-options.ts';

/** The option for where `backgroundWorker()` was called. */
export const calledAt: unique symbol = Symbol('calledAt');

export interface WorkerTarget {
  /** Names the owner of the options in errors. */
  readonly owner: string;
  readonly options: WorkerOptions & Readonly<Record<string, unknown>>;
  readonly supervisor: TaskSubmitter;
  /** The name by which threads and children find the worker. */
  readonly objectName: ObjectName;
  /** What each run gets before its other arguments. */
  readonly prefix: readonly unknown[];
  /** The task of each run. `run` calls the method of the worker. */
  define(run: TaskFunction): TaskSpec;
}

/** Reads `[moduleUrl], [fn], [options]`. */
export function readTarget(given: readonly unknown[], kind: { readonly name: string }): WorkerTarget {
  const rest = [...given];
  const moduleUrl = typeof rest[0] === 'string' || isInstance(rest[0], URL) ? toModuleUrl(rest.shift()) : undefined;
  const fn = typeof rest[0] === 'function' ? (rest.shift() as TaskFunction) : undefined;
  const [options = {}, ...tooMany] = rest as [(WorkerOptions & { [calledAt]?: string })?, ...unknown[]];
  if (tooMany.length > 0) {
    throw new TypeError(`${kind.name} takes a module, a function and options, each only once; got ${show(tooMany[0])}`);
  }
  const place = options[calledAt] ?? callSite(kind as unknown as TaskFunction);
  const owner = options[calledAt] === undefined ? kind.name : 'backgroundWorker()';
  const type: TaskType = options.type ?? (fn === undefined && moduleUrl === undefined ? 'loop' : 'thread');
  // On the event loop the function is not looked up by its name.
  const needsNone = fn === undefined || (type === 'loop' && moduleUrl === undefined);
  const name = (options.name ?? fn?.name) || (needsNone ? kind.name : '');

  function definition(run: TaskFunction): Definition {
    if (name === '') throw new TypeError('a worker needs a name: name the function, or give the option "name"');
    if (moduleUrl !== undefined) return defineInModule(moduleUrl, name, fn ?? run, place);
    if (fn === undefined && type !== 'loop') {
      throw new TypeError(
        `worker "${name}" is a class, and can't be sent to a ${type} alone: make it with its module, ` +
          `new ${kind.name}(import.meta.url, options), or run it with { type: 'loop' }`,
      );
    }
    return defineBySource(name, fn ?? run);
  }

  return {
    owner,
    options: options as WorkerTarget['options'],
    get supervisor() {
      return options.supervisor ?? options.module?.supervisor ?? defaultSubmitter();
    },
    objectName: {
      kind: 'BackgroundWorker',
      name: moduleUrl === undefined ? undefined : `${moduleUrl}#${name}`,
      site: place,
    },
    prefix: options.context === undefined ? [] : [options.context],
    define(run) {
      const plain = definition(run);
      const resolved = resolveTaskOptions({ ...runOptionsOf(options), type }, owner);
      return specOf(options.context === undefined ? plain : takingWorkerContext(plain), { ...resolved, worker: name });
    },
  };
}
