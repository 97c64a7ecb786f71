/** The options that go by a key, as tasks, modules and couriers take them: what must be unique, and rates. */
import { optionsBy, type Rule, rules } from './options.ts';

export interface UniqueOptions {
  readonly key?: unknown;
  readonly unique?: string;
  readonly uniqueWhile?: string;
  readonly uniqueForMs?: number;
}

/** Checks whether they fit together. @throws TypeError */
export function checkUnique({ key, unique, uniqueWhile, uniqueForMs }: UniqueOptions, owner: string): void {
  if (unique === undefined) {
    const other = uniqueWhile !== undefined ? 'uniqueWhile' : uniqueForMs !== undefined ? 'uniqueForMs' : undefined;
    if (other !== undefined) throw new TypeError(`option "${other}" of ${owner} needs option "unique"`);
    return;
  }
  if (key === undefined) {
    throw new TypeError(
      `option "unique" of ${owner} needs option "key", which says what is the same task; if all are, give one text: key: 'all'`,
    );
  }
  if (uniqueForMs !== undefined && (unique === 'replace' || uniqueWhile === 'waiting')) {
    throw new TypeError(
      `option "uniqueForMs" of ${owner} keeps what has completed: it does not go with unique: 'replace' or uniqueWhile: 'waiting'`,
    );
  }
}

const rateRules: Readonly<Record<string, Rule>> = {
  max: rules.positiveCount,
  perMs: rules.positiveMs,
  perKey: rules.boolean,
  burst: rules.positiveCount,
};

/** More than 30 years. A server can't keep what is due in a million of them. In milliseconds. */
const furthestMs = 1e12;

export const rateRule: Rule = (value, option) => {
  optionsBy(rateRules, 'rate')(value, option);
  const { max, perMs, burst = 1 } = value as Partial<Record<'max' | 'perMs' | 'burst', number>>;
  if (max === undefined || perMs === undefined) throw new TypeError(`${option} needs both "max" and "perMs"`);
  const reachMs = (perMs / max) * burst;
  if (reachMs > furthestMs) {
    throw new RangeError(`${option} must not reach further than ${furthestMs} ms; perMs / max x burst is ${reachMs}`);
  }
};
