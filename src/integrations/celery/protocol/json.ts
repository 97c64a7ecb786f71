/** JSON as Celery's programs write and read it. */

/** How deep values may be nested, in both directions. */
const maxDepth = 200;

/**
 * A copy in which what kombu writes in its own way is what it stands for: bytes are a Buffer, a datetime is a Date, and
 * date, time, Decimal and UUID are texts. Kombu has done so since 5.3; before, all but bytes were texts.
 * @throws TypeError where it is nested too deeply.
 */
export function fromPython(value: unknown): unknown {
  return decoded(value, 0);
}

function decoded(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) throw new TypeError(`it is nested more than ${maxDepth} levels deep`);
  if (Array.isArray(value)) return value.map((each) => decoded(each, depth + 1));
  const entries = Object.entries(value);
  if (entries.length === 2 && '__type__' in value && '__value__' in value) {
    const meant = decodedAs(value.__type__, value.__value__);
    if (meant !== undefined) return meant;
  }
  return Object.fromEntries(entries.map(([key, each]) => [key, decoded(each, depth + 1)]));
}

function decodedAs(type: unknown, value: unknown): unknown {
  if (type === 'uuid') return uuidOf((value as { readonly hex?: unknown } | null)?.hex);
  if (typeof value !== 'string') return undefined;
  switch (type) {
    case 'bytes':
      return Buffer.from(value, 'utf8');
    case 'base64':
      return Buffer.from(value, 'base64');
    case 'datetime':
      return parseTime(value);
    case 'date':
    case 'time':
    case 'decimal':
      return value;
    default:
      return undefined;
  }
}

function uuidOf(hex: unknown): string | undefined {
  if (typeof hex !== 'string' || !/^[0-9a-f]{32}$/.test(hex)) return undefined;
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** A time in ISO 8601 as Python writes it; without an offset it is UTC. Undefined if it is none. */
export function parseTime(text: string): Date | undefined {
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?$/.exec(text);
  if (match === null) return undefined;
  const [, day, time, offset = 'Z'] = match;
  const date = new Date(`${day}T${time}${offset}`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** As Python writes a time in UTC. */
export function timeText(time: Date): string {
  return time.toISOString().replace('Z', '+00:00');
}

/**
 * The JSON of a value. A Date becomes a text; undefined becomes null, and is left out of objects.
 * @param what What the value is, for the error.
 * @throws TypeError that names the place of what JSON has not: NaN, a BigInt, a Map, a function, a circle and so on.
 */
export function toJson(value: unknown, what: string): string {
  return JSON.stringify(plain(value, what, 0)) ?? 'null';
}

function plain(value: unknown, place: string, depth: number): unknown {
  if (value === undefined || value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value;
    throw notJson(place, `it is ${value}`);
  }
  if (typeof value !== 'object') throw notJson(place, `it is a ${typeof value}`);
  if (depth > maxDepth) throw notJson(place, `it is nested more than ${maxDepth} levels deep, or in a circle`);
  if (Array.isArray(value)) return Array.from(value, (each, i) => plain(each, `${place}[${i}]`, depth + 1));
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw notJson(place, 'it is an invalid Date');
    return timeText(value);
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw notJson(place, `it is an instance of ${prototype.constructor?.name || 'a class'}`);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, plain(each, `${place}.${key}`, depth + 1)]),
  );
}

function notJson(place: string, why: string): TypeError {
  return new TypeError(`${place} can't be sent as JSON: ${why}`);
}

/** How Python would print a JSON value, cut to `maxLength` characters: for events and for people. */
export function pythonText(value: unknown, maxLength = 1_024): string {
  const text = printed(value, 0);
  return text.length > maxLength ? `${text.slice(0, maxLength - 3)}...` : text;
}

/** The same for a list of arguments. */
export function pythonArgs(args: readonly unknown[], maxLength = 1_024): string {
  const text = pythonText(args, maxLength + 1).slice(1, -1);
  return `(${text}${args.length === 1 ? ',' : ''})`;
}

const mostPrinted = 64;

function printed(value: unknown, depth: number): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string') {
    const text = JSON.stringify(value.length > 2_048 ? value.slice(0, 2_048) : value).slice(1, -1);
    return `'${text.replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
  }
  if (typeof value !== 'object') return String(value);
  if (depth > 8) return '...';
  if (Array.isArray(value)) return `[${some(value, (each) => printed(each, depth + 1))}]`;
  return `{${some(Object.entries(value), ([key, each]) => `${printed(key, 0)}: ${printed(each, depth + 1)}`)}}`;
}

function some<T>(values: readonly T[], print: (value: T) => string): string {
  const shown = values.slice(0, mostPrinted).map(print);
  if (values.length > mostPrinted) shown.push('...');
  return shown.join(', ');
}
