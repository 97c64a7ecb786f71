/**
 * What jobs carry is JSON: data that it would lose or change is refused, and says where it is. Values are read once: BullMQ
 * gets plain copies, without getters, `toJSON` or proxies that could throw when it makes a text of them.
 */
import { courierKit, type ErrorCode, TaskwardenError } from '../../../index.ts';
import { plainJson } from '../../plain-copy.ts';

const { serverError } = courierKit;

/** Stands for what a server would take for nothing at all. */
const boxKey = 'taskwarden:value';

/** What the keys of such objects begin with: data that has one is boxed, so that it is not taken for one. */
const ownKeys = 'taskwarden:';

/**
 * What is to be stored for a value: `plainJson()` of it, in a box where it would be taken for something else.
 * @throws TaskwardenError with `code`.
 */
export function toJson(value: unknown, code: ErrorCode, what: string): unknown {
  const plain = plainJson(value, code, what);
  if (plain === null || plain === undefined) return { [boxKey]: null };
  return typeof plain === 'object' && Object.keys(plain).some((key) => key.startsWith(ownKeys))
    ? { [boxKey]: plain }
    : plain;
}

/** The same for a result: none is stored as null. */
export function resultJson(result: unknown): unknown {
  return result === undefined || result === null ? null : toJson(result, 'RESULT_NOT_CLONEABLE', 'the result');
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

/** Whether a PostgreSQL has refused a value: it keeps no U+0000, no half of a pair of surrogates, and not all that is large. */
export function isUnstorable(error: unknown): boolean {
  const { name, code } = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown };
  return name === 'error' && (code === '22P05' || code === '22P02' || code === '22021' || code === '54000');
}

export function notCloneable(code: ErrorCode, what: string, cause: unknown): TaskwardenError {
  const shown = serverError(cause);
  return new TaskwardenError(code, `${what} can't be kept by PostgreSQL: ${shown.message}`, { cause: shown });
}
