/** Finds the function of a definition in this thread: by importing its module, or from its source. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TaskwardenError } from '../../base/errors.ts';
import { isReferenceError, isThenable, memberOf, messageOf, setMessage } from '../../base/foreign-value.ts';
import { clearTimeout, Promise, setTimeout } from '../../platform/globals.ts';
import { overInputs } from '../inputs/chunk-run.ts';
import type { Definition, TaskFunction, WireDefinition } from './definition.ts';
import { findDefinition, takeWorkerContext, whenDefined, withContext } from './definition-registry.ts';
import { functionFromSource } from './function-source.ts';
import { importModule } from './import-module.ts';
import { onModuleWait, whileLoading } from './load-phase.ts';

export interface LoadedFunction {
  readonly fn: TaskFunction;
  readonly receiver: unknown;
}

/** How long after its module was loaded a task may still be defined, in milliseconds. */
const restOfModuleMs = 100;
/** How long after its module began to wait for an ignored call a task may still be defined, in milliseconds. */
const lastChanceMs = 1_000;
/** How long a module may go on loading after another one began to wait for an ignored call, in milliseconds: it may import that one. */
const longestBehindMs = 5_000;
/** How long a module may load on the event loop before its tasks fail, in milliseconds. */
const longestLoadMs = 60_000;

/** Rejects with `MODULE_LOAD_FAILED`, `TASK_NOT_DEFINED` or `TASK_UNREACHABLE`. May never settle. */
export async function loadFunction(wire: WireDefinition): Promise<LoadedFunction> {
  const { fn, receiver } = await find(wire);
  const called = wire.passesContext ? withContext(fn) : wire.takesWorkerContext ? takeWorkerContext(fn) : fn;
  return { fn: wire.takesChunk ? overInputs(called) : called, receiver };
}

async function find(wire: WireDefinition): Promise<LoadedFunction> {
  if (wire.source !== undefined) return fromSource(wire.name, wire.source);
  if (wire.moduleUrl === undefined) throw new TypeError(`task "${wire.name}" has neither module nor source`);
  const { moduleUrl } = wire;
  return whileLoading(moduleUrl, () => fromModule(moduleUrl, wire));
}

/** Imports a module whole, before any task of it. Rejects with `MODULE_LOAD_FAILED`. */
export async function loadModule(moduleUrl: string): Promise<void> {
  await whileLoading(moduleUrl, () => load(moduleUrl));
}

function fromSource(name: string, source: string): LoadedFunction {
  defineCompilerHelpers();
  const fn = evaluate(source, name);
  const hinted: TaskFunction = (...args: unknown[]) => {
    try {
      const value = fn(...args);
      return isThenable(value) ? explained(value, name) : value;
    } catch (error) {
      return explain(error, name);
    }
  };
  return { fn: hinted, receiver: undefined };
}

async function explained(value: PromiseLike<unknown>, name: string): Promise<unknown> {
  try {
    return await value;
  } catch (error) {
    return explain(error, name);
  }
}

/** How an error names a variable. Vite renames imports. */
function nameOf(variable: string): string {
  return variable.startsWith('__vite_ssr_import') ? 'an import of its module' : `"${variable}"`;
}

function evaluate(source: string, name: string): TaskFunction {
  try {
    return functionFromSource(source);
  } catch (error) {
    return explain(error, name);
  }
}

/** Rethrows the error. If the function used a variable that its source can't see, the message says what to do. */
function explain(error: unknown, name: string): never {
  if (!isReferenceError(error)) throw error;
  const variable = /^(.+) is not defined$/.exec(messageOf(error))?.[1];
  if (variable !== undefined) {
    setMessage(
      error,
      `${variable} is not defined: task "${name}" was sent to its thread by its source, which can't see ${nameOf(variable)} ` +
        'around it. Either give its module, backgroundTask(import.meta.url, ...), so that the thread imports it; or run ' +
        `it on the event loop, { type: 'loop' }, where closures work`,
    );
  }
  throw error;
}

/** Defines the helpers of compilers that a function's source calls, but does not contain. */
function defineCompilerHelpers(): void {
  const helpers = globalThis as Record<string, unknown>;
  helpers['__name'] ??= (fn: unknown) => fn; // esbuild, tsx
  helpers['__vite_ssr_dynamic_import__'] ??= async (specifier: string) => import(await fromVite(specifier)); // vite, vitest
}

