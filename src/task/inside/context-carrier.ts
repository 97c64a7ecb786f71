/**
 * Carries a part of the caller's asynchronous context along with a task, such as a request id in an AsyncLocalStorage. A
 * module defines how it is captured, and how it is restored in a thread or child.
 */
import { checkOptions, rules } from '../../base/options.ts';
import { callSite } from '../../platform/stack-traces.ts';
import type { Definition } from '../definition/definition.ts';
import { defineInModule } from '../definition/definition-registry.ts';
import { toModuleUrl } from '../definition/module-url.ts';

export interface ContextHooks<V> {
  /** Called when a background task is called. Returns a cloneable value, or undefined to carry nothing. */
  capture(): V | undefined;
  /** Called in the thread or child. Calls `call` in that context, and returns its result. */
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
 * Defines how context is carried. Call it at the top level of a module, which threads and children import:
 * `contextCarrier(import.meta.url, { capture: () => storage.getStore(), restore: (store, call) => storage.run(store, call) })`.
 * On the event loop a task has its caller's context without this.
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
