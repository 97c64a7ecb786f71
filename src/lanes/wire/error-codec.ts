/**
 * What a task threw, as plain data that crosses to another thread or process, and back.
 * Kept: the built-in class, name, message, stack, cause, errors of an AggregateError, and all own fields that can be
 * cloned, with the errors in their arrays and plain objects; a field that can't, or is nested deeper than `mostLevels`,
 * is replaced by a text. Not kept: own classes (their instances arrive as the built-in class that they extend, under
 * their own name).
 */
import { types } from 'node:util';
import { isCloneable } from '../../base/cloneable.ts';
import { type ErrorCode, TaskwardenError } from '../../base/errors.ts';
import { fieldOf, isArray, isError, isInstance, textOf } from '../../base/foreign-value.ts';
import { show } from '../../base/options.ts';
import { withoutStack } from '../../platform/stack-traces.ts';

/** A value, and the errors that belong at places in it; or an error. */
type Reference = { readonly value: unknown; readonly holds?: readonly Held[] } | { readonly error: number };
type Held = readonly [path: readonly string[], error: number];

interface WireError {
  readonly type: string;
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly fields: readonly (readonly [string, Reference])[];
  readonly cause?: Reference;
  readonly errors?: readonly Reference[];
}

/** A thrown value: the errors in it, each once, so that circles keep their shape. */
export interface WireThrown {
  readonly thrown: Reference;
  readonly errors: readonly WireError[];
}

const classes: Readonly<Record<string, ErrorConstructor>> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  Error,
};

/** Errors refer to so many others, directly or not. */
const mostErrors = 1_000;
/** What is nested so deep can be read on the other side, however small the stack is there. */
const mostLevels = 200;

const ownParts = new Set(['name', 'message', 'stack', 'cause']);

type CanCross = (value: unknown) => boolean;

/** Never throws. `canCross` says what arrives on the other side. */
export function encodeThrown(thrown: unknown, canCross: CanCross = isCloneable): WireThrown {
  try {
    return new Encoder(canCross).encode(thrown);
  } catch (problem) {
    return new Encoder(canCross).encode(unreadable(problem));
  }
}

class Encoder {
  readonly #canCross: CanCross;
  /** In the order of their indexes. */
  readonly #found = new Map<unknown, number>();

  constructor(canCross: CanCross) {
    this.#canCross = canCross;
  }

