/**
 * What of a caller's asynchronous context goes along with a task, such as the request id in an AsyncLocalStorage: a module
 * says how it is taken up, and how it is put on again in a thread or child.
 */
import { checkOptions, rules } from '../../base/options.ts';
import { callSite } from '../../platform/stack-traces.ts';
import type { Definition } from '../definition/definition.ts';
import { defineInModule } from '../definition/definition-registry.ts';
import { toModuleUrl } from '../definition/module-url.ts';

export interface ContextHooks<V> {
  /** Called where a background task is called. undefined: nothing goes along. What it gives has to be cloneable. */
  capture(): V | undefined;
  /** Called in the thread or child: calls `call` in that context, and gives what that gives. */
  restore<R>(value: V, call: () => R): R;
}

/** For the option `context` of a supervisor. */
export interface ContextCarrier {
  /** @internal */
  readonly definition: Definition;
  /** @internal */
  capture(): unknown;
}

/**
 * Defines how context is carried, at the top level of a module, which threads and children import:
 * `contextCarrier(import.meta.url, { capture: () => storage.getStore(), restore: (store, call) => storage.run(store, call) })`.
 * On the event loop a task has its caller's context without that.
 */
export function contextCarrier<V>(moduleUrl: string | URL, hooks: ContextHooks<V>): ContextCarrier {
  checkOptions(hooks, { capture: rules.function, restore: rules.function }, 'contextCarrier()');
  rules.function(hooks.capture, 'capture of contextCarrier()');
  rules.function(hooks.restore, 'restore of contextCarrier()');
  const carry = (value: V | undefined, call?: () => unknown) =>
    call === undefined ? hooks.capture() : hooks.restore(value as V, call);
  const definition = defineInModule(toModuleUrl(moduleUrl), '(context)', carry, callSite(contextCarrier));
  return Object.freeze({ definition, capture: () => hooks.capture() });
}
