/** Functions that are sent as their source text. */
import type { TaskFunction } from './definition.ts';

/** Makes a function from a source that `sourceOf` returned. */
export function functionFromSource(source: string): TaskFunction {
  const fn: unknown = new Function(`'use strict'; return ${source};`)();
  if (typeof fn !== 'function')
    throw new TypeError(`the source of a task is that of a ${typeof fn}, not of a function`);
  return fn as TaskFunction;
}

/** An expression that evaluates to the function; methods become properties of an object. Undefined if it has no source. */
export function sourceOf(fn: TaskFunction): string | undefined {
  const text = Function.prototype.toString.call(fn);
  if (text.endsWith('{ [native code] }')) return undefined;
  if (/^[gs]et\s+[^\s(]/.test(text)) return undefined; // an accessor
  const method = text.replace(/^((?:async\b)?[\s*]*)\[[^\]]*\]/, '$1method'); // a computed name may name a variable
  return [`(${text}\n)`, `Object.values({ ${method}\n })[0]`].find(isExpression);
}

function isExpression(text: string): boolean {
  try {
    new Function(`'use strict'; return ${text};`);
    return true;
  } catch {
    return false;
  }
}