  encode(value: unknown): WireThrown {
    const thrown = this.#reference(value);
    const errors: WireError[] = [];
    for (const error of this.#found.keys()) errors.push(this.#encodeError(error as Error)); // which may find others
    return { thrown, errors };
  }

  #reference(value: unknown): Reference {
    if (isError(value)) {
      const error = this.#indexOf(value);
      return error === undefined ? { value: moreErrors } : { error };
    }
    const contents = contentsOf(value);
    if (contents.levels > mostLevels) return { value: instead(value, 'is nested too deep') };
    if (!contents.hasErrors) return { value: this.#copyable(value) };
    const holds: Held[] = [];
    return { value: this.#withoutErrors(value as object, holds), holds };
  }

  /** Undefined: there are too many. */
  #indexOf(error: Error): number | undefined {
    let index = this.#found.get(error);
    if (index === undefined && this.#found.size < mostErrors) {
      index = this.#found.size;
      this.#found.set(error, index);
    }
    return index;
  }

  #encodeError(error: Error): WireError {
    const type = typeOf(error);
    const nested = read(error, 'errors');
    const isAggregate = type === 'AggregateError' && isArray(nested);
    const fields: [string, Reference][] = [];
    for (const key of Object.getOwnPropertyNames(error)) {
      if (ownParts.has(key) || (key === 'errors' && isAggregate)) continue;
      fields.push([key, this.#reference(read(error, key))]);
    }
    return {
      type,
      name: textOf(read(error, 'name')),
      message: textOf(read(error, 'message')),
      stack: stringOrNothing(read(error, 'stack')),
      fields,
      ...('cause' in error && { cause: this.#reference(read(error, 'cause')) }),
      ...(isAggregate && { errors: nested.map((each) => this.#reference(each)) }),
    };
  }

  /** The value, or as much of it as can be cloned: of a plain object, the fields that can. */
  #copyable(value: unknown): unknown {
    if (this.#canCross(value)) return value;
    if (!isPlain(value)) return instead(value);
    try {
      return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, this.#orText(field)]));
    } catch {
      return instead(value); // a getter, or a proxy, throws
    }
  }

  #orText(value: unknown): unknown {
    return this.#canCross(value) ? value : instead(value);
  }

  /** A copy of an array or plain object, without the errors in it: notes where each belongs. */
  #withoutErrors(
    value: object,
    holds: Held[],
    path: readonly string[] = [],
    copies = new Map<unknown, object>(),
  ): object {
    const copy: object = isArray(value) ? new Array(value.length) : {};
    copies.set(value, copy);
    for (const [key, field] of Object.entries(value)) {
      const at = [...path, key];
      const index = isError(field) ? this.#indexOf(field) : undefined;
      if (index !== undefined) holds.push([at, index]);
      const known = copies.get(field);
      if (known !== undefined) put(copy, key, known);
      else if (isError(field)) put(copy, key, index === undefined ? moreErrors : null);
      else if (contentsOf(field).hasErrors) put(copy, key, this.#withoutErrors(field as object, holds, at, copies));
      else put(copy, key, this.#orText(field));
    }
    return copy;
  }
}

const moreErrors = '[more errors]';

interface Contents {
  /** In arrays and plain objects, which are copied for that. */
  readonly hasErrors: boolean;
  /** How deep objects are nested in it; no more than one above `mostLevels`. */
  readonly levels: number;
}

const noContents: Contents = { hasErrors: false, levels: 0 };

/** Level by level, and not by recursion: it may be too deep for that. */
function contentsOf(value: unknown): Contents {
  if (typeof value !== 'object' || value === null) return noContents;
  const seen = new Set<unknown>();
  let levels = 0;
  let hasErrors = false;
  for (let level = [value]; level.length > 0 && levels <= mostLevels; levels += 1) {
    const next: object[] = [];
    for (const each of level) {
      if (seen.has(each)) continue;
      seen.add(each);
      for (const part of partsOf(each)) {
        if (typeof part !== 'object' || part === null) continue;
        if (!isError(part)) next.push(part);
        else if (isArray(each) || isPlain(each)) hasErrors = true;
      }
    }
    level = next;
  }
  return { hasErrors, levels };
}

function partsOf(value: object): readonly unknown[] {
  try {
    if (types.isMap(value)) return [...value.keys(), ...value.values()];
    if (types.isSet(value)) return [...value];
    return isArray(value) ? value : ArrayBuffer.isView(value) ? [] : Object.values(value);
  } catch {
    return []; // a getter, or a proxy, throws; then it does not cross either
  }
}

function isPlain(value: unknown): value is object {
  try {
    return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  } catch {
    return false;
  }
}

function instead(value: unknown, why = "can't be cloned"): string {
  return `[${show(value)}: ${why}]`;
}

function unreadable(problem: unknown): Error {
  return new Error(`what was thrown can't be read: ${textOf(problem)}`);
}

function typeOf(error: Error): string {
  if (read(error, 'name') === 'TaskwardenError' && typeof read(error, 'code') === 'string') return 'TaskwardenError';
  if (isInstance(error, DOMException)) return 'DOMException';
  if (isInstance(error, AggregateError)) return 'AggregateError';
  return (
    Object.keys(classes).find((name) => isInstance(error, classes[name] as ErrorConstructor)) ?? otherTypeOf(error)
  );
}

/** Of another vm context: its built-in classes are others, and have the same names. */
function otherTypeOf(error: Error): string {
  for (let proto: unknown = error; proto !== null; proto = Object.getPrototypeOf(proto)) {
    const name = textOf(fieldOf(fieldOf(proto, 'constructor'), 'name'));
    if (name === 'AggregateError' || Object.hasOwn(classes, name)) return name;
  }
  return 'Error';
}

/** @throws TypeError for what `encodeThrown` did not give. */
export function decodeThrown({ thrown, errors }: WireThrown): unknown {
  const decoded = withoutStack(() => errors.map(bare)); // each comes with its stack
  const errorAt = (index: number): Error => {
    const error = typeof index === 'number' ? decoded[index] : undefined;
    if (error === undefined) throw new TypeError('what was thrown was not encoded here');
    return error;
  };
  const resolve = (reference: Reference): unknown => {
    if ('error' in reference) return errorAt(reference.error);
    for (const [path, error] of reference.holds ?? []) putAt(reference.value, path, errorAt(error));
    return reference.value;
  };
  for (const [index, wire] of errors.entries()) {
    const error = errorAt(index);
    for (const [key, reference] of wire.fields) put(error, key, resolve(reference));
    if (wire.cause !== undefined) put(error, 'cause', resolve(wire.cause), false);
    if (wire.errors !== undefined) put(error, 'errors', wire.errors.map(resolve), false);
  }
  return resolve(thrown);
}

/** The error without what it refers to. */
function bare({ type, name, message, stack, fields }: WireError): Error {
  const error = construct(type, name, message, fields);
  if (error.name !== name) put(error, 'name', name, false);
  try {
    put(error, 'stack', stack, false);
  } catch {
    // a formatter of the program's is asked for the one that it has, and fails
  }
  return error;
}

function construct(type: string, name: string, message: string, fields: WireError['fields']): Error {
  if (type === 'DOMException') return new DOMException(message, name);
  if (type === 'TaskwardenError') {
    const code = fields.find(([key]) => key === 'code')?.[1];
    return new TaskwardenError((code !== undefined && 'value' in code ? code.value : '') as ErrorCode, message);
  }
  if (type === 'AggregateError') return new AggregateError([], message);
  const known = Object.hasOwn(classes, type) ? classes[type] : undefined;
  return new (known ?? Error)(message);
}

/** Nothing but what is there, and its own, is changed. */
function putAt(value: unknown, path: readonly string[], error: Error): void {
  let holder = value;
  for (const key of path.slice(0, -1)) holder = Object.hasOwn(holder as object, key) ? fieldOf(holder, key) : undefined;
  put(holder as object, path.at(-1) as string, error);
}

function put(holder: object, key: string, value: unknown, enumerable = true): void {
  Object.defineProperty(holder, key, { value, enumerable, configurable: true, writable: true });
}

/** A property, even if its getter throws. */
function read(error: Error, key: string): unknown {
  try {
    return error[key as keyof Error];
  } catch (problem) {
    return `[unreadable: ${textOf(problem)}]`;
  }
}

function stringOrNothing(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
