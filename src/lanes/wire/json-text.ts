/**
 * Short messages of primitives as JSON, which takes a quarter of the time of a structured clone. Only what arrives exactly
 * as it was sent: anything else is `undefined` here, and is cloned.
 */
import type { ArgsColumn } from './columns.ts';
import type { RunMessage } from './protocol.ts';

/** Longer texts are cloned faster, in characters. */
const longest = 500;

/** Taken when this module loads, because tasks may replace them. Neither calls code of users for a primitive. */
const { stringify, parse } = JSON;

export function jsonOf(value: unknown): string | undefined {
  switch (typeof value) {
    case 'number':
      // Neither NaN and Infinity, nor -0.
      return value - value === 0 && (value !== 0 || 1 / value > 0) ? `${value}` : undefined;
    case 'string':
      return value.length <= longest ? stringify(value) : undefined;
    case 'boolean':
      return value ? 'true' : 'false';
    default:
      return value === null ? 'null' : undefined;
  }
}

export function fromJson(text: string): unknown {
  return parse(text);
}

/** A batch of tasks whose definition is loaded, without anything that most tasks have not. */
export function jsonOfRun(message: RunMessage): string | undefined {
  const { definition, name, first, items, ids, args, isAhead, define, buffers, carried, attempts, keys, kept } =
    message;
  if ((define ?? buffers ?? carried ?? attempts ?? keys ?? kept) !== undefined) return undefined;
  const argsText = jsonOfArgs(args);
  if (argsText === undefined) return undefined;
  const nameText = jsonOf(name);
  const idsText = typeof ids === 'number' ? `${ids}` : jsonOfList(ids);
  if (nameText === undefined || idsText === undefined) return undefined;
  return `[${definition},${nameText},${first},${items},${idsText},${argsText}${isAhead ? ',true' : ''}]`;
}

function jsonOfArgs(column: ArgsColumn): string | undefined {
  if ('arity' in column) {
    const values = jsonOfList(column.values);
    return values && `{"arity":${column.arity},"values":${values}}`;
  }
  let text = '';
  for (const args of column) {
    const list = args === null ? 'null' : jsonOfList(args);
    if (list === undefined) return undefined;
    text += text === '' ? list : `,${list}`;
  }
  return `[${text}]`;
}

function jsonOfList(values: readonly unknown[]): string | undefined {
  let text = '';
  for (const value of values) {
    const json = jsonOf(value);
    if (json === undefined) return undefined;
    text += text === '' ? json : `,${json}`;
  }
  return `[${text}]`;
}

/** Throws at what `jsonOfRun` does not make. */
export function runFromJson(text: string): RunMessage {
  const [definition, name, first, items, ids, args, isAhead] = parse(text) as readonly [
    number,
    string,
    number,
    number,
    RunMessage['ids'],
    ArgsColumn,
    boolean?,
  ];
  return { kind: 'run', definition, name, first, items, ids, args, ...(isAhead && { isAhead }) };
}
