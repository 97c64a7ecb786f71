/**
 * Checks options: each kind of options has a table of rules by key. A bad value causes a TypeError or RangeError that
 * names the option, what was expected and what was given; an unknown key causes a TypeError.
 */
import { fieldOf, isArray, isInstance, messageOf, textOf } from './foreign-value.ts';
import { likelyName } from './likely-name.ts';

/** Throws if the option does not accept the value. `undefined` never reaches a rule: it means the default. */
export interface Rule {
  (value: unknown, option: string): void;
  /** The names of its options, if the value is itself an object of options. */
  readonly keys?: readonly string[] | undefined;
}

/**
 * Checks each option against the rule of its name. Throws for an option without a rule, and for a value that is no
 * object.
 */
export function checkOptions(options: unknown, rules: Readonly<Record<string, Rule>>, owner: string): void {
  for (const [key, value] of entriesOf(options, owner)) {
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
    if (rule === undefined) {
      throw new TypeError(
        `${owner} has no option "${key}"${suggestionFor(key, rules)} takes ${Object.keys(rules).join(', ')}`,
      );
    }
    if (value !== undefined) rule(value, `option "${key}" of ${owner}`);
  }
}

function entriesOf(options: unknown, owner: string): readonly [string, unknown][] {
  let entries: readonly [string, unknown][] | undefined;
  try {
    if (typeof options === 'object' && options !== null && !Array.isArray(options)) entries = Object.entries(options);
  } catch (cause) {
    throw new TypeError(`${owner} takes an object of options, and this one can't be read: ${messageOf(cause)}`, {
      cause,
    });
  }
  if (entries === undefined) throw new TypeError(`${owner} takes an object of options; got ${show(options)}`);
  return entries;
}

/** Suggests a similar name for an unknown option, of this object or of one inside it. */
function suggestionFor(key: string, rules: Readonly<Record<string, Rule>>): string {
  const names: string[] = [];
  const near = likelyName(key, Object.keys(rules));
  if (near !== undefined) names.push(near);
  else {
    for (const [outer, { keys = [] }] of Object.entries(rules)) {
      const inner = likelyName(key, keys);
      if (inner !== undefined) names.push(`${outer}.${inner}`);
    }
  }
  if (names.length === 0) return '; it';
  return `: did you mean ${names.map((name) => `"${name}"`).join(' or ')}? It`;
}

/** A rule for an option that is an object of options. */
export function optionsBy(rules: Readonly<Record<string, Rule>>, owner: string): Rule {
  return Object.assign((value: unknown) => checkOptions(value, rules, owner), { keys: Object.keys(rules) });
}

type RuleName =
  | 'durationMs'
  | 'durationMsOrInfinity'
  | 'positiveMs'
  | 'positiveMb'
  | 'count'
  | 'positiveCount'
  | 'countOrInfinity'
  | 'positiveCountOrInfinity'
  | 'fraction'
  | 'factor'
  | 'nice'
  | 'tasksPerHost'
  | 'text'
  | 'string'
  | 'function'
  | 'boolean'
  | 'object'
  | 'signal';

export const rules: Readonly<Record<RuleName, Rule>> = {
  durationMs: number({ what: 'a number of milliseconds, 0 or more', min: 0, finite: true }),
  durationMsOrInfinity: number({ what: 'a number of milliseconds, 0 or more, or Infinity', min: 0 }),
  positiveMb: number({ what: 'a number of megabytes above 0', above: 0, finite: true }),
  positiveMs: number({ what: 'a number of milliseconds above 0', above: 0, finite: true }),
  count: number({ what: 'a whole number, 0 or more', min: 0, whole: true }),
  positiveCount: number({ what: 'a whole number, 1 or more', min: 1, whole: true }),
  countOrInfinity: number({ what: 'a whole number, 0 or more, or Infinity', min: 0, wholeOrInfinity: true }),
  positiveCountOrInfinity: number({ what: 'a whole number, 1 or more, or Infinity', min: 1, wholeOrInfinity: true }),
  fraction: number({ what: 'a number from 0 to 1', min: 0, max: 1 }),
  factor: number({ what: 'a number, 1 or more', min: 1, finite: true }),
  nice: number({ what: 'a whole number from 0 to 19', min: 0, max: 19, whole: true }),
  tasksPerHost: number({ what: 'a whole number from 1 to 1,000', min: 1, max: 1_000, whole: true }),
  text: is('a string', (value) => typeof value === 'string'),
  string: is('a string that is not empty', (value) => typeof value === 'string' && value !== ''),
  function: is('a function', (value) => typeof value === 'function'),
  boolean: is('true or false', (value) => typeof value === 'boolean'),
  object: is('an object', (value) => typeof value === 'object' && value !== null && !Array.isArray(value)),
  signal: is('an AbortSignal', (value) => isInstance(value, AbortSignal)),
};

