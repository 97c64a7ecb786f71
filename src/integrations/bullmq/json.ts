/** What jobs carry is JSON: data that it would lose or change is refused, and says where it is. */
import { courierKit, type ErrorCode, TaskwardenError } from '../../index.ts';

const { serverError } = courierKit;

/** Stands for what a server would take for nothing at all. */
const boxKey = 'taskwarden:value';

/** What the keys of such objects begin with: data that has one is boxed, so that it is not taken for one. */
const ownKeys = 'taskwarden:';

/**
 * What is to be stored for a value. Dates become texts, fields that are undefined are left out, and undefined in an array
 * becomes null, as JSON does it.
 * @throws TaskwardenError with `code`, if JSON would lose more.
 */
export function toJson(value: unknown, code: ErrorCode, what: string): unknown {
  const problem = problemOf(value, '', []);
  if (problem !== undefined) {
    throw new TaskwardenError(code, `${what} can't be carried as JSON: ${problem}; send plain data, or a path to it`);
  }
  if (value === null || value === undefined) return { [boxKey]: null };
  return typeof value === 'object' && Object.keys(value).some((key) => key.startsWith(ownKeys))
    ? { [boxKey]: value }
    : value;
}

export function fromJson(stored: unknown): unknown {
  const isBox = typeof stored === 'object' && stored !== null && boxKey in stored;
  return isBox ? (stored as Record<string, unknown>)[boxKey] : stored;
}

/** What a text stands for; undefined if it is no JSON, or there is none. */
export function parseJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a PostgreSQL has refused a text: it keeps no U+0000, and no half of a pair of surrogates. */
export function isUnstorable(error: unknown): boolean {
  const { name, code } = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown };
  return name === 'error' && (code === '22P05' || code === '22P02' || code === '22021');
}

export function notCloneable(code: ErrorCode, what: string, cause: unknown): TaskwardenError {
  const shown = serverError(cause);
  return new TaskwardenError(code, `${what} can't be kept by PostgreSQL: ${shown.message}`, { cause: shown });
}

export function isJson(value: unknown): boolean {
  return problemOf(value, '', []) === undefined;
}

function problemOf(value: unknown, path: string, above: readonly object[]): string | undefined {
  const at = path === '' ? 'it' : path.replace(/^\./, '');
  switch (typeof value) {
    case 'function':
    case 'symbol':
    case 'bigint':
      return `${at} is a ${typeof value}`;
    case 'number':
      return Number.isFinite(value) ? undefined : `${at} is ${value}`;
    case 'object':
      return value === null ? undefined : problemOfObject(value, at, path, above);
    default:
      return undefined;
  }
}

function problemOfObject(value: object, at: string, path: string, above: readonly object[]): string | undefined {
  if (above.includes(value)) return `${at} contains itself`;
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1);
  const isPlain = kind === 'Object' || kind === 'Array';
  if (!isPlain && (ArrayBuffer.isView(value) || !('toJSON' in value))) return `${at} is of class ${kind}`;
  if ('toJSON' in value) {
    const json = (value as { toJSON?: unknown }).toJSON;
    return typeof json === 'function' && isNothing(json.call(value, '')) ? `${at} turns into nothing` : undefined;
  }
  const inside = [...above, value];
  for (const [key, field] of Object.entries(value)) {
    const problem = problemOf(field, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, inside);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function isNothing(json: unknown): boolean {
  return json === undefined || typeof json === 'function' || typeof json === 'symbol' || typeof json === 'bigint';
}