/** Resolves an import that Vite has rewritten: `/path` below the root of the project, `/@fs/path` for other files. */
async function fromVite(specifier: string): Promise<string> {
  if (specifier.startsWith('/@fs/')) return pathToFileURL(specifier.slice('/@fs'.length)).href;
  if (!specifier.startsWith('/')) return specifier;
  const { existsSync } = await import('node:fs'); // few need it, and a static import would load streams, too
  if (existsSync(specifier)) return specifier;
  return pathToFileURL(join(process.cwd(), specifier)).href;
}

/** The same with a time limit, for the event loop, where no supervisor watches a module that never finishes loading. */
export async function loadFunctionInTime(wire: WireDefinition): Promise<LoadedFunction> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unfinished(wire.moduleUrl)), longestLoadMs).unref();
  });
  try {
    return await Promise.race([loadFunction(wire), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Finds what a module registers or exports under the name, after the whole module has loaded, with its top-level awaits.
 * Only a module that waits for an ignored call never gets there; then the definitions that it has made count.
 */
function fromModule(moduleUrl: string, { name, exportName }: WireDefinition): Promise<LoadedFunction> {
  return new Promise((resolve, reject) => {
    const take = (definition: Definition) => resolve(loaded(definition));
    const takeOr = (otherwise: () => void) => {
      const definition = findDefinition(moduleUrl, name);
      if (definition === undefined) otherwise();
      else take(definition);
    };
    /** Takes the definition now, or when it is made within that time; else rejects. */
    const takeWithin = (ms: number, problem: unknown) => {
      takeOr(() => {
        whenDefined(moduleUrl, name, take);
        setTimeout(takeOr, ms, () => reject(problem)).unref();
      });
    };
    onModuleWait(() => takeWithin(lastChanceMs, unreachable(moduleUrl, name)), moduleUrl);
    if (exportName === undefined) {
      onModuleWait(() => setTimeout(takeWithin, longestBehindMs, 0, unreachable(moduleUrl, name)).unref());
    }
    load(moduleUrl).then((module) => {
      const found = exportName === undefined ? undefined : exported(module, exportName);
      // A CommonJS module that can't require() this package imports it, and defines its tasks a moment after it was loaded.
      if (found !== undefined) resolve(found);
      else takeWithin(restOfModuleMs, notDefined(moduleUrl, name, exportName === undefined ? undefined : module));
    }, reject);
  });
}

/** The export of that name; of CommonJS, it may be a property of `default` only. */
function exported(module: Record<string, unknown>, name: string): LoadedFunction | undefined {
  const commonjs = module['default'] as Record<string, unknown> | null | undefined;
  for (const exports of [module, commonjs]) {
    const value = memberOf(exports, name);
    if (typeof value !== 'function') continue;
    const definition = (value as { spec?: { definition?: Definition } }).spec?.definition;
    if (definition?.fn !== undefined) return loaded(definition);
    return { fn: value as TaskFunction, receiver: exports === module ? undefined : exports };
  }
  return undefined;
}

function loaded({ fn, receiver }: Definition): LoadedFunction {
  return { fn: fn as TaskFunction, receiver };
}

async function load(moduleUrl: string): Promise<Record<string, unknown>> {
  try {
    return await importModule(moduleUrl);
  } catch (cause) {
    const message = `${moduleUrl} could not be imported in a thread or child: ${messageOf(cause)}`;
    throw new TaskwardenError('MODULE_LOAD_FAILED', message, { cause });
  }
}

/** @param module Given if its exports were searched, too. */
function notDefined(moduleUrl: string, name: string, module?: Record<string, unknown>): TaskwardenError {
  if (module !== undefined) {
    const functions = Object.keys(module).filter((key) => typeof module[key] === 'function');
    return new TaskwardenError(
      'TASK_NOT_DEFINED',
      `${moduleUrl} exports no function "${name}"; the functions that it exports: ${functions.join(', ') || 'none'}`,
    );
  }
  return new TaskwardenError(
    'TASK_NOT_DEFINED',
    `${moduleUrl} was imported in a thread or child, but it registered no task "${name}" there: ` +
      'call backgroundTask() at the top level of the module, not under a condition or in a function',
  );
}

function unfinished(moduleUrl: string | undefined): TaskwardenError {
  const seconds = longestLoadMs / 1_000;
  return new TaskwardenError(
    'MODULE_LOAD_FAILED',
    `${moduleUrl} is still loading after ${seconds} s: what it awaits at its top level may never settle`,
  );
}

function unreachable(moduleUrl: string, name: string): TaskwardenError {
  return new TaskwardenError(
    'TASK_UNREACHABLE',
    `a thread or child can't reach task "${name}" of ${moduleUrl}: before the line that defines it, the module awaits a task ` +
      'or a call of the supervisor, which never settles there. Define the task above that line, or in a module of its own',
  );
}
