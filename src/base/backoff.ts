/**
 * The pause before a retry: it grows exponentially from `minMs` to `maxMs`, and a random share is added, so that what
 * failed together is not tried again together.
 */
import { isThenable } from './foreign-value.ts';
import { optionsBy, type Rule, rules, show } from './options.ts';

export interface Backoff {
  /** The shortest pause, and the first one without jitter, in milliseconds. Default: 1,000. */
  readonly minMs?: number;
  /** The longest pause, in milliseconds. Default: 3,600,000, an hour, or `minMs` if that is more. */
  readonly maxMs?: number;
  /** By how much each pause is longer than the one before, 1 or more. Default: 2. */
  readonly factor?: number;
  /** Up to which share of a pause is added to it at random, from 0 to 1. Default: 0.5. */
  readonly jitter?: number;
}

/** The pause of a retry, or a function that gives it. `attempt` is the number of the attempt that failed, from 1. */
export type RetryDelay = number | Backoff | ((attempt: number, error: unknown) => number);

const firstPauseMs = 1_000;
const longestPauseMs = 3_600_000;

/**
 * A pause in milliseconds, between `minMs` and `maxMs`: `minMs` times `factor` to the power of the earlier failures, and
 * up to `jitter` of that in addition. The longest pauses are random, too: their shortest is `maxMs / (1 + jitter)`.
 * With `factor: 2` and `jitter: 1` it is the "equal jitter" of
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
 * @param backoff A number is `minMs`.
 * @param failures How often it has failed, from 1.
 */
export function backoffMs(backoff: number | Backoff, failures: number, random: () => number = Math.random): number {
  const given = typeof backoff === 'number' ? { minMs: backoff } : backoff;
  const { minMs = firstPauseMs, factor = 2, jitter = 0.5 } = given;
  if (minMs === 0) return 0;
  const { maxMs = Math.max(longestPauseMs, minMs) } = given;
  const grownMs = minMs * factor ** Math.min(failures - 1, 1_000);
  const pauseMs = Math.max(Math.min(grownMs, maxMs / (1 + jitter)), minMs);
  return Math.min(pauseMs * (1 + jitter * random()), maxMs);
}

/**
 * The pause that a function of the user gives; undefined if it throws or gives no number of milliseconds, which goes to
 * `onProblem`.
 */
export function askForPauseMs(ask: () => unknown, onProblem: (problem: unknown) => void): number | undefined {
  try {
    const given = ask();
    if (isThenable(given)) given.then(undefined, () => {}); // it may reject
    rules.durationMs(given, 'what the function "retryDelayMs" gives');
    return given as number;
  } catch (problem) {
    onProblem(problem);
    return undefined;
  }
}

const backoffRules: Readonly<Record<keyof Backoff, Rule>> = {
  minMs: rules.durationMs,
  maxMs: rules.durationMs,
  factor: rules.factor,
  jitter: rules.fraction,
};

const fields = optionsBy(backoffRules, 'retryDelayMs');

/** For where functions can't go: to a courier, or from a thread. */
export const backoffRule: Rule = Object.assign(
  (value: unknown, option: string) => {
    if (typeof value === 'number') {
      rules.durationMs(value, option);
      return;
    }
    if (typeof value !== 'object' || value === null) {
      throw new TypeError(
        `${option} must be a number of milliseconds, or { minMs, maxMs, factor, jitter }; got ${show(value)}`,
      );
    }
    fields(value, option);
    const { minMs = firstPauseMs, maxMs = Infinity } = value as Backoff;
    if (minMs > maxMs) throw new RangeError(`${option} has a "minMs" of ${minMs}, above its "maxMs" of ${maxMs}`);
  },
  { keys: Object.keys(backoffRules) },
);

export const retryDelayRule: Rule = Object.assign(
  (value: unknown, option: string) => {
    if (typeof value !== 'function') backoffRule(value, option);
  },
  { keys: Object.keys(backoffRules) },
);