/** A rule for values that pass a test. */
export function is(what: string, test: (value: unknown) => boolean): Rule {
  return (value, option) => {
    if (!passes(test, value)) throw new TypeError(`${option} must be ${what}; got ${show(value)}`);
  };
}

/** A value that throws when it is inspected passes no test. */
function passes(test: (value: unknown) => boolean, value: unknown): boolean {
  try {
    return test(value);
  } catch {
    return false;
  }
}

export function oneOf(values: readonly string[]): Rule {
  const what = `one of ${values.map((value) => `'${value}'`).join(', ')}`;
  return is(what, (value) => typeof value === 'string' && values.includes(value));
}

export function arrayOf(what: string, test: (value: unknown) => boolean): Rule {
  return is(what, (value) => Array.isArray(value) && value.every(test));
}

export function either(...alternatives: readonly Rule[]): Rule {
  const check: Rule = (value, option) => {
    const failures: Error[] = [];
    for (const rule of alternatives) {
      try {
        rule(value, option);
        return;
      } catch (error) {
        failures.push(error as Error);
      }
    }
    // A RangeError comes from the alternative that accepts the type: it describes best what is wrong.
    throw failures.find((error) => isInstance(error, RangeError)) ?? failures[0];
  };
  return Object.assign(check, { keys: alternatives.find(({ keys }) => keys !== undefined)?.keys });
}

interface NumberBounds {
  readonly what: string;
  readonly min?: number;
  readonly max?: number;
  readonly above?: number;
  readonly finite?: boolean;
  readonly whole?: boolean;
  readonly wholeOrInfinity?: boolean;
}

function number({ what, min, max, above, finite, whole, wholeOrInfinity }: NumberBounds): Rule {
  return (value, option) => {
    if (typeof value !== 'number') throw new TypeError(`${option} must be ${what}; got ${show(value)}`);
    const good =
      !Number.isNaN(value) &&
      (min === undefined || value >= min) &&
      (max === undefined || value <= max) &&
      (above === undefined || value > above) &&
      (!finite || Number.isFinite(value)) &&
      (!whole || Number.isInteger(value)) &&
      (!wholeOrInfinity || Number.isInteger(value) || value === Infinity);
    if (!good) throw new RangeError(`${option} must be ${what}; got ${value}`);
  };
}

/** A value in short, as error messages show it. Never throws. */
export function show(value: unknown): string {
  try {
    return described(value);
  } catch {
    return 'something that throws when it is looked at';
  }
}

function described(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`;
  if (typeof value === 'function') return `function ${textOf(fieldOf(value, 'name')) || '(anonymous)'}`;
  if (typeof value !== 'object' || value === null) return String(value);
  return isArray(value) ? 'an array' : 'an object';
}

/** Checks whether a deadline leaves time after the delay. @throws RangeError */
export function checkDeadline(
  { delayMs = 0, deadlineMs = Infinity }: { readonly delayMs?: number; readonly deadlineMs?: number },
  owner: string,
): void {
  if (deadlineMs > delayMs) return;
  throw new RangeError(
    `option "deadlineMs" of ${owner} counts from the call, so it must be more than "delayMs", which is ${delayMs}; got ${deadlineMs}`,
  );
}
