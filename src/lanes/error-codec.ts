/**
 * What a task threw, as plain data that crosses to another thread or process, and back.
 * Kept: the built-in class, name, message, stack, cause, errors of an AggregateError, and all own fields that can be
 * cloned; a field that can't is replaced by a text. Not kept: own classes (their instances arrive as the built-in
 * class that they extend, under their own name).
 */
import { isCloneable } from '../cloneable.ts';
import { type ErrorCode, TaskwardenError } from '../errors.ts';
import { show } from '../options.ts';

type Reference = { readonly value: unknown } | { readonly error: number };

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

const classes = {
  AggregateError,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  Error,
} satisfies Record<string, ErrorConstructor | AggregateErrorConstructor>;
type ClassName = keyof typeof classes;

/** A chain of causes is followed so far. */
const mostErrors = 1_000;

const ownParts = new Set(['name', 'message', 'stack', 'cause', 'errors']);

type CanCross = (value: unknown) => boolean;

/** Never throws. `canCross` says what arrives on the other side. */
export function encodeThrown(thrown: unknown, canCross: CanCross = isCloneable): WireThrown {
  try {
    return encode(thrown, canCross);
  } catch (problem) {
    return encode(new Error(`what was thrown can't be read: ${text(problem)}`), canCross);
  }
}

function encode(thrown: unknown, canCross: CanCross): WireThrown {
  const indexes = new Map<unknown, number>();
  const errors: WireError[] = [];

  function reference(value: unknown): Reference {
    if (!isError(value)) return { value: copyable(value, canCross) };
    let index = indexes.get(value);
    if (index === undefined && errors.length === mostErrors) return { value: '[more errors]' };
    if (index === undefined) {
      index = errors.length;
      indexes.set(value, index);
      errors.push(undefined as never); // takes the place before the causes take theirs
      errors[index] = encodeError(value);
    }
    return { error: index };
  }

  function encodeError(error: Error): WireError {
    const fields: [string, Reference][] = [];
    for (const key of Object.getOwnPropertyNames(error)) {
      if (!ownParts.has(key)) fields.push([key, reference(read(error, key))]);
    }
    const nested = read(error, 'errors');
    return {
      type: typeOf(error),
      name: text(read(error, 'name')),
      message: text(read(error, 'message')),
      stack: stringOrNothing(read(error, 'stack')),
      fields,
      ...('cause' in error && { cause: reference(read(error, 'cause')) }),
      ...(Array.isArray(nested) && { errors: nested.map(reference) }),
    };
  }

  return { thrown: reference(thrown), errors };
}

/** @throws TypeError for what `encodeThrown` did not give. */
export function decodeThrown({ thrown, errors }: WireThrown): unknown {
  const decoded = errors.map(bare);
  const resolve = (reference: Reference): unknown => {
    if ('value' in reference) return reference.value;
    if (!Object.hasOwn(decoded, reference.error)) throw new TypeError('what was thrown was not encoded here');
    return decoded[reference.error];
  };
  errors.forEach((wire, index) => {
    const error = decoded[index] as Error;
    for (const [key, reference] of wire.fields) {
      if (!Object.hasOwn(error, key)) define(error, key, resolve(reference), true);
    }
    if (wire.cause !== undefined) define(error, 'cause', resolve(wire.cause));
    if (wire.errors !== undefined) define(error, 'errors', wire.errors.map(resolve));
  });
  return resolve(thrown);
}

/** The value, or as much of it as can be cloned: of a plain object, the fields that can. */
function copyable(value: unknown, canCross: CanCross): unknown {
  if (canCross(value)) return value;
  try {
    const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
    if (!isPlain) return instead(value);
    const fields = Object.entries(value).map(([key, field]) => [key, canCross(field) ? field : instead(field)]);
    return Object.fromEntries(fields);
  } catch {
    return instead(value); // a getter, or a proxy, throws
  }
}

function instead(value: unknown): string {
  return `[${show(value)}: can't be cloned]`;
}

function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    return false; // a proxy that does not let itself be asked
  }
}

function typeOf(error: Error): string {
  if (read(error, 'name') === 'TaskwardenError' && typeof read(error, 'code') === 'string') return 'TaskwardenError';
  if (error instanceof DOMException) return 'DOMException';
  return Object.entries(classes).find(([, type]) => error instanceof type)?.[0] ?? 'Error';
}

/** The error without what it refers to. */
function bare({ type, name, message, stack, fields }: WireError): Error {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0; // its stack comes with it
  try {
    const error = construct(type, name, message, fields);
    if (error.name !== name) define(error, 'name', name);
    define(error, 'stack', stack);
    return error;
  } finally {
    Error.stackTraceLimit = limit;
  }
}

function construct(type: string, name: string, message: string, fields: WireError['fields']): Error {
  if (type === 'DOMException') return new DOMException(message, name);
  if (type === 'TaskwardenError') {
    const code = fields.find(([key]) => key === 'code')?.[1];
    return new TaskwardenError((code !== undefined && 'value' in code ? code.value : '') as ErrorCode, message);
  }
  if (type === 'AggregateError') return new AggregateError([], message);
  return new (Object.hasOwn(classes, type) ? classes[type as Exclude<ClassName, 'AggregateError'>] : Error)(message);
}

function define(error: Error, key: string, value: unknown, enumerable = false): void {
  Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true });
}

/** A property, even if its getter throws. */
function read(error: Error, key: string): unknown {
  try {
    return error[key as keyof Error];
  } catch (problem) {
    return `[unreadable: ${text(problem)}]`;
  }
}

function text(value: unknown): string {
  try {
    return String(value);
  } catch {
    return '[no text]';
  }
}

function stringOrNothing(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
