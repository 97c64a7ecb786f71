/**
 * Stack traces. Programs change how `Error` takes them (`Error.stackTraceLimit`, `Error.prepareStackTrace`), or freeze it
 * (`node --frozen-intrinsics`, SES); what is needed here depends on none of that.
 */
import { runInNewContext } from 'node:vm';

type Prepare = typeof Error.prepareStackTrace | undefined;
type Callee = ((...args: never[]) => unknown) | (abstract new (...args: never[]) => unknown);

/** Where `callee` was called, or made an instance, as `at file:line:column`. */
export function callSite(callee: Callee): string {
  return siteBy(Error, undefined, callee) ?? siteBy(otherError(), firstSite, callee) ?? 'at an unknown place';
}

let other: ErrorConstructor | undefined;

/** That of another context, which nobody has touched. Making it takes a millisecond. */
function otherError(): ErrorConstructor {
  other ??= runInNewContext('Error') as ErrorConstructor;
  return other;
}

/** Without a formatter of its own, another context takes that of the program. */
function firstSite(_error: Error, sites: NodeJS.CallSite[]): string {
  return `Error\n    at ${sites[0]}`;
}

/** Undefined if that class lets nobody say how, or has no way to take one. */
function siteBy(type: ErrorConstructor, prepare: Prepare, callee: Callee): string | undefined {
  return withTraces(type, 1, prepare, (isSet) => {
    if (!isSet || typeof type.captureStackTrace !== 'function') return undefined;
    const site = new type(); // whose formatter is asked is up to the object
    type.captureStackTrace(site, callee);
    return site.stack?.split('\n')[1]?.trim();
  });
}

/** Makes errors that take no stack, if that can be had: it would cost more than all the rest of them. */
export function withoutStack<R>(make: () => R): R {
  return withTraces(Error, 0, undefined, make);
}

function withTraces<R>(type: ErrorConstructor, limit: number, prepare: Prepare, call: (isSet: boolean) => R): R {
  const { stackTraceLimit, prepareStackTrace } = type;
  const isLimited = set(type, 'stackTraceLimit', limit);
  const isPrepared = set(type, 'prepareStackTrace', prepare);
  try {
    return call(isLimited && isPrepared);
  } finally {
    if (isLimited) set(type, 'stackTraceLimit', stackTraceLimit);
    if (isPrepared) set(type, 'prepareStackTrace', prepareStackTrace);
  }
}

/** False if it is frozen. */
function set(type: ErrorConstructor, key: keyof ErrorConstructor, value: unknown): boolean {
  try {
    return Reflect.set(type, key, value);
  } catch {
    return false; // a setter that throws is how intrinsics are frozen
  }
}
