/**
 * Any value as one line of JSON. Values that JSON does not have are converted: a bigint to a string of digits, a Map to
 * its entries, a Set or typed array to its elements, an Error to its name, message and code, a RegExp to its source,
 * and a circular reference to the text "[Circular]".
 */
import { fieldOf, isError, isInstance, messageOf, textOf } from '../../base/foreign-value.ts';
import { describe } from '../../base/logger.ts';

/** @throws an error if the value is too big or too deep. */
export function jsonLine(value: object): string {
  return `${JSON.stringify(value, replacer())}\n`;
}

function replacer(): (this: unknown, key: string, value: unknown) => unknown {
  // The objects that contain the present one, each before and after its conversion: circular references point at the former.
  const around: { readonly original: unknown; readonly replaced: unknown }[] = [];
  return function (key, value) {
    if (typeof value === 'bigint') return String(value);
    if (typeof value !== 'object' || value === null) return value;
    while (around.length > 0 && around.at(-1)?.replaced !== this) around.pop();
    if (around.some(({ original }) => original === value)) return '[Circular]';
    const before: unknown = Reflect.get(this as object, key); // a Buffer has a toJSON() of its own
    const replaced = ArrayBuffer.isView(before) ? elementsOf(before) : replace(value);
    around.push({ original: value, replaced });
    return replaced;
  };
}

function replace(value: object): unknown {
  if (isInstance(value, Map) || isInstance(value, Set)) return [...value];
  if (isInstance(value, ArrayBuffer) || isInstance(value, SharedArrayBuffer)) return [...new Uint8Array(value)];
  if (isError(value)) return errorFields(value);
  if (isInstance(value, RegExp)) return String(value);
  return value;
}

function elementsOf(view: ArrayBufferView): unknown[] {
  if (Symbol.iterator in view) return [...(view as Iterable<unknown> & ArrayBufferView)];
  return [...new Uint8Array(view.buffer, view.byteOffset, view.byteLength)]; // a DataView
}

export interface ErrorFields {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
}

/** The fields of a thrown value, which need not be an Error. */
export function errorFields(thrown: unknown): ErrorFields {
  if (!isError(thrown)) return { name: 'Error', message: describe(thrown) };
  const code = fieldOf(thrown, 'code');
  const isCode = typeof code === 'string' || typeof code === 'number';
  return { name: textOf(fieldOf(thrown, 'name')), message: messageOf(thrown), ...(isCode && { code }) };
}
