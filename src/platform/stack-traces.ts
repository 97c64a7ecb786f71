/**
 * Stack traces that do not depend on the program: it may change how `Error` captures them (`Error.stackTraceLimit`,
 * `Error.prepareStackTrace`), or freeze `Error` (`node --frozen-intrinsics`, SES).
 */
import { runInNewContext } from 'node:vm';

type Prepare = typeof Error.prepareStackTrace | undefined;
type Callee = ((...args: never[]) => unknown) | (abstract new (...args: never[]) => unknown);

/** Where `callee` was called or constructed, as `at file:line:column`. */
export function callSite(callee: Callee): string {
  return siteBy(Error, undefined, callee) ?? siteBy(otherError(), firstSite, callee) ?? 'at an unknown place';
}

let other: ErrorConstructor | undefined;

/** The `Error` of another context, which the program has not changed. Creating it takes a millisecond. */
function otherError(): ErrorConstructor {
  other ??= runInNewContext('Error') as ErrorConstructor;
  return other;
}

/** Another context uses the formatter of the program, unless it has its own. */
function firstSite(_error: Error, sites: NodeJS.CallSite[]): string {
  return `Error\n    at ${sites[0]}`;
}

/** Undefined if the class is frozen, or can't capture stack traces. */
function siteBy(type: ErrorConstructor, prepare: Prepare, callee: Callee): string | undefined {
  return withTraces(type, 1, prepare, (isSet) => {
    if (!isSet || typeof type.captureStackTrace !== 'function') return undefined;
    const site = new type(); // the object decides whose formatter is called
    type.captureStackTrace(site, callee);
    return site.stack?.split('\n')[1]?.trim();
  });
}

/** Creates errors without a stack trace, if possible: the trace costs more than the rest of the error. */
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

/** Returns false if the property is frozen. */
function set(type: ErrorConstructor, key: keyof ErrorConstructor, value: unknown): boolean {
  try {
    return Reflect.set(type, key, value);
  } catch {
    return false; // frozen intrinsics have setters that throw
  }
}
