/**
 * A copy of a value as JSON would have it, made of nothing but plain objects, arrays and primitives; or why there is none.
 * Each part is read once. Whatever the value's getters, proxies and `toJSON` do, making it never throws, and it takes
 * neither stack for what is nested deep nor memory for what is far too large.
 */
import { courierKit, type ErrorCode, TaskwardenError } from '../index.ts';

const { messageOf } = courierKit;

/** So deep the JSON in Redis goes, and that of other languages. */
const mostLevels = 1_000;

/** In characters: each may be six bytes of text, of which no server takes more than 512 MiB in one piece. */
const mostText = 2 ** 26;

/** So much of the way to a place is shown at its start, and at its end. */
const shownPath = 60;

/** Why a value can't be carried. */
export interface Unreadable {
  readonly why: string;
  /** What reading it has thrown. */
  readonly cause?: unknown;
}

/** An object or array whose copy is being filled. */
interface Level {
  readonly source: Readonly<Record<string | number, unknown>>;
  readonly plain: Record<string, unknown> | unknown[];
  /** Of an object; an array is read by its indexes. */
  readonly keys: readonly string[] | undefined;
  readonly length: number;
  next: number;
  /** The text that came before. */
  readonly from: number;
}

interface Copied {
  readonly plain: unknown;
  readonly text: number;
}

class Refusal {
  readonly #what: string;

  constructor(what: string) {
    this.#what = what;
  }

  /** What it says; undefined of what is no refusal. That is not asked: it may be a proxy that throws. */
  static read(thrown: unknown): string | undefined {
    return typeof thrown === 'object' && thrown !== null && #what in thrown ? thrown.#what : undefined;
  }
}

export class PlainCopy {
  /** Of a function, or something else that has no copy, undefined. */
  readonly plain: unknown;
  readonly problem: Unreadable | undefined;
  readonly #levels: Level[] = [];
  /** Those that are copied, so that what is in it often is copied once; undefined while that goes on. */
  readonly #known = new Map<object, Copied | undefined>();
  /** How long the text will be, at least. */
  #text = 0;

  constructor(value: unknown) {
    try {
      const plain = this.#enter(value, '');
      for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) this.#step(level);
      this.plain = plain;
    } catch (thrown) {
      const at = this.#place;
      const refusal = Refusal.read(thrown);
      this.problem =
        refusal === undefined
          ? { why: `${at} can't be read: ${messageOf(thrown)}`, cause: thrown }
          : { why: `${at} ${refusal}` };
    }
  }

  /** Copies the next part of an object or array, or finishes it. */
  #step(level: Level): void {
    const { source, plain, keys, length, from } = level;
    if (level.next === length) {
      this.#levels.pop();
      this.#known.set(source, { plain, text: this.#text - from });
      return;
    }
    const key = keys === undefined ? level.next : (keys[level.next] as string);
    level.next += 1;
    const part = this.#enter(source[key], key);
    if (Array.isArray(plain)) plain.push(part ?? null);
    else if (part !== undefined) set(plain, key as string, part);
  }

  /** The copy of a part. That of an object is empty, and is filled by the steps that follow. */
  #enter(value: unknown, key: string | number): unknown {
    switch (typeof value) {
      case 'string':
        this.#count(value.length + 2);
        return value;
      case 'number':
        if (!Number.isFinite(value)) throw new Refusal(`is ${value}`);
        this.#count(1);
        return value;
      case 'boolean':
        this.#count(4);
        return value;
      case 'undefined':
        return undefined;
      case 'object':
        return value === null ? null : this.#enterObject(value, key);
      default:
        throw new Refusal(`is a ${typeof value}`);
    }
  }

  #enterObject(value: object, key: string | number): unknown {
    if (ArrayBuffer.isView(value)) throw new Refusal(`is of class ${kindOf(value)}`);
    const { toJSON } = value as { readonly toJSON?: unknown };
    if (typeof toJSON !== 'function') return this.#open(value);
    const json: unknown = toJSON.call(value, String(key));
    if (isNothing(json)) throw new Refusal('turns into nothing');
    return typeof json === 'object' && json !== null ? this.#open(json) : this.#enter(json, key);
  }

  #open(value: object): unknown {
    const known = this.#known.get(value);
    if (known !== undefined) {
      this.#count(known.text);
      return known.plain;
    }
    if (this.#known.has(value)) throw new Refusal('contains itself');
    const kind = kindOf(value);
    if (kind !== 'Object' && kind !== 'Array') throw new Refusal(`is of class ${kind}`);
    if (this.#levels.length === mostLevels) throw new Refusal(`is nested deeper than ${mostLevels} levels`);
    const from = this.#text;
    const keys = Array.isArray(value) ? undefined : Object.keys(value);
    const length = keys?.length ?? (value as readonly unknown[]).length;
    this.#count(2 * length + 2);
    for (const each of keys ?? []) this.#count(each.length + 2);
    const plain = keys === undefined ? [] : {};
    this.#known.set(value, undefined);
    this.#levels.push({ source: value as Level['source'], plain, keys, length, next: 0, from });
    return plain;
  }

  #count(characters: number): void {
    this.#text += characters;
    if (this.#text > mostText) throw new Refusal(`is, or makes it, longer than ${mostText / 2 ** 20} Mi characters`);
  }

  /** Where it is, such as `a.b[3]`. */
  get #place(): string {
    const path = this.#levels
      .map(({ keys, next }) => (keys === undefined ? `[${next - 1}]` : `.${keys[next - 1]}`))
      .join('');
    if (path === '') return 'it';
    const text = path.replace(/^\./, '');
    if (text.length <= 2 * shownPath) return text;
    return `${text.slice(0, shownPath)}...${text.slice(-shownPath)}`;
  }
}

function set(plain: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') plain[key] = value;
  else Object.defineProperty(plain, key, { value, enumerable: true, configurable: true, writable: true });
}

function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1);
}

function isNothing(json: unknown): boolean {
  return json === undefined || typeof json === 'function' || typeof json === 'symbol' || typeof json === 'bigint';
}

/**
 * A copy of a value as plain data. Dates become texts, fields that are undefined are left out, and undefined in an array
 * becomes null, as JSON does it.
 * @throws TaskwardenError with `code`, if JSON would lose more, or if the value can't be read.
 */
export function plainJson(value: unknown, code: ErrorCode, what: string): unknown {
  const { plain, problem } = new PlainCopy(value);
  if (problem === undefined) return plain;
  const { why, ...cause } = problem;
  const message = `${what} can't be carried as JSON: ${why}; send plain data, or a path to it`;
  throw new TaskwardenError(code, message, cause);
}

/** Whether it can be carried. */
export function isJson(value: unknown): boolean {
  return new PlainCopy(value).problem === undefined;
}
